internal import MatrixModel
internal import MatrixRooms

/// What a client was told of a room since it learned that its user is in it.
struct ToldRoom: Sendable {
    /// A stretch that a timeline left out, and that is not paged through to its end.
    struct Gap: Sendable, Hashable {
        /// Where the next page begins.
        var from: String
        /// Where the client stood; nil before the room's first timeline.
        var since: String?
        /// How many pages may still be asked for; nil for as many as it takes.
        var pagesLeft: Int?
    }

    /// Pages to look for the user's own join before the first timeline.
    private static let pagesBefore = 10

    let user: UserID
    /// Whether state is told as of the end of timelines; otherwise as of their begin, and what stands in them goes on from it.
    let hasStateAfter: Bool
    /// Events of the timelines and of what filled their gaps.
    private(set) var events: Set<EventID> = []
    /// What was said of events: one text each, but where that changed.
    private(set) var texts: [EventID: Set<[UInt8]>] = [:]
    /// Events that a timeline told though they were told before.
    private(set) var repeated: [EventID] = []
    /// The room's state, as far as it was told.
    private(set) var state: [StateKey: EventID] = [:]
    /// Where what was told begins: all that came behind that must have been told.
    private(set) var beginning: EventID?
    private(set) var gaps: [Gap] = []
    private var hasBegun = false

    init(user: UserID, hasStateAfter: Bool) {
        self.user = user
        self.hasStateAfter = hasStateAfter
    }

    /// What a sync says of the room.
    /// - Parameters:
    ///   - state: the events of `state` or `state_after`.
    ///   - since: where the client stood.
    mutating func take(timeline: JSONValue?, state told: [JSONValue], since: String?) {
        let entries = timeline?["events"]?.elements ?? []
        for entry in entries + told { read(entry) }
        keep(told)
        if !hasStateAfter { keep(entries) }
        let ids = entries.compactMap(Self.id)
        for id in ids where !events.insert(id).inserted { repeated.append(id) }
        let isLimited = timeline?["limited"]?.bool == true
        let start = timeline?["prev_batch"]?.string
        guard hasBegun else {
            hasBegun = true
            if let join, ids.contains(join) { return beginning = join }
            beginning = ids.first
            if isLimited, let start { gaps.append(Gap(from: start, pagesLeft: Self.pagesBefore)) }
            return
        }
        if isLimited, let start { gaps.append(Gap(from: start, since: since)) }
    }

    /// A page of the newest gap.
    mutating func fill(_ chunk: [JSONValue], end: String?) {
        guard var gap = gaps.popLast() else { return }
        let isFirst = gap.pagesLeft != nil
        for entry in chunk { read(entry) }
        for id in chunk.compactMap(Self.id) {
            // From here on all is known.
            if !events.insert(id).inserted, !isFirst { return }
            if isFirst { beginning = id }
            if isFirst, id == join { return }
        }
        guard let end, end != gap.from else { return }
        gap.from = end
        gap.pagesLeft = gap.pagesLeft.map { $0 - 1 }
        if gap.pagesLeft.map({ $0 > 0 }) ?? true { gaps.append(gap) }
    }

    /// Gives what was told twice, and forgets it.
    mutating func takeRepeated() -> [EventID] {
        defer { repeated = [] }
        return repeated
    }

    /// The user's membership event.
    private var join: EventID? { state[StateKey(.member, user.text)] }

    private mutating func keep(_ entries: [JSONValue]) {
        for entry in entries {
            guard let key = entry["state_key"]?.string,
                let type = entry["type"]?.string.flatMap({ try? EventType($0) }),
                let id = Self.id(entry)
            else { continue }
            state[StateKey(type, key)] = id
        }
    }

    private mutating func read(_ entry: JSONValue) {
        if let id = Self.id(entry) { texts[id, default: []].insert(ToldContent.text(of: entry)) }
    }

    private static func id(_ entry: JSONValue) -> EventID? {
        entry["event_id"]?.string.flatMap { try? EventID($0) }
    }
}
