public import ClientEncryption
public import MatrixModel

/// An event of a room as a person reads it.
public struct TimelineEvent: Sendable {
    /// What became of its encryption.
    public enum Encryption: Sendable, Hashable {
        /// It was sent in the clear.
        case none
        /// It was decrypted.
        case decrypted(Origin)
        /// It could not be read.
        case failed(Undecryptable)

        static func decrypted(by event: DecryptedEvent) -> Encryption {
            .decrypted(
                Origin(
                    device: event.device, standing: event.standing, source: event.source, vouchedBy: event.vouchedBy))
        }
    }

    /// Who wrote an encrypted event, as far as is known.
    public struct Origin: Sendable, Hashable {
        /// The device that sent it, where known.
        public let device: DeviceID?
        /// How sure it is that it was the event's sender.
        public let standing: SenderStanding
        /// Where the key was had.
        public let source: RoomKeySource
        /// Of whom, where it was not the sender.
        public let vouchedBy: String?
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
        case .decrypted(let origin):
            json["encrypted"] = true
            json["device_id"] = origin.device.map { .string($0.text) }
            json["sender_standing"] = .string(origin.standing.rawValue)
            json["key_source"] = .string(origin.source.rawValue)
            json["key_from"] = origin.vouchedBy.map { .string($0) }
        case .failed(let why):
            json["encrypted"] = true
            json["undecryptable"] = .string(why.cause.rawValue)
            json["withheld_code"] = why.code.map { .string($0) }
        }
        return json
    }
}
