public import MatrixModel

/// What a room's next events are, which decides who gets their key.
public enum RoomKeyPurpose: Sendable, Hashable {
    /// For whom the user's setting lets read (``KeySharing``); refused where somebody who was verified is someone else now.
    case messages
    /// Events of a verification: for every device that is not blocked, whatever is thought of it and its owner. It is by them
    /// that the two come to trust each other.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
    case verification

    /// Of an event by what it is in the clear.
    public init(_ type: String, _ content: JSONValue) {
        let isRequest = type == "m.room.message" && content["msgtype"]?.string == "m.key.verification.request"
        self = isRequest || type.hasPrefix("m.key.verification.") ? .verification : .messages
    }

    /// The setting that counts; nil for the user's.
    var sharing: KeySharing? { self == .verification ? .allDevices : nil }
}
