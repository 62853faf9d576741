public import MatrixModel

/// An event of a room as a person reads it.
public struct TimelineEvent: Sendable {
    /// What became of its encryption.
    public enum Encryption: Sendable, Hashable {
        /// It was sent in the clear.
        case none
        /// It was decrypted; the device that sent it, where known.
        case decrypted(device: DeviceID?)
        /// It could not be read; `reason` is a word for programs.
        case failed(reason: String)
    }

    /// The event as the server sent it, with type and content in the clear.
    public let event: JSONValue
    public let encryption: Encryption
    public let room: RoomID

    /// One JSON object with `room_id` and `encryption`, as `listen --json` prints it.
    public var json: JSONValue {
        var json = event
        json["room_id"] = .string(room.text)
        switch encryption {
        case .none: json["encrypted"] = false
        case .decrypted(let device):
            json["encrypted"] = true
            json["device_id"] = device.map { .string($0.text) }
        case .failed(let reason):
            json["encrypted"] = true
            json["undecryptable"] = .string(reason)
        }
        return json
    }
}
