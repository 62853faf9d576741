public import MatrixModel

/// What a check of a room's log found.
public struct RoomCheckReport: Sendable {
    /// What does not agree.
    public enum Kind: String, Sendable, CaseIterable {
        /// The body cannot be opened: it is damaged, or its key is not in the key file.
        case bodyUnreadable = "body_unreadable"
        /// The body is no event of the room's version.
        case malformed
        /// The body's reference hash is not the event's id.
        case eventID = "event_id"
        /// The body is not the canonical JSON of what it says.
        case notCanonical = "not_canonical"
        /// A column says something else than the body.
        case columns
        /// The event is of another room.
        case otherRoom = "other_room"
        /// The content is not what was hashed.
        case contentHash = "content_hash"
        /// A signature it needs is missing, wrong, or by a key that is not known.
        case signature
        /// `auth_edges` has other auth events than the body.
        case authEdges = "auth_edges"
        /// It is rejected though the rules allow it, or not though they do not.
        case verdict
        /// It has a place in the timeline and should have none, or the other way round.
        case place
        /// The state after it is another than what follows from the log.
        case stateAfter = "state_after"
        /// The trie's nodes cannot be read, or do not hash to their names.
        case stateUnreadable = "state_unreadable"
        /// It took the place of another event than it says.
        case replaces
        /// It is redacted and should not be, or should be and is not.
        case redaction
        /// Events refer to each other in a circle.
        case circle
        /// The room's row has another id or version than its create event.
        case room
        /// The room's newest events, or their depth, are others.
        case extremities
        /// The current state is another than what the newest events resolve to.
        case currentState = "current_state"
        /// `room_members` has other members than the current state.
        case members
        /// The list of events that are referred to and not here is another.
        case backwardExtremities = "backward_extremities"
    }

    public struct Difference: Sendable, Hashable {
        public let kind: Kind
        public let event: EventID?
        /// For a person; holds no content.
        public let detail: String
    }

    /// Differences that are kept with their details; more are only counted.
    public static let kept = 1_000

    public let room: RoomID
    public let version: RoomVersion
    public internal(set) var events = 0
    public internal(set) var stateEvents = 0
    public internal(set) var inTimeline = 0
    public internal(set) var outliers = 0
    public internal(set) var rejected = 0
    public internal(set) var softFailed = 0
    public internal(set) var redacted = 0
    /// Events that came with another content than was hashed, and were kept without it.
    public internal(set) var redactedOnReceipt = 0
    /// Events before which something is not here: what the state before them was, another server said.
    public internal(set) var toldStates = 0
    /// Events with several before them whose states differed.
    public internal(set) var resolutions = 0
    /// Events whose state differs only since that of one before them does.
    public internal(set) var following = 0
    /// Events that came before the room's members were known, and are still to be judged.
    public internal(set) var partial = 0
    /// Events that could not be judged since others are damaged.
    public internal(set) var unjudged = 0
    public private(set) var counts: [Kind: Int] = [:]
    public private(set) var differences: [Difference] = []

    init(room: RoomID, version: RoomVersion) {
        self.room = room
        self.version = version
    }

    /// Whether the log and all that was made of it agree.
    public var agrees: Bool { counts.isEmpty }

    mutating func add(_ kind: Kind, _ event: EventID?, _ detail: String) {
        counts[kind, default: 0] += 1
        if differences.count < Self.kept { differences.append(Difference(kind: kind, event: event, detail: detail)) }
    }
}
