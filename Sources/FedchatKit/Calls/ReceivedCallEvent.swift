public import ClientEncryption
public import MatrixModel

/// An event about a call as it came: nothing of its content is believed yet.
public struct ReceivedCallEvent: Sendable {
    public let room: RoomID
    public let eventID: EventID
    public let sender: UserID
    /// The device that made the Megolm session; nil where it is not known, or nothing was encrypted.
    public let device: DeviceID?
    /// How sure it is that the device was the sender's; nil where nothing was encrypted.
    public let standing: SenderStanding?
    /// Whether the homeserver shows other keys for the device than at first, or another identity for the sender.
    public let hasChanged: Bool
    public let type: String
    public let content: JSONValue
    /// How old the homeserver says it is, and how long we have had it.
    public let age: Duration
    /// How old its sender says it is, by the two clocks; nil where it does not say. What the homeserver cannot change.
    public let claimedAge: Duration?

    /// An event of a room.
    public init(
        room: RoomID, eventID: EventID, sender: UserID, device: DeviceID?, standing: SenderStanding?,
        hasChanged: Bool = false, type: String, content: JSONValue, age: Duration, claimedAge: Duration? = nil
    ) {
        self.room = room
        self.eventID = eventID
        self.sender = sender
        self.device = device
        self.standing = standing
        self.hasChanged = hasChanged
        self.type = type
        self.content = content
        self.age = max(age, .zero)
        self.claimedAge = claimedAge
    }

    /// The same as if nothing of it had been encrypted.
    var inTheClear: Self {
        Self(
            room: room, eventID: eventID, sender: sender, device: nil, standing: nil, type: type, content: content,
            age: age, claimedAge: claimedAge)
    }
}
