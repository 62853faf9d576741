public import MatrixModel

/// An event to be written, with all that was worked out about it before the transaction.
public struct EventInsertion: Sendable {
    /// Where an event stands in its room's timeline.
    public enum Place: Sendable, Hashable {
        /// At the end: it is new, and gets the next positions of the stream `events`.
        case live
        /// Before all that is there: it gets a negative position.
        case backfilled
        /// At a position that is free: history that was missing between events that are there.
        case filled(Int64)
        /// Where it is already.
        case kept
        /// Nowhere: an outlier, or rejected, or soft-failed.
        case none
    }

    public var nid: Int64
    public var pdu: PDU
    public var place: Place
    public var flags: EventFlags
    public var stateAfter: StateRoot?
    public var replaces: Int64?
    /// The numbers of its auth events, as far as they are known; kept for state events.
    public var authNIDs: [Int64]
    public var origin: SendOrigin?
    /// The servers it is to be sent to.
    public var destinations: [ServerName]
    /// Whether its row is there already, as an outlier or soft-failed, and only gets a place.
    public var isKnown: Bool

    /// Makes an insertion.
    public init(
        nid: Int64, pdu: PDU, place: Place, flags: EventFlags = [], stateAfter: StateRoot?, replaces: Int64? = nil,
        authNIDs: [Int64] = [], origin: SendOrigin? = nil, destinations: [ServerName] = [], isKnown: Bool = false
    ) {
        self.nid = nid
        self.pdu = pdu
        self.place = place
        self.flags = flags
        self.stateAfter = stateAfter
        self.replaces = replaces
        self.authNIDs = authNIDs
        self.origin = origin
        self.destinations = destinations
        self.isKnown = isKnown
    }
}

/// A redaction to be carried out on an event that is in the log.
public struct AppliedRedaction: Sendable {
    /// The number of the event that is redacted.
    public var target: Int64
    /// What is left of it.
    public var redacted: PDU
    /// The redaction event.
    public var by: EventID

    /// Makes a redaction.
    public init(target: Int64, redacted: PDU, by: EventID) {
        self.target = target
        self.redacted = redacted
        self.by = by
    }
}

/// A membership that became current.
public struct MemberChange: Sendable {
    public var user: UserID
    /// Nil where the room has no membership event of the user any more.
    public var event: (nid: Int64, pdu: PDU)?

    /// Makes a change.
    public init(user: UserID, event: (nid: Int64, pdu: PDU)?) {
        self.user = user
        self.event = event
    }
}

/// One transaction's worth of change to one room, worked out beforehand against one head of it.
public struct RoomAppend: Sendable {
    /// What the room's head becomes.
    public struct Head: Sendable {
        public var state: StateRoot
        public var extremities: [Int64]
        public var depth: Int64

        /// Makes a head.
        public init(state: StateRoot, extremities: [Int64], depth: Int64) {
            self.state = state
            self.extremities = extremities
            self.depth = depth
        }
    }

    public var roomNID: Int64
    public var roomID: RoomID
    public var version: RoomVersion
    /// The head this was made for; nil for a room that is new.
    public var expectedHeadVersion: Int64?
    /// How far the room was known when its events were judged, where that must not have changed; an append with a head need
    /// not say it.
    public var expectedKnowledge: RoomKnowledge?
    /// The new head; nil when it stays as it is (outliers, history).
    public var head: Head?
    /// In the order of the timeline; history newest first.
    public var events: [EventInsertion] = []
    /// State nodes that are not stored yet.
    public var state: StateChange
    public var members: [MemberChange] = []
    /// Whether `members`, and those kept, are all there are.
    public var replacesAllMembers = false
    /// Whose membership stays as it is where all are replaced.
    public var keptMembers: [UserID] = []
    public var redactions: [AppliedRedaction] = []
    /// Redactions whose target is not known yet.
    public var pendingRedactions: [(target: EventID, redaction: Int64)] = []
    /// Targets whose waiting redactions were dealt with.
    public var settledRedactions: [EventID] = []
    public var newBackwardExtremities: [EventID] = []
    public var closedBackwardExtremities: [EventID] = []
    /// Users of this server whose syncs are to be woken beside those of joined members.
    public var concerned: [UserID] = []
    /// Whether what is known of the room becomes more, or begins. Its syncs are woken when it does.
    public var completeness = RoomCompleteness.unchanged
    /// Milliseconds since 1970, for the reply log.
    public var now: Int64

    /// An append without events yet.
    public init(
        roomNID: Int64, roomID: RoomID, version: RoomVersion, expectedHeadVersion: Int64?, head: Head?,
        state: StateChange, now: Int64
    ) {
        self.roomNID = roomNID
        self.roomID = roomID
        self.version = version
        self.expectedHeadVersion = expectedHeadVersion
        self.head = head
        self.state = state
        self.now = now
    }
}

/// The positions an append gave its events.
public struct AppendedPositions: Sendable {
    /// By event number; absent for events without a place.
    public var positions: [Int64: Int64] = [:]
    /// The new position of the stream `events`, if it moved.
    public var last: Int64?
}

/// How far a room's state is known.
public enum RoomCompleteness: Sendable {
    /// As far as before.
    case unchanged
    /// All but its members, since this join.
    case partial(PartialJoin)
    /// All of it, from now on, but for what could not be had.
    case whole(LeftOutState?)

    /// Whether it is partial from now on; nil where that stays.
    var isPartial: Bool? {
        switch self {
        case .unchanged: nil
        case .partial: true
        case .whole: false
        }
    }
}

/// A join that was answered without the room's members.
public struct PartialJoin: Sendable {
    /// The number of the join.
    public var nid: Int64
    /// The server that answered it.
    public var resident: ServerName
    /// The servers that are in the room, as the resident says.
    public var servers: [ServerName]

    /// Makes a join.
    public init(nid: Int64, resident: ServerName, servers: [ServerName]) {
        self.nid = nid
        self.resident = resident
        self.servers = servers
    }
}

/// A join by which this server came in, and the state events from before it that could not be had.
public struct LackingJoin: Sendable, Hashable {
    /// The number of the join.
    public var nid: Int64
    /// Their ids; none where only an earlier join lacks some.
    public var events: [EventID]

    /// Makes a join.
    public init(nid: Int64, events: [EventID]) {
        self.nid = nid
        self.events = events
    }
}

/// State events from before joins of a room that could not be had, for the keys of their servers were out of reach: they are
/// asked for again until a time, also where the room was left and joined again meanwhile.
public struct LeftOutState: Sendable {
    /// The joins since the first that lacks some, as they came; the last is that by which this server is in the room.
    public var joins: [LackingJoin]
    /// The server that answered the last.
    public var resident: String
    /// Until when they are asked for, milliseconds since 1970.
    public var until: Int64

    /// Makes what was left out; nil where nothing was. Of earlier joins those that lack nothing before the first that does go,
    /// and of more than `Limits.lackingJoins` the earliest.
    public init?(joins: [LackingJoin], resident: String, until: Int64) {
        let joins = Array(joins.suffix(Limits.lackingJoins).drop { $0.events.isEmpty })
        guard !joins.isEmpty else { return nil }
        self.joins = joins
        self.resident = resident
        self.until = until
    }
}

/// Somebody else changed the room's head in the meantime: read it again.
public struct RoomHeadMoved: Error, Sendable {
    /// Makes the error.
    public init() {}
}

/// A transaction id was used before; the first answer counts.
public struct RepeatedTransaction: Error, Sendable {
    /// The index of the event in the append.
    public var index: Int
    /// The answer given then.
    public var response: [UInt8]

    /// Makes the error.
    public init(index: Int, response: [UInt8]) {
        self.index = index
        self.response = response
    }
}
