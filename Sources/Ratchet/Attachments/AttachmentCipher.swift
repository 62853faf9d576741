public import Cryptography

/// Files in encrypted rooms: AES-256-CTR under a key that only the event carries.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sending-encrypted-attachments>
public enum AttachmentCipher {
    /// What the event's `file` object says, decoded: `key.k`, `iv` and `hashes.sha256`.
    public struct Key: Sendable, Equatable, CustomStringConvertible {
        /// 32 bytes; URL-safe base64 in `key.k`.
        public let key: [UInt8]
        /// The first counter block, 16 bytes; unpadded base64.
        public let iv: [UInt8]
        /// Of the ciphertext, 32 bytes; unpadded base64.
        public let sha256: [UInt8]

        /// Takes any bytes: their lengths are checked when decrypting.
        public init(key: [UInt8], iv: [UInt8], sha256: [UInt8]) {
            self.key = key
            self.iv = iv
            self.sha256 = sha256
        }

        /// Always "…".
        public var description: String { "…" }
    }

    /// The ciphertext to upload, as long as the file, and a fresh key for it.
    public static func encrypt(
        _ plaintext: [UInt8], random: some RandomSource
    ) throws(RatchetError) -> (ciphertext: [UInt8], key: Key) {
        let key = random.bytes(32)
        // The lower half counts blocks; it starts at zero, since some clients count in 64 bits.
        let iv = random.bytes(8) + [UInt8](repeating: 0, count: 8)
        let ciphertext = try translating { () throws(CryptographyError) in
            try AES256CTR.apply(key: key, iv: iv, to: plaintext)
        }
        return (ciphertext, Key(key: key, iv: iv, sha256: SHA256.hash(ciphertext)))
    }

    /// The file. Throws `cannotOpen` unless the ciphertext has the hash the event says, `refusedKey` for odd lengths.
    public static func decrypt(_ ciphertext: [UInt8], with key: Key) throws(RatchetError) -> [UInt8] {
        guard constantTimeEquals(SHA256.hash(ciphertext), key.sha256) else { throw .cannotOpen }
        return try translating { () throws(CryptographyError) in
            try AES256CTR.apply(key: key.key, iv: key.iv, to: ciphertext)
        }
    }
}
