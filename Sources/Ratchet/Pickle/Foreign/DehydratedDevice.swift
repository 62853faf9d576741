public import Cryptography

/// An account as MSC3814 keeps it on the server, `org.matrix.msc3814.v2`: what another client of the user needs to read what
/// was sent to it meanwhile. Its layout is vodozemac's.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
public struct DehydratedDevice: Sendable, Equatable {
    /// `device_pickle`, decoded: sealed with ChaCha20-Poly1305.
    public let pickle: [UInt8]
    /// `nonce`, decoded: 12 bytes.
    public let nonce: [UInt8]

    private static let version: UInt8 = 1

    /// Takes any bytes: they are checked when opened.
    public init(pickle: [UInt8], nonce: [UInt8]) {
        self.pickle = pickle
        self.nonce = nonce
    }

    /// Seals an account under the 32-byte key that secret storage keeps. Only keys are kept, not what is published: nothing
    /// will be published again. Throws `refusedKey` for another length, or for an account that came from libolm and so has
    /// no seed.
    public init(_ account: OlmAccount, key: SecretBytes, random: some RandomSource) throws(RatchetError) {
        guard !account.signingKey.isExpandedOnly else { throw .refusedKey }
        var body = SecretBuffer()
        body.append([0, 0, 0, Self.version])
        body.append(account.identitySecret)
        account.signingKey.withSeed { body.append($0) }
        body.append((0..<4).map { UInt8(truncatingIfNeeded: account.oneTimeKeys.count >> (24 - $0 * 8)) })
        for oneTimeKey in account.oneTimeKeys { body.append(oneTimeKey.secret) }
        body.append(account.fallback == nil ? 0 : 1)
        if let fallback = account.fallback { body.append(fallback.secret) }
        nonce = random.bytes(ChaCha20Poly1305.nonceSize)
        pickle = try Self.seal(body.bytes, key: key, nonce: nonce)
    }

    /// The account, whose keys all count as published. Throws `refusedKey`, `cannotOpen` for another key or altered bytes,
    /// `malformed` or `unsupportedVersion`.
    public func account(key: SecretBytes) throws(RatchetError) -> OlmAccount {
        guard pickle.count <= Limits.pickleBytes else { throw .malformed(rule: "a pickle has at most 1 MiB") }
        var opened = try translating { () throws(CryptographyError) in
            try ChaCha20Poly1305.open(pickle, key: key, nonce: nonce)
        }
        defer { wipe(&opened) }
        var reader = try LibolmReader(body: SecretBytes(opened, placement: .heap))
        guard reader.version == UInt32(Self.version) else {
            throw .unsupportedVersion(UInt8(truncatingIfNeeded: reader.version))
        }
        let identitySecret = try reader.privateKey()
        let signingKey = try reader.seededSigningKey()
        var keys: [OlmAccount.ImportedKey] = []
        for number in 0..<(try reader.count(upTo: Limits.oneTimeKeys)) {
            keys.append(.init(number: UInt64(number), isPublished: true, secret: try reader.privateKey()))
        }
        var fallbacks: [OlmAccount.ImportedKey] = []
        if try reader.flag() { fallbacks = [.init(number: 0, isPublished: true, secret: try reader.privateKey())] }
        try reader.finish()
        return OlmAccount(
            imported: keys, fallbacks: fallbacks, nextNumber: UInt64(keys.count), signingKey: signingKey,
            identitySecret: identitySecret)
    }

    private static func seal(_ body: SecretView, key: SecretBytes, nonce: [UInt8]) throws(RatchetError) -> [UInt8] {
        try translating { () throws(CryptographyError) in try ChaCha20Poly1305.seal(body, key: key, nonce: nonce) }
    }
}
