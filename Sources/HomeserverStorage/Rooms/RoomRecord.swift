public import MatrixModel

/// A room and its head: what the next event builds on.
public struct RoomRecord: Sendable, Hashable, Identifiable {
    /// `room_nid`
    public let nid: Int64
    public let id: RoomID
    public let version: RoomVersion
    /// Counts the changes of the head; an append names the one it was made for.
    public var headVersion: Int64
    /// The current state: resolved over the extremities.
    public var state: StateRoot
    /// The forward extremities, by `event_nid`.
    public var extremities: [Int64]
    /// The greatest depth of the extremities.
    public var depth: Int64
    /// The position of its newest event.
    public var lastPosition: Int64
    /// Whether it is listed in this server's room directory.
    public var isPublished: Bool
    /// How far its state is known.
    public var knowledge: RoomKnowledge

    /// Whether its members are not all known yet: it was joined without them.
    public var isPartial: Bool { knowledge.isPartial }

    /// Makes a record.
    public init(
        nid: Int64, id: RoomID, version: RoomVersion, headVersion: Int64, state: StateRoot, extremities: [Int64],
        depth: Int64, lastPosition: Int64 = 0, isPublished: Bool = false,
        knowledge: RoomKnowledge = RoomKnowledge()
    ) {
        self.nid = nid
        self.id = id
        self.version = version
        self.headVersion = headVersion
        self.state = state
        self.extremities = extremities
        self.depth = depth
        self.lastPosition = lastPosition
        self.isPublished = isPublished
        self.knowledge = knowledge
    }

    static func packed(_ nids: [Int64]) -> [UInt8] {
        var bytes: [UInt8] = []
        for nid in nids { Varint.append(UInt64(bitPattern: nid), to: &bytes) }
        return bytes
    }

    static func unpacked(_ bytes: [UInt8]) -> [Int64] {
        var reader = Varint.Reader(bytes)
        var nids: [Int64] = []
        while !reader.isAtEnd, let nid = reader.next() { nids.append(Int64(bitPattern: nid)) }
        return nids
    }
}

/// A user's membership of a room.
public struct RoomMembership: Sendable, Hashable {
    /// `room_nid`
    public var roomNID: Int64
    public var roomID: RoomID
    public var user: UserID
    public var membership: Membership
    /// The membership event's number.
    public var eventNID: Int64
    /// The position of the stream `events` at which it became current.
    public var position: Int64
    public var displayName: String?
    public var avatarURL: String?
    /// The position of the room's newest event.
    public var roomLastPosition: Int64
}

/// An invite or knock of one of our users in a room this server is not in, as the other server gave it.
public struct ReceivedInvite: Sendable {
    public var user: UserID
    public var roomID: RoomID
    public var version: RoomVersion
    public var sender: UserID
    /// `.invite`, or `.knock` for a knock of ours.
    public var membership: Membership
    /// Its place in the stream `events`.
    public var position: Int64
    public var eventID: EventID
    /// The membership event in the format of federation.
    public var event: [UInt8]
    /// A JSON array of stripped state events, the membership event among them.
    public var strippedState: [UInt8]

    /// Makes an invite; `position` is set when it is saved.
    public init(
        user: UserID, roomID: RoomID, version: RoomVersion, sender: UserID, membership: Membership, position: Int64 = 0,
        eventID: EventID, event: [UInt8], strippedState: [UInt8]
    ) {
        self.user = user
        self.roomID = roomID
        self.version = version
        self.sender = sender
        self.membership = membership
        self.position = position
        self.eventID = eventID
        self.event = event
        self.strippedState = strippedState
    }
}
