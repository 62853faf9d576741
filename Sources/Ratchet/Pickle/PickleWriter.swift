package import Cryptography

/// What a pickle holds. The number is written into it, and a pickle of one kind is never read as another.
package enum PickleKind: UInt8 {
    case account = 1
    case session = 2
    case outboundGroupSession = 3
    case inboundGroupSession = 4
    case hybridSession = 5
    case encapsulationKeys = 6
}

/// A pickle: version, kind, then the state, big endian, sealed with XChaCha20-Poly1305.
package struct PickleWriter: ~Copyable {
    /// Version 1 had no kinds of signing keys and no forms of codes.
    static let version: UInt8 = 2

    private let header: [UInt8]
    private var body = SecretBuffer()

    package init(_ kind: PickleKind) { header = [Self.version, kind.rawValue] }

    package mutating func write(_ value: UInt8) { body.append(value) }

    package mutating func write(_ value: UInt64) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            body.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Its seed, or its expanded form.
    mutating func write(_ key: Ed25519.SigningKey) {
        write(UInt8(key.isExpandedOnly ? 1 : 0))
        key.withSeed { body.append($0) }
    }

    /// Bytes whose number the reader knows.
    package mutating func write(_ bytes: some ContiguousBytes) { body.append(bytes) }

    /// The header, readable and authenticated, then the sealed body; what was written is wiped. Throws `refusedKey` unless
    /// `key` has 32 bytes.
    package consuming func sealed(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        let (header, body) = (header, body.bytes)
        return header
            + (try translating { () throws(CryptographyError) in
                try XChaCha20Poly1305.seal(body, key: key, additionalData: header, random: random)
            })
    }
}
