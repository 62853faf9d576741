public import Cryptography

/// The key under which the rows of a client's store are sealed.
public struct StoreKey: Sendable, CustomStringConvertible {
    private let secret: SecretBytes

    /// 32 bytes from a key file. Throws `wrongLength` for another number.
    public init(_ bytes: [UInt8]) throws(CryptographyError) {
        guard bytes.count == XChaCha20Poly1305.keySize else {
            throw .wrongLength(expected: XChaCha20Poly1305.keySize, found: bytes.count)
        }
        secret = SecretBytes(bytes)
    }

    /// The key of a passphrase: Argon2id over `salt`, 16 bytes, 64 MiB and three passes, about 0.1 s. Call it where
    /// blocking is allowed. Throws `outOfRange` for a passphrase over 4 KiB.
    public init(passphrase: [UInt8], salt: [UInt8]) throws(CryptographyError) {
        guard !passphrase.isEmpty, passphrase.count <= Limits.passphraseBytes else { throw .outOfRange }
        let text = try PasswordHash.make(
            passphrase, cost: .init(passes: 3, memoryKiB: 64 << 10), random: GivenBytes(given: salt))
        guard let last = text.split(separator: "$").last, let hash = Base64.decode(String(last)) else {
            throw .outOfRange
        }
        try self.init(hash)
    }

    /// Seals a row's secret; `place` names the table and row, so that a row cannot be moved to another.
    public func seal(_ plaintext: [UInt8], place: String, random: any RandomSource) throws -> [UInt8] {
        try XChaCha20Poly1305.seal(
            plaintext, key: secret.bytes, additionalData: Array(place.utf8), random: random)
    }

    /// What `seal` was given. Throws `decryptionFailed` for another key, another place or altered bytes.
    public func open(_ sealed: [UInt8], place: String) throws(CryptographyError) -> [UInt8] {
        try XChaCha20Poly1305.open(sealed, key: secret.bytes, additionalData: Array(place.utf8))
    }

    /// For the pickles of the ratchet.
    var bytes: [UInt8] { secret.bytes }

    /// Always "…".
    public var description: String { "…" }
}

/// Gives the bytes it was given: a salt that is known already.
private struct GivenBytes: RandomSource {
    let given: [UInt8]

    func bytes(_ count: Int) -> [UInt8] { Array(given.prefix(count)) }
}
