public import MatrixModel
public import SQLDatabase

/// The events of all rooms. Reading is here; `EventLog+Append.swift` writes.
public struct EventLog {
    let connection: any SQLConnection
    let sealer: StorageSealer

    /// The log as this transaction sees it.
    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        self.connection = connection
        self.sealer = sealer
    }

    // MARK: Events

    /// One event; nil when it is not known.
    /// - Throws: `DatabaseError`; also of kind `.corrupt` when a row cannot be read.
    public func event(_ id: EventID) throws -> StoredEvent? {
        try read("WHERE e.event_id = \(id.text)").first
    }

    /// The event of a number.
    /// - Throws: `DatabaseError`.
    public func event(nid: Int64) throws -> StoredEvent? {
        try read("WHERE e.event_nid = \(nid)").first
    }

    /// Those of `ids` that are known.
    /// - Throws: `DatabaseError`.
    public func events(ids: [EventID]) throws -> [EventID: StoredEvent] {
        var found: [EventID: StoredEvent] = [:]
        for chunk in ids.chunks(of: Limits.bindsPerStatement) {
            for event in try read("WHERE e.event_id IN \(list: chunk.map(\.text))") { found[event.id] = event }
        }
        return found
    }

    /// The events of `nids`, by number.
    /// - Throws: `DatabaseError`.
    public func events(nids: some Collection<Int64>) throws -> [Int64: StoredEvent] {
        var found: [Int64: StoredEvent] = [:]
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for event in try read("WHERE e.event_nid IN \(list: chunk)") { found[event.nid] = event }
        }
        return found
    }

    // MARK: Timelines

    /// A stretch of a room's timeline: events with `after` < position <= `upTo`, without those that are rejected or
    /// soft-failed. History fetched later has negative positions.
    /// - Parameters:
    ///   - limit: how many at most, taken from the end that comes first.
    ///   - newestFirst: the order of the answer, and which end is cut.
    /// - Throws: `DatabaseError`.
    public func timeline(
        room: Int64, after: Int64?, upTo: Int64?, limit: Int, newestFirst: Bool
    ) throws -> [StoredEvent] {
        var clause: SQL = "WHERE e.room_nid = \(room) AND e.position IS NOT NULL"
        if let after { clause += " AND e.position > \(after)" }
        if let upTo { clause += " AND e.position <= \(upTo)" }
        clause += newestFirst ? " ORDER BY e.position DESC" : " ORDER BY e.position"
        clause += " LIMIT \(max(0, limit))"
        return try read(clause)
    }

    /// An event's place in its room's timeline; nil when it has none or is not known.
    /// - Throws: `DatabaseError`.
    public func position(of id: EventID) throws -> Int64? {
        try connection.query("SELECT position FROM events WHERE event_id = \(id.text)").first?.optionalInteger(0)
    }

    /// The state of a room at a position of its timeline: what its newest events resolved to when the last event at or before
    /// it had come. Nil before the first event, or where the state is not known.
    /// - Throws: `DatabaseError`.
    public func stateRoot(room: Int64, at position: Int64) throws -> StateRoot? {
        try connection.query(
            """
            SELECT COALESCE(head_state, state_after) FROM events WHERE room_nid = \(room) AND position IS NOT NULL
            AND position <= \(position) ORDER BY position DESC LIMIT 1
            """
        ).first?.optionalBytes(0).flatMap { StateRoot($0) }
    }

    /// The newest event of a type whose place is at or before a position: for previews.
    /// - Throws: `DatabaseError`.
    public func lastPosition(room: Int64) throws -> Int64? {
        try connection.query(
            """
            SELECT position FROM events WHERE room_nid = \(room) AND position IS NOT NULL
            ORDER BY position DESC LIMIT 1
            """
        ).first?.optionalInteger(0)
    }

    // MARK: The graph

    /// The numbers of those of `ids` that are known as events of a room. An event may name any other, of whatever room.
    /// - Throws: `DatabaseError`.
    public func nids(_ ids: [EventID], room: Int64) throws -> [EventID: Int64] {
        var found: [EventID: Int64] = [:]
        for chunk in ids.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT event_id, event_nid FROM events WHERE event_id IN \(list: chunk.map(\.text))
                AND room_nid = \(room)
                """)
            {
                if let id = try? EventID(row.text(0)) { found[id] = try row.integer(1) }
            }
        }
        return found
    }

    /// The ids of numbers.
    /// - Throws: `DatabaseError`.
    public func ids(_ nids: some Collection<Int64>) throws -> [Int64: EventID] {
        var found: [Int64: EventID] = [:]
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT event_nid, event_id FROM events WHERE event_nid IN \(list: chunk)")
            {
                if let id = try? EventID(row.text(1)) { found[try row.integer(0)] = id }
            }
        }
        return found
    }

    /// The auth events of state events, by number; one without any is absent.
    /// - Throws: `DatabaseError`.
    public func authEdges(of nids: some Collection<Int64>) throws -> [Int64: [Int64]] {
        var edges: [Int64: [Int64]] = [:]
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT event_nid, auth_nid FROM auth_edges WHERE event_nid IN \(list: chunk)")
            {
                edges[try row.integer(0), default: []].append(try row.integer(1))
            }
        }
        return edges
    }

    /// The auth chain of events: all they lead to by their auth events, without themselves unless led to.
    /// - Throws: `DatabaseError`.
    public func authChain(of nids: some Collection<Int64>) throws -> Set<Int64> {
        var chain: Set<Int64> = []
        var expanded: Set<Int64> = []
        var level = Set(nids)
        while !level.isEmpty {
            expanded.formUnion(level)
            let above = Set(try authEdges(of: level).values.joined())
            chain.formUnion(above)
            level = above.subtracting(expanded)
        }
        return chain
    }

    /// Events that this server's timeline of a room refers to and does not have, and that may be fetched.
    /// - Throws: `DatabaseError`.
    public func backwardExtremities(room: Int64) throws -> [EventID] {
        try connection.query(
            "SELECT event_id FROM backward_extremities WHERE room_nid = \(room) AND purged = 0"
        ).compactMap { try? EventID($0.text(0)) }
    }

    /// The same of several rooms, by `room_nid`: only of those that refer to such events.
    /// - Throws: `DatabaseError`.
    public func backwardExtremities(rooms: some Collection<Int64>) throws -> [Int64: [EventID]] {
        var found: [Int64: [EventID]] = [:]
        for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT room_nid, event_id FROM backward_extremities WHERE room_nid IN \(list: chunk) AND purged = 0")
            {
                if let id = try? EventID(row.text(1)) { found[try row.integer(0), default: []].append(id) }
            }
        }
        return found
    }

    /// Events at which what this server has of a room ends: those that may be fetched, and those that were taken out.
    /// - Throws: `DatabaseError`.
    public func historyEnds(room: Int64) throws -> [(id: EventID, isPurged: Bool)] {
        try connection.query("SELECT event_id, purged FROM backward_extremities WHERE room_nid = \(room)")
            .compactMap { row in
                guard let id = try? EventID(row.text(0)) else { return nil }
                return (id, try row.integer(1) != 0)
            }
    }

    /// Whether this server's timeline of a room refers to an event, and did not have it.
    /// - Throws: `DatabaseError`.
    public func isBackwardExtremity(_ id: EventID, room: Int64) throws -> Bool {
        try !connection.query(
            "SELECT 1 FROM backward_extremities WHERE room_nid = \(room) AND event_id = \(id.text)"
        ).isEmpty
    }

    // MARK: Rows

    private func read(_ clause: SQL) throws -> [StoredEvent] {
        let statement: SQL =
            """
            SELECT e.event_nid, e.room_nid, e.event_id, r.room_id, r.version, e.position, e.flags, e.state_after,
            e.replaces, e.redacted_by, e.sender_device, e.transaction_id, e.body, e.head_state
            FROM events e JOIN rooms r ON r.room_nid = e.room_nid \(clause)
            """
        return try connection.query(statement).map(decode)
    }

    private func decode(_ row: SQLRow) throws -> StoredEvent {
        let eventID = try row.text(2)
        let version = try row.text(4)
        guard let id = try? EventID(eventID), let roomID = try? RoomID(row.text(3)),
            let version = RoomVersion(version)
        else { throw DatabaseError(.corrupt, "an event's names cannot be read") }
        let pdu: PDU
        do {
            let bytes = try sealer.open(row.bytes(12), context: "event:" + eventID)
            pdu = try PDU(trusted: bytes, id: id, roomID: roomID, version: version)
        } catch {
            throw DatabaseError(.corrupt, "the body of event \(eventID) cannot be read: \(error)")
        }
        return StoredEvent(
            nid: try row.integer(0), pdu: pdu, roomNID: try row.integer(1), position: try row.optionalInteger(5),
            flags: EventFlags(rawValue: try row.integer(6)),
            stateAfter: try row.optionalBytes(7).flatMap { StateRoot($0) },
            headState: try row.optionalBytes(13).flatMap { StateRoot($0) },
            replaces: try row.optionalInteger(8),
            redactedBy: try row.optionalText(9).flatMap { try? EventID($0) },
            senderDevice: try row.optionalText(10).flatMap { try? DeviceID($0) },
            transactionID: try row.optionalText(11))
    }
}

extension Array {
    /// The elements in order, in runs of at most `count`, each filled up to a power of two with its last element: so a
    /// statement with such a list has few texts, and is prepared once for each.
    func chunks(of count: Int) -> [[Element]] {
        stride(from: 0, to: self.count, by: count).map { start in
            var chunk = Array(self[start..<Swift.min(start + count, self.count)])
            guard let last = chunk.last else { return chunk }
            while chunk.count & (chunk.count - 1) != 0 { chunk.append(last) }
            return chunk
        }
    }
}

extension EventLog {
    /// The redactions of an event that came before it.
    /// - Throws: `DatabaseError`.
    public func pendingRedactions(of target: EventID, room: Int64) throws -> [StoredEvent] {
        let rows = try connection.query(
            """
            SELECT redaction_nid FROM pending_redactions
            WHERE target_event_id = \(target.text) AND room_nid = \(room)
            """)
        guard !rows.isEmpty else { return [] }
        return try events(nids: rows.map { try $0.integer(0) }).values.sorted { $0.nid < $1.nid }
    }
}
