public import Cryptography

/// A message with the three public keys that begin a session, parsed, not yet authenticated.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#pre-key-messages>
public struct PreKeyMessage: Sendable {
    /// Whatever the version of the message inside.
    private static let version: UInt8 = 3

    /// The sender's identity key, to compare with the device's.
    public var identityKey: Curve25519.PublicKey { keys.identityKey }
    /// The sender's single-use key.
    public var baseKey: Curve25519.PublicKey { keys.baseKey }
    /// The receiver's one-time or fallback key.
    public var oneTimeKey: Curve25519.PublicKey { keys.oneTimeKey }
    /// The id of the session that it begins.
    public var sessionID: String { keys.sessionID }

    /// How much of its code the message inside carries.
    package var form: MACForm {
        get throws(RatchetError) { try MACForm(of: message) }
    }

    let keys: SessionKeys
    /// The normal message inside.
    let message: ArraySlice<UInt8>

    /// Throws `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        guard bytes.count <= Limits.messageBytes else { throw .malformed(rule: "messages have at most 1 MiB") }
        guard let version = bytes.first else { throw .malformed(rule: "a message has a version") }
        guard version == Self.version else { throw .unsupportedVersion(version) }
        var found: [UInt64: ArraySlice<UInt8>] = [:]
        var reader = ProtobufReader(bytes.dropFirst())
        while let (field, value) = try reader.next() {
            if case .bytes(let bytes) = value, field <= 4 { found[field] = bytes }
        }
        guard let oneTimeKey = found[1], let baseKey = found[2], let identityKey = found[3], let message = found[4]
        else { throw .malformed(rule: "a pre-key message has three keys and a message") }
        keys = try translating { () throws(CryptographyError) in
            SessionKeys(
                identityKey: try Curve25519.PublicKey(Array(identityKey)),
                baseKey: try Curve25519.PublicKey(Array(baseKey)),
                oneTimeKey: try Curve25519.PublicKey(Array(oneTimeKey)))
        }
        // X25519 does not look at the highest bit, and nothing else covers this key: with another bit it would begin the same
        // session under another id.
        guard keys.baseKey.isCanonical else { throw .refusedKey }
        self.message = message
    }

    static func encoded(_ keys: SessionKeys, message: [UInt8]) -> [UInt8] {
        var writer = ProtobufWriter(version: version, capacity: message.count + 112)
        writer.write(keys.oneTimeKey.bytes, tag: 0x0a)
        writer.write(keys.baseKey.bytes, tag: 0x12)
        writer.write(keys.identityKey.bytes, tag: 0x1a)
        writer.write(message, tag: 0x22)
        return writer.bytes
    }
}

/// The public keys that a session began with; together they name it.
package struct SessionKeys: Sendable, Hashable {
    /// Of the side that sent first.
    package let identityKey: Curve25519.PublicKey
    /// Made for this session by the side that sent first.
    package let baseKey: Curve25519.PublicKey
    /// Of the other side.
    package let oneTimeKey: Curve25519.PublicKey

    var sessionID: String {
        Base64.encode(SHA256.hash(identityKey.bytes + baseKey.bytes + oneTimeKey.bytes))
    }
}
