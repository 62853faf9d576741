internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Counts what users have not read, by their push rules, when a sync asks. What was counted is kept, and only what came since
/// is looked at: sending a message costs nothing here.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>
struct UnreadCounts: Sendable {
    /// What is known of some rooms before they are counted, read at once.
    struct Batch: Sendable {
        var records: [Int64: UnreadRecord] = [:]
        var places: [Int64: [String: Int64]] = [:]
        var rooms: Set<Int64> = []
        /// Of these the counts were left unfinished.
        var partial: Set<Int64> = []
    }

    /// Who asks, and by which rules.
    struct Asking: Sendable {
        var user: UserID
        /// When the rules changed: see `rulesPosition`.
        var rules: Int64
        /// Users whose messages are not counted.
        var ignored: Set<String>
    }

    let rooms: RoomReader
    let summaries: RoomSummaries
    private let kept = UnreadKept()
    private let rulesets = BoundedCache<UserID, (position: Int64, rules: PushRuleset)>(
        budget: SyncLimits.unreadBytes / 2)

    init(rooms: RoomReader, summaries: RoomSummaries) {
        self.rooms = rooms
        self.summaries = summaries
    }

    /// When what decides about counting changed, the user's push rules and whom the user ignores: a position of the stream
    /// `account_data`.
    /// - Throws: `DatabaseError`.
    func rulesPosition(of user: UserID, _ connection: any SQLConnection) throws -> Int64 {
        try connection.query(
            """
            SELECT MAX(position) FROM account_data
            WHERE user_id = \(user.text) AND room_id = '' AND type IN ('m.push_rules', 'm.ignored_user_list')
            """
        ).first?.optionalInteger(0) ?? 0
    }

    /// Reads what is kept of rooms that are going to be counted.
    /// - Throws: `DatabaseError`.
    func batch(
        _ nids: [Int64], of user: UserID, partial: [Int64] = [], _ connection: any SQLConnection
    ) throws -> Batch {
        guard !nids.isEmpty else { return Batch() }
        let unknown = nids.filter { kept.record(.init(user: user, room: $0)) == nil }
        return Batch(
            records: try UnreadStore(connection).records(of: user, rooms: unknown + partial),
            places: try ReceiptStore(connection).places(of: user, rooms: nids, threads: [UnreadRecord.main]),
            rooms: Set(nids), partial: Set(partial))
    }

    /// The counts of a room that the user is joined to.
    /// - Parameter budget: is spent; when it runs out the tally is not complete.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func tally(
        of room: SyncRoom, for asking: Asking, _ batch: Batch, budget: inout UnreadBudget,
        _ connection: any SQLConnection
    ) throws -> UnreadTally {
        let batch =
            batch.rooms.contains(room.nid) ? batch : try self.batch([room.nid], of: asking.user, connection)
        let key = UnreadKept.Key(user: asking.user, room: room.nid)
        var count = UnreadCount(
            rooms: rooms, summaries: summaries, connection: connection, room: room, asking: asking,
            rules: try rules(of: asking.user, at: asking.rules, connection),
            whole: batch.places[room.nid]?[""], main: batch.places[room.nid]?[UnreadRecord.main])
        let known = record(key, batch)
        var record = try known ?? count.fresh()
        let before = known
        let spent = budget
        try count.bringUpToDate(&record, &budget)
        let isPartial = record.complete < room.lastPosition
        let wasPartial = batch.partial.contains(room.nid)
        if record != before || wasPartial {
            kept.keep(
                record, key, looked: max(spent.events - budget.events, (spent.rows - budget.rows) / 16),
                isPartial: isPartial, mustSave: wasPartial)
        }
        return tally(of: record, isComplete: !isPartial)
    }

    /// The counts of a room with its threads, as far as one request may look.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func counts(
        of room: SyncRoom, for user: UserID, rulesPosition: Int64, ignoring ignored: Set<String>,
        _ connection: any SQLConnection
    ) throws -> UnreadTally.Counts {
        var budget = UnreadBudget()
        return try tally(
            of: room, for: Asking(user: user, rules: rulesPosition, ignored: ignored), Batch(), budget: &budget,
            connection
        ).total
    }

    /// Writes down what was counted, if there is enough of it. Nothing depends on it but the cost of counting again.
    func flush(_ database: any Database) async throws { try await kept.flush(database) }

    /// What this node knows, or what is stored where that goes further.
    private func record(_ key: UnreadKept.Key, _ batch: Batch) -> UnreadRecord? {
        let known = kept.record(key)
        guard let stored = batch.records[key.room] else { return known }
        if let known, known.counted >= stored.counted { return known }
        kept.loaded(stored, key)
        return stored
    }

    private func tally(of record: UnreadRecord, isComplete: Bool) -> UnreadTally {
        var tally = UnreadTally()
        tally.isComplete = isComplete
        for (name, thread) in record.threads where thread.last != nil {
            let counts = UnreadTally.Counts(notifications: thread.notifications, highlights: thread.highlights)
            if name == UnreadRecord.main { tally.main = counts } else { tally.threads[name] = counts }
        }
        return tally
    }

    private func rules(of user: UserID, at position: Int64, _ connection: any SQLConnection) throws -> PushRuleset {
        if let known = rulesets.value(user), known.position == position { return known.rules }
        let rules =
            try AccountDataStore(connection, rooms.sealer).pushRules(of: [user])[user] ?? PushRuleset(user: user)
        rulesets.put(user, (position, rules), cost: rules.rules.count * 512)
        return rules
    }
}
