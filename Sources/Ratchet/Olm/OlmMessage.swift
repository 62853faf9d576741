/// An encrypted Olm message: `type` and the decoded `body` of an `m.olm.v1.curve25519-aes-sha2` event.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#molmv1curve25519-aes-sha2>
public struct OlmMessage: Sendable, Hashable {
    /// Which of the two formats.
    public enum Kind: Int, Sendable {
        /// Carries the keys from which the other side can begin the session.
        case preKey = 0
        /// Once an answer has been read.
        case normal = 1
    }

    /// The number in the event's `type`.
    public let type: Kind
    /// The message itself; base64 in the event.
    public let bytes: [UInt8]

    /// Takes any bytes: they are judged when decrypted.
    public init(type: Kind, bytes: [UInt8]) {
        self.type = type
        self.bytes = bytes
    }
}
