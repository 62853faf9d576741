public import Cryptography

/// Room keys on the server, `m.megolm_backup.v1.curve25519-aes-sha2`: anyone with the public key can add, only the
/// private key can read.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#backup-algorithm-mmegolm_backupv1curve25519-aes-sha2>
public struct BackupKey: Sendable {
    /// One sealed session, decoded: the three fields of `session_data`.
    public struct Sealed: Sendable, Equatable {
        /// A key made for this session.
        public let ephemeral: [UInt8]
        /// AES-256-CBC.
        public let ciphertext: [UInt8]
        /// Eight bytes.
        public let mac: [UInt8]

        /// Takes any bytes: they are checked when opened.
        public init(ephemeral: [UInt8], ciphertext: [UInt8], mac: [UInt8]) {
            self.ephemeral = ephemeral
            self.ciphertext = ciphertext
            self.mac = mac
        }
    }

    private let secret: Curve25519.PrivateKey

    /// A new backup's key.
    public static func generate(_ random: some RandomSource) -> BackupKey { BackupKey(secret: .generate(random)) }

    /// The key of the secret `m.megolm_backup.v1`. Throws `refusedKey` unless there are 32 bytes.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        self.init(secret: try translating { () throws(CryptographyError) in try Curve25519.PrivateKey(bytes) })
    }

    private init(secret: Curve25519.PrivateKey) { self.secret = secret }

    /// The 32 bytes to keep in secret storage.
    public var bytes: [UInt8] { secret.bytes }

    /// `public_key` of the backup's `auth_data`.
    public var publicKey: Curve25519.PublicKey { secret.publicKey }

    /// Seals for the holder of the private key. Throws `refusedKey` for a key of low order.
    public static func seal(
        _ plaintext: [UInt8], for publicKey: Curve25519.PublicKey, random: some RandomSource
    ) throws(RatchetError) -> Sealed {
        let ephemeral = Curve25519.PrivateKey.generate(random)
        let keys = try keys(ephemeral, publicKey)
        return Sealed(
            ephemeral: ephemeral.publicKey.bytes, ciphertext: try keys.encrypt(plaintext),
            mac: Array(keys.mac(over: [UInt8]())))
    }

    /// What was sealed. Throws `refusedKey`, `wrongMAC` for another key, or `cannotOpen`. By a historical accident that
    /// the spec keeps, the code covers nothing: altered ciphertext is noticed only by what it decrypts to.
    public func open(_ sealed: Sealed) throws(RatchetError) -> [UInt8] {
        let ephemeral = try translating { () throws(CryptographyError) in try Curve25519.PublicKey(sealed.ephemeral) }
        let keys = try Self.keys(secret, ephemeral)
        try keys.verify(sealed.mac[...], over: [UInt8]())
        return try keys.decrypt(sealed.ciphertext[...])
    }

    private static func keys(
        _ own: Curve25519.PrivateKey, _ other: Curve25519.PublicKey
    ) throws(RatchetError) -> CipherKeys {
        CipherKeys(
            secret: try translating { () throws(CryptographyError) in try own.agreement(with: other) },
            info: CipherPurpose.backup)
    }
}
