package import Cryptography

/// Reads what `PickleWriter` wrote.
package struct PickleReader {
    /// 1 or 2: see `PickleWriter.version`.
    let version: UInt8
    private let body: SecretBytes
    private var position = 0

    /// Throws `unsupportedVersion`, `malformed` for another kind, `cannotOpen` for another key or altered bytes.
    package init(_ pickle: [UInt8], _ kind: PickleKind, key: [UInt8]) throws(RatchetError) {
        guard pickle.count >= 2, pickle.count <= Limits.pickleBytes else { throw Self.malformed }
        version = pickle[0]
        guard (1...PickleWriter.version).contains(version) else { throw .unsupportedVersion(version) }
        guard pickle[1] == kind.rawValue else { throw Self.malformed }
        var opened = try translating { () throws(CryptographyError) in
            try XChaCha20Poly1305.open(Array(pickle[2...]), key: key, additionalData: Array(pickle[..<2]))
        }
        body = SecretBytes(opened, placement: .heap)
        wipe(&opened)
    }

    package mutating func byte() throws(RatchetError) -> UInt8 {
        try bytes(1)[0]
    }

    package mutating func integer() throws(RatchetError) -> UInt64 {
        try bytes(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A number of things that follow.
    package mutating func count(upTo limit: Int) throws(RatchetError) -> Int {
        guard let count = Int(exactly: try integer()), (0...limit).contains(count) else { throw Self.malformed }
        return count
    }

    package mutating func bytes(_ count: Int) throws(RatchetError) -> [UInt8] {
        try view(count).withBytes { [UInt8]($0) }
    }

    /// The next bytes, where they lie.
    package mutating func view(_ count: Int) throws(RatchetError) -> SecretView {
        guard count <= body.count - position else { throw Self.malformed }
        defer { position += count }
        return body.view(position..<(position + count))
    }

    /// 32 bytes.
    mutating func secret() throws(RatchetError) -> SecretBytes { SecretBytes(try view(32), placement: .pooled) }

    mutating func privateKey() throws(RatchetError) -> Curve25519.PrivateKey {
        var bytes = try bytes(32)
        defer { wipe(&bytes) }
        return try translating { () throws(CryptographyError) in try Curve25519.PrivateKey(bytes) }
    }

    mutating func publicKey() throws(RatchetError) -> Curve25519.PublicKey {
        let bytes = try bytes(32)
        return try translating { () throws(CryptographyError) in try Curve25519.PublicKey(bytes) }
    }

    mutating func signingKey() throws(RatchetError) -> Ed25519.SigningKey {
        if version > 1, try byte() == 1 {
            let expanded = try view(64)
            return try translating { () throws(CryptographyError) in try Ed25519.SigningKey(expanded: expanded) }
        }
        var bytes = try bytes(32)
        defer { wipe(&bytes) }
        return try translating { () throws(CryptographyError) in try Ed25519.SigningKey(seed: bytes) }
    }

    mutating func verifyingKey() throws(RatchetError) -> Ed25519.PublicKey {
        let bytes = try bytes(32)
        return try translating { () throws(CryptographyError) in try Ed25519.PublicKey(bytes) }
    }

    /// How much of codes messages carry; version 1 knew only truncated ones.
    mutating func form() throws(RatchetError) -> MACForm {
        guard version > 1 else { return .truncated }
        guard let form = MACForm(rawValue: try byte()) else { throw Self.malformed }
        return form
    }

    /// Nothing may be left.
    package func finish() throws(RatchetError) {
        guard position == body.count else { throw Self.malformed }
    }

    static var malformed: RatchetError { .malformed(rule: "a pickle is as we wrote it") }
}
