public import MatrixModel
public import SQLDatabase

/// A room of which the members are not known yet, or state events that were there when it was joined.
public struct PartialRoom: Sendable {
    /// `room_nid`
    public var roomNID: Int64
    public var roomID: RoomID
    /// The join by which this server came in.
    public var joinNID: Int64
    /// The server that answered the join.
    public var resident: String
    /// How often completing it failed.
    public var failures: Int
    /// Whether all is known but what was left out.
    public var isWhole: Bool
    /// State events that could not be had, by the joins that they were before, as these came; and until when they are asked
    /// for, milliseconds since 1970. Of a room that is not whole yet, those of before its join.
    public var leftOut: [LackingJoin]
    public var leftOutUntil: Int64
}

/// Rooms that were joined without their members, or without a part of their state: what is still to be done for them, and by
/// whom.
public struct PartialRoomStore {
    private let connection: any SQLConnection

    /// The rooms as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// A room whose members are not known yet; nil for any other.
    /// - Throws: `DatabaseError`.
    public func room(_ nid: Int64) throws -> PartialRoom? {
        try rooms("WHERE p.completed IS NULL AND p.room_nid = \(nid)").first
    }

    /// What was left out of a room before, whole or not; nil where nothing was, or it is not asked for any more.
    /// - Throws: `DatabaseError`.
    public func leftOut(of nid: Int64, now: Int64) throws -> PartialRoom? {
        try rooms("WHERE p.left_out IS NOT NULL AND p.left_out_until > \(now) AND p.room_nid = \(nid)").first
    }

    /// A whole room of which state events were left out; nil for any other.
    /// - Throws: `DatabaseError`.
    public func roomWithLeftOut(_ nid: Int64) throws -> PartialRoom? {
        try rooms("WHERE p.completed IS NOT NULL AND p.left_out IS NOT NULL AND p.room_nid = \(nid)").first
    }

    /// The rooms that may be completed now and that no other node works on, those that failed least first; then those of which
    /// something was left out.
    /// - Throws: `DatabaseError`.
    public func due(now: Int64, holder: String, limit: Int) throws -> [PartialRoom] {
        let isFree: SQL =
            """
            p.retry_at <= \(now) AND (p.lease_until <= \(now) OR p.lease_holder = \(holder))
            ORDER BY p.failures, p.retry_at LIMIT \(limit)
            """
        return try rooms("WHERE p.completed IS NULL AND \(isFree)")
            + rooms("WHERE p.completed IS NOT NULL AND p.left_out IS NOT NULL AND \(isFree)")
    }

    /// Of what was left out of a room that was joined by this no more is asked for than that; nothing where nil.
    /// - Throws: `DatabaseError`.
    public func setLeftOut(_ leftOut: LeftOutState?, of nid: Int64, join: Int64) throws {
        try connection.execute(
            """
            UPDATE partial_rooms SET left_out = \(leftOut.map(Self.list)) WHERE room_nid = \(nid) AND join_nid = \(join)
            """)
    }

    private func rooms(_ clause: SQL) throws -> [PartialRoom] {
        let statement: SQL =
            """
            SELECT p.room_nid, r.room_id, p.join_nid, p.resident, p.failures, p.completed, p.left_out, p.left_out_until
            FROM partial_rooms p JOIN rooms r ON r.room_nid = p.room_nid \(clause)
            """
        return try connection.query(statement).map { row in
            guard let id = try? RoomID(row.text(1)) else {
                throw DatabaseError(.corrupt, "a room's id cannot be read")
            }
            return PartialRoom(
                roomNID: try row.integer(0), roomID: id, joinNID: try row.integer(2), resident: try row.text(3),
                failures: try row.int(4), isWhole: try row.optionalInteger(5) != nil,
                leftOut: Self.joins(try row.optionalText(6)), leftOutUntil: try row.integer(7))
        }
    }

    private static func joins(_ list: String?) -> [LackingJoin] {
        guard let list, let entries = (try? JSONDocument(Array(list.utf8)))?.root.elements else { return [] }
        return entries.compactMap { entry in
            guard let nid = entry["join"]?.integer else { return nil }
            let ids = entry["events"]?.elements.compactMap { $0.string.flatMap { try? EventID($0) } }
            return LackingJoin(nid: nid, events: ids ?? [])
        }
    }

    /// Takes or keeps the right to complete a room, if another has not just tried in vain.
    /// - Throws: `DatabaseError`.
    public func lease(_ nid: Int64, holder: String, now: Int64, until: Int64) throws -> Bool {
        try connection.execute(
            """
            UPDATE partial_rooms SET lease_holder = \(holder), lease_until = \(until)
            WHERE room_nid = \(nid) AND (completed IS NULL OR left_out IS NOT NULL) AND retry_at <= \(now)
            AND (lease_until <= \(now) OR lease_holder = \(holder))
            """) == 1
    }

    /// Keeps the rights that a node has.
    /// - Throws: `DatabaseError`.
    public func renew(holder: String, now: Int64, until: Int64) throws {
        try connection.execute(
            """
            UPDATE partial_rooms SET lease_until = \(until)
            WHERE (completed IS NULL OR left_out IS NOT NULL) AND lease_holder = \(holder) AND lease_until > \(now)
            """)
    }

    /// Gives the right to complete a room back, and notes how it went.
    /// - Parameter retryAt: when to try again after a failure, milliseconds since 1970; nil where nothing failed.
    /// - Throws: `DatabaseError`.
    public func release(_ nid: Int64, holder: String, retryAt: Int64?) throws {
        var change: SQL = "lease_until = 0"
        if let retryAt { change += ", failures = failures + 1, retry_at = \(retryAt)" }
        try connection.execute(
            "UPDATE partial_rooms SET \(change) WHERE room_nid = \(nid) AND lease_holder = \(holder)")
    }

    /// Takes every right away: for the only node, at its start.
    /// - Throws: `DatabaseError`.
    public func releaseAll() throws {
        try connection.execute("UPDATE partial_rooms SET lease_until = 0 WHERE lease_until > 0")
    }

    /// Gives a room up that none of our users is in any more. What was judged by a part of its state loses that state. What
    /// earlier joins lacked stays noted, for the next.
    /// - Returns: false when the room's head is not the expected one.
    /// - Throws: `DatabaseError`.
    public func abandon(_ nid: Int64, headVersion: Int64) throws -> Bool {
        let moved = try connection.execute(
            """
            UPDATE rooms SET \(RoomKnowledge.changed(isPartial: false)), head_version = head_version + 1
            WHERE room_nid = \(nid) AND head_version = \(headVersion)
            """)
        guard moved == 1 else { return false }
        try connection.executeAll([
            Self.clearingEvents(nid),
            "DELETE FROM partial_rooms WHERE room_nid = \(nid) AND left_out IS NULL",
            "UPDATE partial_rooms SET completed = 0, lease_until = 0 WHERE room_nid = \(nid)",
            "DELETE FROM partial_room_servers WHERE room_nid = \(nid)",
        ])
        return true
    }

    /// Takes the states away that are known in part.
    private static func clearingEvents(_ nid: Int64) -> SQL {
        """
        UPDATE events SET flags = flags - 8, state_after = NULL, head_state = NULL
        WHERE room_nid = \(nid) AND (flags & 8) <> 0
        """
    }

    /// What an append says of how far its room is known. Comes before the rows of its events.
    static func noting(_ append: RoomAppend) -> [SQL] {
        let nid = append.roomNID
        let forgetting: SQL = "DELETE FROM partial_room_servers WHERE room_nid = \(nid)"
        switch append.completeness {
        case .unchanged: return []
        case .partial(let join):
            let servers = join.servers.map { "(\(nid), \($0.text))" as SQL }
            var statements: [SQL] = [
                clearingEvents(nid), forgetting,
                """
                INSERT INTO partial_rooms (room_nid, join_nid, resident)
                VALUES (\(nid), \(join.nid), \(join.resident.text))
                ON CONFLICT (room_nid) DO UPDATE SET join_nid = excluded.join_nid, resident = excluded.resident,
                failures = 0, retry_at = 0, lease_until = 0, completed = NULL, amended = NULL
                """,
            ]
            for start in stride(from: 0, to: servers.count, by: Limits.bindsPerStatement / 2) {
                let rows = servers[start..<min(start + Limits.bindsPerStatement / 2, servers.count)]
                statements.append(
                    "INSERT INTO partial_room_servers (room_nid, server) VALUES "
                        + Array(rows).joined(separator: ", ") + " ON CONFLICT (room_nid, server) DO NOTHING")
            }
            return statements
        case .whole(let leftOut):
            return [
                clearingEvents(nid), forgetting,
                """
                UPDATE partial_rooms SET lease_until = 0, left_out = NULL,
                completed = COALESCE(completed, (SELECT position FROM streams WHERE name = 'events')),
                amended = CASE WHEN completed IS NULL THEN NULL
                    ELSE (SELECT position FROM streams WHERE name = 'events') END
                WHERE room_nid = \(nid) AND (completed IS NULL OR left_out IS NOT NULL)
                """,
            ] + (leftOut.map { [noting($0, nid, now: append.now)] } ?? [])
        }
    }

    /// A room that was joined with its members has a row for this alone, and was not completed at any position.
    private static func noting(_ leftOut: LeftOutState, _ nid: Int64, now: Int64) -> SQL {
        """
        INSERT INTO partial_rooms (room_nid, join_nid, resident, completed, left_out, left_out_until, retry_at)
        VALUES (\(nid), \(leftOut.joins.last?.nid), \(leftOut.resident), 0, \(list(leftOut)), \(leftOut.until), \(now))
        ON CONFLICT (room_nid) DO UPDATE SET join_nid = excluded.join_nid, resident = excluded.resident, failures = 0,
        left_out = excluded.left_out, left_out_until = excluded.left_out_until, retry_at = excluded.retry_at
        """
    }

    private static func list(_ leftOut: LeftOutState) -> String {
        let joins = leftOut.joins.map { join -> JSONValue in
            ["join": .integer(join.nid), "events": .array(join.events.map { .string($0.text) })]
        }
        return String(decoding: JSONValue.array(joins).serialized(), as: UTF8.self)
    }
}

extension EventLog {
    /// The numbers of a room's events that came after one, or have no place in its timeline; without outliers.
    /// - Throws: `DatabaseError`.
    public func nids(since nid: Int64, room: Int64, limit: Int) throws -> [Int64] {
        try connection.query(
            """
            SELECT event_nid FROM events WHERE room_nid = \(room) AND (flags & 1) = 0 AND (position IS NULL
            OR position >= (SELECT position FROM events WHERE event_nid = \(nid))) LIMIT \(limit)
            """
        ).map { try $0.integer(0) }
    }

    /// The events of a room that were judged by a part of its state, as they came.
    /// - Throws: `DatabaseError`.
    public func partialEvents(room: Int64) throws -> [StoredEvent] {
        let nids = try connection.query(
            "SELECT event_nid FROM events WHERE room_nid = \(room) AND (flags & 8) <> 0"
        ).map { try $0.integer(0) }
        return try events(nids: nids).values.sorted { $0.nid < $1.nid }
    }
}
