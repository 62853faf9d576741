internal import Cryptography
internal import Ratchet

/// A file that is decrypted as it comes. What it gives is not to be believed before `finish`: keep it out of sight until
/// then.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sending-encrypted-attachments>
public struct FileOpening: ~Copyable {
    private let key: AttachmentCipher.Key
    private var hash = SHA256.Stream()
    /// Bytes that do not fill a block yet.
    private var rest: [UInt8] = []
    private var blocks: UInt64 = 0

    init(_ key: AttachmentCipher.Key) { self.key = key }

    /// The next of the file. Throws `malformed` for a key of odd length.
    public mutating func update(_ ciphertext: [UInt8]) throws(EncryptionError) -> [UInt8] {
        hash.update(ciphertext)
        rest += ciphertext
        let whole = rest.count / 16 * 16
        let plaintext = try apply(Array(rest[..<whole]))
        rest = Array(rest[whole...])
        return plaintext
    }

    /// The last of the file. Throws `mismatch` unless all was what the event says: then nothing of it counts.
    public consuming func finish() throws(EncryptionError) -> [UInt8] {
        let last = try apply(rest)
        let (found, expected) = (hash.finish(), key.sha256)
        guard constantTimeEquals(found, expected) else {
            throw .mismatch(rule: "a file has the hash that its event says")
        }
        return last
    }

    private mutating func apply(_ bytes: [UInt8]) throws(EncryptionError) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        guard key.iv.count == 16, let plaintext = try? AES256CTR.apply(key: key.key, iv: counter, to: bytes) else {
            throw .malformed(path: "EncryptedFile.key")
        }
        blocks += UInt64((bytes.count + 15) / 16)
        return plaintext
    }

    /// The first counter block and the blocks that are done, as one number.
    private var counter: [UInt8] {
        var counter = key.iv
        var carry = blocks
        for index in counter.indices.reversed() where carry > 0 {
            let sum = UInt64(counter[index]) + (carry & 0xFF)
            counter[index] = UInt8(truncatingIfNeeded: sum)
            carry = (carry >> 8) + (sum >> 8)
        }
        return counter
    }
}
