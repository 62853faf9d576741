internal import Cryptography

/// Reads what `PickleWriter` wrote.
struct PickleReader {
    private var rest: ArraySlice<UInt8>

    /// Throws `unsupportedVersion`, `malformed` for another kind, `cannotOpen` for another key or altered bytes.
    init(_ pickle: [UInt8], _ kind: PickleKind, key: [UInt8]) throws(RatchetError) {
        guard pickle.count >= 2, pickle.count <= Limits.pickleBytes else { throw Self.malformed }
        guard pickle[0] == PickleWriter.version else { throw .unsupportedVersion(pickle[0]) }
        guard pickle[1] == kind.rawValue else { throw Self.malformed }
        let body = try translating { () throws(CryptographyError) in
            try XChaCha20Poly1305.open(Array(pickle[2...]), key: key, additionalData: Array(pickle[..<2]))
        }
        rest = body[...]
    }

    mutating func byte() throws(RatchetError) -> UInt8 {
        guard let byte = rest.popFirst() else { throw Self.malformed }
        return byte
    }

    mutating func integer() throws(RatchetError) -> UInt64 {
        try bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A number of things that follow.
    mutating func count(upTo limit: Int) throws(RatchetError) -> Int {
        guard let count = Int(exactly: try integer()), (0...limit).contains(count) else { throw Self.malformed }
        return count
    }

    mutating func bytes(_ count: Int) throws(RatchetError) -> [UInt8] {
        guard count <= rest.count else { throw Self.malformed }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// 32 bytes.
    mutating func secret() throws(RatchetError) -> SecretBytes { SecretBytes(try bytes(32), placement: .heap) }

    mutating func privateKey() throws(RatchetError) -> Curve25519.PrivateKey {
        let bytes = try bytes(32)
        return try translating { () throws(CryptographyError) in try Curve25519.PrivateKey(bytes) }
    }

    mutating func publicKey() throws(RatchetError) -> Curve25519.PublicKey {
        let bytes = try bytes(32)
        return try translating { () throws(CryptographyError) in try Curve25519.PublicKey(bytes) }
    }

    mutating func signingKey() throws(RatchetError) -> Ed25519.SigningKey {
        let bytes = try bytes(32)
        return try translating { () throws(CryptographyError) in try Ed25519.SigningKey(seed: bytes) }
    }

    mutating func verifyingKey() throws(RatchetError) -> Ed25519.PublicKey {
        let bytes = try bytes(32)
        return try translating { () throws(CryptographyError) in try Ed25519.PublicKey(bytes) }
    }

    /// Nothing may be left.
    func finish() throws(RatchetError) {
        guard rest.isEmpty else { throw Self.malformed }
    }

    static var malformed: RatchetError { .malformed(rule: "a pickle is as we wrote it") }
}
