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
        /// Events that are to be counted, of some of the rooms.
        var arrivals: [Int64: Arrivals] = [:]
    }

    /// The first events of a room behind a place, read at once with those of others.
    struct Arrivals: Sendable {
        var after: Int64
        /// At most `SyncLimits.unreadRowsAhead`.
        var list: [EventLog.Arrival]
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
    private let evaluation: PushEvaluation
    private let kept = UnreadKept()

    init(rooms: RoomReader, summaries: RoomSummaries) {
        self.rooms = rooms
        evaluation = PushEvaluation(rooms: rooms, summaries: summaries)
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
        guard !nids.isEmpty else { return Batch(partial: Set(partial)) }
        let unknown = nids.filter { kept.record(.init(user: user, room: $0)) == nil }
        return Batch(
            records: try UnreadStore(connection).records(of: user, rooms: unknown + partial),
            places: try ReceiptStore(connection).places(of: user, rooms: nids, threads: [UnreadRecord.main]),
            rooms: Set(nids), partial: Set(partial))
    }

    /// Reads the events of rooms that are going to be counted, in place of those of other rooms.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func readAhead(
        _ list: [SyncRoom], for asking: Asking, _ batch: inout Batch, _ connection: any SQLConnection
    ) throws {
        batch.arrivals = [:]
        // Of one room nothing is won.
        guard list.count > 1 else { return }
        let rules = try evaluation.rules(of: asking.user, at: asking.rules, connection)
        let log = rooms.log(connection)
        _ = try rooms.events.events(list.map(\.memberNID), from: log)
        var stretches: [EventLog.ArrivalStretch] = []
        for room in list {
            let known = record(.init(user: asking.user, room: room.nid), batch)
            let record = try known ?? count(room, asking, rules, batch, connection).fresh()
            let after = max(record.complete, batch.places[room.nid]?[""] ?? Int64.min)
            guard after < room.lastPosition, known.map({ $0.rules == asking.rules }) ?? true else { continue }
            stretches.append(.init(room: room.nid, after: after, upTo: room.lastPosition))
        }
        guard stretches.count > 1 else { return }
        let found = try log.arrivals(of: stretches, limit: SyncLimits.unreadRowsAhead)
        for stretch in stretches {
            batch.arrivals[stretch.room] = Arrivals(after: stretch.after, list: found[stretch.room] ?? [])
        }
        let judged = found.values.joined().lazy.filter { $0.sender != asking.user.text }.map(\.nid)
        _ = try rooms.events.events(Array(judged.prefix(SyncLimits.unreadEvents)), from: log)
    }

    private func count(
        _ room: SyncRoom, _ asking: Asking, _ rules: PushRuleset, _ batch: Batch, _ connection: any SQLConnection
    ) -> UnreadCount {
        UnreadCount(
            rooms: rooms, evaluation: evaluation, connection: connection, room: room, asking: asking, rules: rules,
            whole: batch.places[room.nid]?[""], main: batch.places[room.nid]?[UnreadRecord.main],
            ahead: batch.arrivals[room.nid])
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
        var count = count(
            room, asking, try evaluation.rules(of: asking.user, at: asking.rules, connection), batch, connection)
        let known = record(key, batch)
        var record = try known ?? count.fresh()
        let before = known
        let spent = budget
        try count.bringUpToDate(&record, &budget)
        let isPartial = record.complete < room.lastPosition
        let wasPartial = batch.partial.contains(room.nid)
        if record != before || wasPartial || isPartial {
            kept.keep(
                record, key, looked: max(spent.events - budget.events, (spent.rows - budget.rows) / 16),
                isPartial: isPartial, mustSave: wasPartial)
        }
        return tally(of: record, isComplete: !isPartial)
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
}
