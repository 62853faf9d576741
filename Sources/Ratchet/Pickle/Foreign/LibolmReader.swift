internal import Cryptography

/// Reads what libolm wrote: integers of four bytes, big endian; lists with their number first; keys as they are.
struct LibolmReader {
    private let body: SecretBytes
    /// After the version.
    private var position = 4

    /// The number in front, by which libolm changed its layouts.
    let version: UInt32

    /// Throws `malformed`, `wrongMAC` or `cannotOpen`.
    init(_ pickle: String, key: [UInt8]) throws(RatchetError) {
        try self.init(body: ForeignPickle.opened(pickle, key: key))
    }

    /// The opened pickle.
    init(body: SecretBytes) throws(RatchetError) {
        self.body = body
        guard body.count >= 4 else { throw Self.malformed }
        version = body.withBytes { $0.prefix(4).reduce(0) { $0 << 8 | UInt32($1) } }
    }

    mutating func integer() throws(RatchetError) -> UInt32 {
        try view(4).withBytes { $0.reduce(0) { $0 << 8 | UInt32($1) } }
    }

    mutating func byte() throws(RatchetError) -> UInt8 { try view(1).withBytes { $0[0] } }

    mutating func flag() throws(RatchetError) -> Bool {
        switch try byte() {
        case 0: false
        case 1: true
        default: throw Self.malformed
        }
    }

    mutating func count(upTo limit: Int) throws(RatchetError) -> Int {
        let count = Int(try integer())
        guard count <= limit else { throw Self.malformed }
        return count
    }

    mutating func view(_ count: Int) throws(RatchetError) -> SecretView {
        guard count <= body.count - position else { throw Self.malformed }
        defer { position += count }
        return body.view(position..<(position + count))
    }

    mutating func secret() throws(RatchetError) -> SecretBytes { SecretBytes(try view(32), placement: .pooled) }

    mutating func publicKey() throws(RatchetError) -> Curve25519.PublicKey {
        let bytes = try view(32).withBytes { [UInt8]($0) }
        return try translating { () throws(CryptographyError) in try Curve25519.PublicKey(bytes) }
    }

    /// A pair: the public half must be that of the secret one.
    mutating func keyPair() throws(RatchetError) -> Curve25519.PrivateKey {
        let publicKey = try publicKey()
        let pair = try privateKey()
        guard pair.publicKey == publicKey else { throw Self.malformed }
        return pair
    }

    mutating func privateKey() throws(RatchetError) -> Curve25519.PrivateKey {
        var bytes = try view(32).withBytes { [UInt8]($0) }
        defer { wipe(&bytes) }
        return try translating { () throws(CryptographyError) in try Curve25519.PrivateKey(bytes) }
    }

    mutating func verifyingKey() throws(RatchetError) -> Ed25519.PublicKey {
        let bytes = try view(32).withBytes { [UInt8]($0) }
        return try translating { () throws(CryptographyError) in try Ed25519.PublicKey(bytes) }
    }

    /// A pair whose secret half is expanded: libolm forgets the seed.
    mutating func signingKey() throws(RatchetError) -> Ed25519.SigningKey {
        let publicKey = try verifyingKey()
        let expanded = try view(64)
        let pair = try translating { () throws(CryptographyError) in try Ed25519.SigningKey(expanded: expanded) }
        guard pair.publicKey == publicKey else { throw Self.malformed }
        return pair
    }

    mutating func seededSigningKey() throws(RatchetError) -> Ed25519.SigningKey {
        var seed = try view(32).withBytes { [UInt8]($0) }
        defer { wipe(&seed) }
        return try translating { () throws(CryptographyError) in try Ed25519.SigningKey(seed: seed) }
    }

    mutating func megolmRatchet() throws(RatchetError) -> MegolmRatchet {
        let bytes = try view(MegolmRatchet.size)
        return try MegolmRatchet(bytes: bytes, index: integer())
    }

    /// Nothing may be left.
    func finish() throws(RatchetError) {
        guard position == body.count else { throw Self.malformed }
    }

    static var malformed: RatchetError { .malformed(rule: "a pickle is as libolm wrote it") }
}
