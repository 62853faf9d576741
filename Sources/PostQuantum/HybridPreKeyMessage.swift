public import Cryptography
public import Ratchet

/// A pre-key message with the key agreement that its session begins with, parsed, not yet authenticated. Its body in an event
/// is base64, its `type` 0.
public struct HybridPreKeyMessage: Sendable {
    /// The sender's identity key, to compare with the device's.
    public var identityKey: Curve25519.PublicKey { inner.identityKey }
    /// The id of the session that it begins.
    public var sessionID: String { inner.sessionID }

    let agreement: HybridAgreement
    let inner: PreKeyMessage

    private static let version: UInt8 = 1

    /// Throws `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(_ bytes: [UInt8]) throws(RatchetError) {
        guard bytes.count <= Limits.messageBytes else { throw .malformed(rule: "messages have at most 1 MiB") }
        guard let version = bytes.first else { throw .malformed(rule: "a message has a version") }
        guard version == Self.version else { throw .unsupportedVersion(version) }
        var found: [UInt64: ArraySlice<UInt8>] = [:]
        var reader = ProtobufReader(bytes.dropFirst())
        while let (field, value) = try reader.next() {
            if case .bytes(let bytes) = value, field <= 3 { found[field] = bytes }
        }
        guard let message = found[1], let keyHash = found[2], let ciphertext = found[3] else {
            throw .malformed(rule: "a hybrid pre-key message has a message, the hash of a key and a ciphertext")
        }
        guard keyHash.count == SHA256.size, ciphertext.count == MLKEM.ciphertextSize else { throw .refusedKey }
        agreement = HybridAgreement(keyHash: Array(keyHash), ciphertext: Array(ciphertext))
        inner = try PreKeyMessage(Array(message))
        guard try inner.form == .full else { throw .unsupportedVersion(MACForm.truncated.rawValue) }
    }

    static func encoded(_ agreement: HybridAgreement, message: [UInt8]) -> [UInt8] {
        var writer = ProtobufWriter(version: version, capacity: message.count + MLKEM.ciphertextSize + 64)
        writer.write(message, tag: 0x0a)
        writer.write(agreement.keyHash, tag: 0x12)
        writer.write(agreement.ciphertext, tag: 0x1a)
        return writer.bytes
    }
}
