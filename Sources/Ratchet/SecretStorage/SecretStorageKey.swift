public import Cryptography

/// The key that secrets in account data are sealed under, `m.secret_storage.v1.aes-hmac-sha2`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#msecret_storagev1aes-hmac-sha2>
public struct SecretStorageKey: Sendable {
    /// A sealed secret, decoded: three fields of `encrypted`, or two of the key's description.
    public struct Sealed: Sendable, Equatable {
        /// The first counter block, 16 bytes.
        public let iv: [UInt8]
        /// As long as the secret's text.
        public let ciphertext: [UInt8]
        /// HMAC-SHA-256 of the ciphertext, 32 bytes.
        public let mac: [UInt8]

        /// Takes any bytes: they are checked when opened.
        public init(iv: [UInt8], ciphertext: [UInt8], mac: [UInt8]) {
            self.iv = iv
            self.ciphertext = ciphertext
            self.mac = mac
        }
    }

    private let secret: SecretBytes

    /// 32 bytes: what a recovery key spells.
    public var bytes: [UInt8] { secret.bytes }

    /// Throws `refusedKey` unless there are 32 bytes.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        guard bytes.count == 32 else { throw .refusedKey }
        secret = SecretBytes(bytes, placement: .pooled)
    }

    /// A new key.
    public static func generate(_ random: some RandomSource) throws(RatchetError) -> SecretStorageKey {
        try SecretStorageKey(random.bytes(32))
    }

    /// The key of a passphrase, `m.pbkdf2`: slow on purpose. Throws `outOfRange` beyond ten million iterations.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#deriving-keys-from-passphrases>
    public init(passphrase: String, salt: String, iterations: Int) throws(RatchetError) {
        guard (1...Limits.passphraseRounds).contains(iterations) else {
            throw .outOfRange(rule: "1 to 10,000,000 PBKDF2 iterations")
        }
        var bytes = try translating { () throws(CryptographyError) in
            try PBKDF2SHA512.derive(
                password: Array(passphrase.utf8), salt: Array(salt.utf8), rounds: iterations, count: 32)
        }
        secret = SecretBytes(bytes, placement: .pooled)
        wipe(&bytes)
    }

    /// Seals the secret called `name`, such as `m.cross_signing.master`; its text is what the other client will read.
    public func seal(
        _ secret: [UInt8], name: String, random: some RandomSource
    ) throws(RatchetError) -> Sealed {
        try seal(secret, name: name, iv: counterBlock(random))
    }

    /// The secret. Throws `cannotOpen` for another key, another name or altered bytes.
    public func open(_ sealed: Sealed, name: String) throws(RatchetError) -> [UInt8] {
        let (aesKey, macKey) = keys(name)
        guard constantTimeEquals(HMACSHA256.authenticate(sealed.ciphertext, key: macKey), sealed.mac) else {
            throw .cannotOpen
        }
        return try translating { () throws(CryptographyError) in
            try AES256CTR.apply(key: aesKey, iv: sealed.iv, to: sealed.ciphertext)
        }
    }

    /// `iv` and `mac` for the description of a new key, by which it is recognized.
    public func check(random: some RandomSource) throws(RatchetError) -> (iv: [UInt8], mac: [UInt8]) {
        let sealed = try seal(Self.zeros, name: "", iv: counterBlock(random))
        return (sealed.iv, sealed.mac)
    }

    /// Whether this is the key that `iv` and `mac` describe.
    public func matches(iv: [UInt8], mac: [UInt8]) -> Bool {
        guard let sealed = try? seal(Self.zeros, name: "", iv: iv) else { return false }
        return constantTimeEquals(sealed.mac, mac)
    }

    private static let zeros = [UInt8](repeating: 0, count: 32)

    private func seal(_ secret: [UInt8], name: String, iv: [UInt8]) throws(RatchetError) -> Sealed {
        let (aesKey, macKey) = keys(name)
        let ciphertext = try translating { () throws(CryptographyError) in
            try AES256CTR.apply(key: aesKey, iv: iv, to: secret)
        }
        return Sealed(iv: iv, ciphertext: ciphertext, mac: HMACSHA256.authenticate(ciphertext, key: macKey))
    }

    private func keys(_ name: String) -> (aes: SecretView, mac: SecretView) {
        let keys = HKDFSHA256.deriveSecret(input: secret, salt: Self.zeros, info: Array(name.utf8), count: 64)
        return (keys.view(0..<32), keys.view(32..<64))
    }
}
