internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// What an answer of sliding sync says of a room. Spec: MSC4186, `RoomResult`.
struct SlidingRoom {
    /// A field that is told when it changes.
    enum Field {
        case unchanged
        /// Set to this, or to nothing.
        case now(String?)
    }

    struct Hero {
        var user: UserID
        var displayName: String?
        var avatarURL: String?
    }

    struct Timeline {
        var entries: [TimelineWindow.Entry]
        var isLimited: Bool
        var start: TimelineToken
        /// How many of the last came since the client last asked.
        var live: Int
    }

    var membership: Membership
    var bumpStamp: Int64?
    var isInitial = false
    var isExpanded = false
    var name = Field.unchanged
    var avatar = Field.unchanged
    var heroes: [Hero]?
    var isDirect: Bool?
    var timeline: Timeline?
    var state: [StoredEvent] = []
    /// Keys of the state that are set no more.
    var deleted: [StateKey] = []
    /// A membership event of which no more is known than what it says.
    var departure: JSONValue?
    var members: RoomSummaries.Counts?
    var unread: UnreadTally.Counts?
    /// Whether the user read on, so that the unread counts are news.
    var hasReadOn = false
    /// A JSON array.
    var stripped: [UInt8]?

    init(_ membership: Membership) { self.membership = membership }

    /// Whether there is anything to say.
    var isNews: Bool {
        if isInitial || isExpanded || hasReadOn || stripped != nil || departure != nil { return true }
        if case .now = name { return true }
        if case .now = avatar { return true }
        if let timeline, !timeline.entries.isEmpty || timeline.isLimited { return true }
        return heroes != nil || isDirect != nil || !state.isEmpty || !deleted.isEmpty || members != nil
    }
}
