public import MatrixModel
internal import SQLDatabase

/// Timelines as numbers and positions: the events come from the cache.
extension EventLog {
    /// A place in a room's timeline.
    public struct Place: Sendable, Hashable {
        public var position: Int64
        /// `event_nid`
        public var nid: Int64

        public init(position: Int64, nid: Int64) {
            self.position = position
            self.nid = nid
        }
    }

    /// The places of a stretch of a room's timeline: `after` < position <= `upTo`, cut at the end that comes last.
    /// - Throws: `DatabaseError`.
    public func places(
        room: Int64, after: Int64?, upTo: Int64?, limit: Int, newestFirst: Bool
    ) throws -> [Place] {
        var statement: SQL =
            "SELECT position, event_nid FROM events WHERE room_nid = \(room) AND position IS NOT NULL"
        if let after { statement += " AND position > \(after)" }
        if let upTo { statement += " AND position <= \(upTo)" }
        statement += newestFirst ? " ORDER BY position DESC" : " ORDER BY position"
        statement += " LIMIT \(max(0, limit))"
        return try connection.query(statement).map { Place(position: try $0.integer(0), nid: try $0.integer(1)) }
    }

    /// The newest places of several rooms' timelines, the newest first, of each at most `limit`.
    /// - Parameters:
    ///   - rooms: by `room_nid`, after which position; nil for the whole timeline.
    /// - Throws: `DatabaseError`.
    public func newestPlaces(of rooms: [Int64: Int64?], upTo: Int64, limit: Int) throws -> [Int64: [Place]] {
        var found = rooms.mapValues { _ in [Place]() }
        for chunk in rooms.map({ ($0.key, $0.value ?? Int64.min) }).chunks(of: Limits.stretchesPerStatement) {
            let wanted = chunk.map { room, after in "(CAST(\(room) AS BIGINT), CAST(\(after) AS BIGINT))" as SQL }
            for row in try connection.query(
                """
                WITH wanted (room, low) AS (VALUES \(wanted.joined(separator: ", ")))
                SELECT DISTINCT e.room_nid, e.position, e.event_nid FROM wanted w CROSS JOIN events e
                WHERE e.room_nid = w.room AND e.position IS NOT NULL AND e.position <= \(upTo)
                AND e.position >= COALESCE((SELECT x.position FROM events x WHERE x.room_nid = w.room
                    AND x.position > w.low AND x.position <= \(upTo) ORDER BY x.position DESC
                    LIMIT 1 OFFSET \(max(1, limit) - 1)), w.low + 1)
                ORDER BY e.room_nid, e.position DESC
                """)
            {
                found[try row.integer(0)]?.append(Place(position: try row.integer(1), nid: try row.integer(2)))
            }
        }
        return found
    }

    /// The last place of a room's timeline before a position; nil when there is none.
    /// - Throws: `DatabaseError`.
    public func lastPosition(room: Int64, before position: Int64) throws -> Int64? {
        try connection.query(
            "SELECT MAX(position) FROM events WHERE room_nid = \(room) AND position < \(position)"
        ).first?.optionalInteger(0)
    }

    /// The place of a room's newest event of some types, at or before a position; nil where none is among the newest
    /// `limit` events.
    /// - Throws: `DatabaseError`.
    public func lastPosition(
        room: Int64, of types: [EventType], upTo position: Int64, limit: Int
    ) throws -> Int64? {
        try connection.query(
            """
            SELECT MAX(t.position) FROM (SELECT position, type FROM events WHERE room_nid = \(room)
            AND position IS NOT NULL AND position <= \(position) ORDER BY position DESC LIMIT \(limit)) t
            WHERE t.type IN \(list: types.map(\.text))
            """
        ).first?.optionalInteger(0)
    }

    /// The state near a position: that after the last event at or before it whose state is known, else after the first such
    /// event that follows. Nil where no state of the room is known.
    /// - Throws: `DatabaseError`.
    public func stateRoot(room: Int64, near position: Int64) throws -> StateRoot? {
        if let root = try stateRoot(room: room, at: position) { return root }
        let statements: [SQL] = [
            "AND position <= \(position) ORDER BY position DESC LIMIT 1",
            "AND position > \(position) ORDER BY position LIMIT 1",
        ]
        for clause in statements {
            let row = try connection.query(
                """
                SELECT state_after FROM events WHERE room_nid = \(room) AND position IS NOT NULL
                AND state_after IS NOT NULL \(clause)
                """
            ).first
            if let root = try row?.optionalBytes(0).flatMap({ StateRoot($0) }) { return root }
        }
        return nil
    }

    /// The events of a room's timeline that were sent closest to a time, before or after it, the closest first.
    /// - Parameter timestamp: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func events(
        room: Int64, closestTo timestamp: Int64, forward: Bool, limit: Int
    ) throws -> [StoredEvent] {
        let clause: SQL =
            forward
            ? "AND origin_server_ts >= \(timestamp) ORDER BY origin_server_ts, position"
            : "AND origin_server_ts <= \(timestamp) ORDER BY origin_server_ts DESC, position DESC"
        let nids = try connection.query(
            """
            SELECT event_nid FROM events WHERE room_nid = \(room) AND position IS NOT NULL \(clause) LIMIT \(limit)
            """
        ).map { try $0.integer(0) }
        let found = try events(nids: nids)
        return nids.compactMap { found[$0] }
    }
}
