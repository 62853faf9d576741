public import MatrixModel

/// Something that is being taken out, in steps that outlive a node.
public struct PurgeJob: Sendable, Identifiable {
    /// What is taken out.
    public enum Kind: String, Sendable {
        /// The old messages of a room.
        case history
        /// A room.
        case room
        /// What the states of rooms that are gone were made of.
        case leftovers
    }

    /// `job_nid`
    public let id: Int64
    public let kind: Kind
    /// Nil for leftovers.
    public let room: RoomID?
    /// `room_nid`; nil until the room is closed.
    public var roomNID: Int64?
    /// Which messages of its history go.
    public let cut: HistoryCut?
    /// Whether members of ours are taken out first.
    public let isForced: Bool
    /// Which of its parts is on.
    public var phase: Int64
    /// Where the part goes on.
    public var cursor: String
    /// Events, or nodes of states, taken out until now.
    public var removed: Int64
    /// Milliseconds since 1970.
    public let created: Int64
    public var finished: Int64?
    /// Why it ended without doing it.
    public var failure: String?
}
