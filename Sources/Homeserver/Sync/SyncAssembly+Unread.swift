internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What is unread. Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>
extension SyncAssembly {
    /// Reads at once what is kept of the rooms' counts, and adds rooms of which an earlier answer left them unfinished.
    mutating func prepareCounting(_ rooms: inout [SyncRoom]) throws {
        var partial: [Int64] = []
        if request.since != nil {
            partial = try UnreadStore(connection).partialRooms(of: request.user)
            let unfinished = Set(partial).subtracting(rooms.map(\.nid))
            rooms += try SyncRooms(connection).joined(unfinished, of: request.user)
        }
        isCounting = !partial.isEmpty
        let wanted = rooms.filter { $0.membership == .join && request.filter.rooms.allows(room: $0.id) }
        counting = try sync.unread.batch(wanted.map(\.nid), of: request.user, partial: partial, connection)
    }

    /// Reads at once what is to be counted of some rooms.
    mutating func countAhead(_ rooms: [SyncRoom]) throws {
        guard !budget.isSpent else { return }
        try sync.unread.readAhead(rooms, for: asking(), &counting, connection)
    }

    private mutating func asking() throws -> UnreadCounts.Asking {
        let rules = try pushRulesPosition ?? sync.unread.rulesPosition(of: request.user, connection)
        pushRulesPosition = rules
        return .init(user: request.user, rules: rules, ignored: ignored)
    }

    /// What is unread of a room.
    mutating func tally(_ room: SyncRoom) throws -> UnreadTally {
        let tally = try sync.unread.tally(of: room, for: asking(), counting, budget: &budget, connection)
        if !tally.isComplete { isCounting = true }
        return tally
    }

    /// Writes `unread_notifications`, and the threads apart where the client asked for that.
    static func write(_ tally: UnreadTally, isByThread: Bool, into writer: inout JSONWriter) {
        writer.key("unread_notifications")
        write(isByThread ? tally.main : tally.total, into: &writer)
        guard isByThread else { return }
        writer.key("unread_thread_notifications")
        writer.beginObject()
        for (root, counts) in tally.threads.sorted(by: { $0.key < $1.key }) {
            writer.key(root)
            write(counts, into: &writer)
        }
        writer.endObject()
    }

    private static func write(_ counts: UnreadTally.Counts, into writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("highlight_count")
        writer.integer(counts.highlights)
        writer.key("notification_count")
        writer.integer(counts.notifications)
        writer.endObject()
    }
}
