internal import MatrixModel
public import SQLDatabase

/// Takes old messages out of a room's log, some at a time. State events stay: they are what the room is, and by them its
/// later events are judged. So do the newest events, on which the next is built.
///
/// What is here and refers to what was taken out is noted in `backward_extremities` as purged: clients find the end of
/// history there, and nobody fetches it again.
public struct HistoryPurge {
    /// Events looked at in a step.
    public static let eventsPerStep = 100
    /// Where so many events follow each other that may stay, the rest may too: they came later still.
    static let youngInARow = 400

    /// Before all events of a room.
    public static let beginning = -StreamPositions.greatest

    /// What a step did.
    public struct Step: Sendable {
        public var removed: Int
        /// Where the next goes on; nil when nothing is left.
        public var next: Int64?
        /// How many events that may stay it saw last.
        public var young: Int

        /// A step that did nothing yet.
        public init(young: Int = 0) { (removed, self.young) = (0, young) }
    }

    private let connection: any SQLConnection
    private let sealer: StorageSealer

    /// A room's history as this transaction sees it.
    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        self.connection = connection
        self.sealer = sealer
    }

    /// Where a purge of a room begins: before all that was not looked at yet.
    /// - Throws: `DatabaseError`.
    public func start(room: Int64) throws -> Int64 {
        try connection.query("SELECT looked_at FROM room_histories WHERE room_nid = \(room)").first?.integer(0)
            ?? Self.beginning
    }

    /// What does not come back to a room: messages sent before a time, of at most a depth. Nil where nothing was taken out.
    /// - Throws: `DatabaseError`.
    public func end(room: Int64) throws -> (before: Int64, depth: Int64)? {
        try connection.query("SELECT before_ts, depth FROM room_histories WHERE room_nid = \(room)").first
            .map { (try $0.integer(0), try $0.integer(1)) }
    }

    /// Looks at the next events of a room and takes out those that a cut takes.
    /// - Parameters:
    ///   - after: the place after which to look: `start`, then the `next` of the step before.
    ///   - young: the `young` of the step before.
    /// - Throws: `DatabaseError`.
    public func step(_ room: RoomRecord, _ cut: HistoryCut, after: Int64, young: Int = 0) throws -> Step {
        var step = Step(young: young)
        // Without its members a room's events are still to be judged again.
        guard !room.isPartial else { return step }
        let rows = try connection.query(
            """
            SELECT event_nid, event_id, position, origin_server_ts, depth, state_key, flags FROM events
            WHERE room_nid = \(room.nid) AND position > \(after) ORDER BY position LIMIT \(Self.eventsPerStep)
            """)
        var going: [Int64: EventID] = [:]
        var firstYoung: Int64?
        var depth: Int64 = 0
        var old: Set<Int64> = []
        for row in rows {
            let (nid, position) = (try row.integer(0), try row.integer(2))
            let isOld = cut.takes(sent: try row.integer(3), at: position)
            if isOld { old.insert(nid) }
            let isState = try row.optionalText(5) != nil
            if isState || room.extremities.contains(nid) { continue }
            guard isOld, !EventFlags(rawValue: try row.integer(6)).contains(.partialState) else {
                if firstYoung == nil { firstYoung = position - 1 }
                step.young += 1
                continue
            }
            step.young = 0
            going[nid] = try? EventID(row.text(1))
            depth = max(depth, try row.integer(4))
        }
        try markEnds(rows, going, old, room)
        let nids = going.keys.sorted()
        try connection.executeAll(EventRemoval.statements(for: nids, room: room.nid))
        try EventRemoval.notify(nids, connection)
        step.removed = nids.count
        let last = try rows.last?.integer(2)
        let isOver = rows.count < Self.eventsPerStep || step.young >= Self.youngInARow
        step.next = isOver ? nil : last
        // The next purge begins at what stayed for its youth, not behind it.
        try note(
            room.nid, from: after, upTo: firstYoung ?? last ?? after,
            before: nids.isEmpty ? 0 : cut.closes, depth: depth)
        return step
    }

    // MARK: What refers to what goes

    private func markEnds(
        _ rows: [SQLRow], _ going: [Int64: EventID], _ old: Set<Int64>, _ room: RoomRecord
    ) throws {
        let nids = try rows.map { try $0.integer(0) }
        let events = try EventLog(connection, sealer).events(nids: nids)
        var named: Set<EventID> = []
        var namedByOld: Set<EventID> = []
        var passed: Set<EventID> = []
        for nid in nids {
            guard let event = events[nid] else { continue }
            if going[nid] != nil {
                passed.formUnion(event.pdu.prevEvents)
            } else {
                named.formUnion(event.pdu.prevEvents)
                if old.contains(nid) { namedByOld.formUnion(event.pdu.prevEvents) }
            }
        }
        let gone = Set(going.values)
        let known = try ends(among: named.union(passed), room: room.nid)
        var statements: [SQL] = []
        for id in passed.subtracting(named) {
            switch known[id] {
            // What is older than what was taken out is not fetched.
            case 0: statements.append(Self.setting(id, 1, room.nid))
            case 2: statements.append(Self.removing(id, room.nid))
            default: break
            }
        }
        // What comes before what is old is older still.
        for id in named where gone.contains(id) || known[id] == 2 || (known[id] == 0 && namedByOld.contains(id)) {
            statements.append(Self.setting(id, 1, room.nid))
        }
        // Whether something that is not looked at yet refers to these shows later.
        for id in gone.subtracting(named).subtracting(passed) { statements.append(Self.setting(id, 2, room.nid)) }
        try connection.executeAll(statements)
    }

    private func ends(among ids: Set<EventID>, room: Int64) throws -> [EventID: Int64] {
        var found: [EventID: Int64] = [:]
        for chunk in ids.map(\.text).sorted().chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT event_id, purged FROM backward_extremities WHERE room_nid = \(room) AND event_id IN \(list: chunk)
                """)
            {
                if let id = try? EventID(row.text(0)) { found[id] = try row.integer(1) }
            }
        }
        return found
    }

    private static func setting(_ id: EventID, _ purged: Int64, _ room: Int64) -> SQL {
        """
        INSERT INTO backward_extremities (room_nid, event_id, purged) VALUES (\(room), \(id.text), \(purged))
        ON CONFLICT (room_nid, event_id) DO UPDATE SET purged = excluded.purged
        """
    }

    private static func removing(_ id: EventID, _ room: Int64) -> SQL {
        "DELETE FROM backward_extremities WHERE room_nid = \(room) AND event_id = \(id.text)"
    }

    private func note(_ room: Int64, from: Int64, upTo: Int64, before: Int64, depth: Int64) throws {
        let greatest = connection.dialect.greatest
        // A purge that began elsewhere does not move where the next one begins past what it has not seen.
        try connection.execute(
            """
            INSERT INTO room_histories (room_nid, looked_at, before_ts, depth)
            VALUES (\(room), \(upTo), \(before), \(depth))
            ON CONFLICT (room_nid) DO UPDATE SET
            looked_at = CASE WHEN room_histories.looked_at >= \(from) AND room_histories.looked_at < excluded.looked_at
                THEN excluded.looked_at ELSE room_histories.looked_at END,
            before_ts = \(raw: greatest)(room_histories.before_ts, excluded.before_ts),
            depth = \(raw: greatest)(room_histories.depth, excluded.depth)
            """)
    }
}

extension StreamPositions {
    /// More than any position.
    static let greatest: Int64 = 1 << 53
}
