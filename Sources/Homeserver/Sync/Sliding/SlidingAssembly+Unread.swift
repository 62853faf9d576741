internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Counts, which only the shape of before tells. Spec: MSC3575, `notification_count`
extension SlidingAssembly {
    /// Reads at once what is needed to count rooms of which there may be something to say.
    mutating func readAhead(_ entries: [SlidingEntry]) throws {
        var news: [SyncRoom] = []
        for entry in entries {
            guard let room = entry.room, room.membership == .join else { continue }
            let isKnown = state[entry.id].map { $0.events == .now && entry.activity <= from?.events ?? 0 } ?? false
            if !isKnown || counting.partial.contains(room.nid) { news.append(room) }
        }
        try sync.summaries.prepare(news, connection)
        guard request.shape == .simplified else { return }
        counting = try sync.unread.batch(
            news.map(\.nid), of: request.user, partial: Array(counting.partial), connection)
        try sync.unread.readAhead(Array(news.prefix(SyncLimits.roomsAhead)), for: asking(), &counting, connection)
    }

    /// What is unread of a room, as far as it is counted: the next request goes on with what is not.
    mutating func unread(_ room: SyncRoom) throws -> UnreadTally.Counts {
        try sync.unread.tally(of: room, for: asking(), counting, budget: &budget, connection).total
    }

    private mutating func asking() throws -> UnreadCounts.Asking {
        let rules = try pushRulesPosition ?? sync.unread.rulesPosition(of: request.user, connection)
        pushRulesPosition = rules
        return .init(user: request.user, rules: rules, ignored: ignored)
    }
}
