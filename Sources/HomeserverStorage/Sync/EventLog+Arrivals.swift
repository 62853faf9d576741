internal import SQLDatabase

/// Timelines as far as counting what is unread needs them: no bodies.
extension EventLog {
    /// An event of a timeline, by what its row says.
    public struct Arrival: Sendable, Hashable {
        public var position: Int64
        /// `event_nid`
        public var nid: Int64
        public var sender: String
        public var type: String
        /// What it relates to and how, if it does.
        public var relation: (type: String, target: String)? {
            guard let relationType, let target else { return nil }
            return (relationType, target)
        }
        var relationType: String?
        var target: String?
    }

    /// A stretch of a room's timeline: `after` < position <= `upTo`.
    public struct ArrivalStretch: Sendable {
        /// `room_nid`
        public var room: Int64
        public var after: Int64
        public var upTo: Int64

        public init(room: Int64, after: Int64, upTo: Int64) {
            self.room = room
            self.after = after
            self.upTo = upTo
        }
    }

    /// The events of a stretch of a room's timeline, oldest first: `after` < position <= `upTo`, the first `limit`.
    /// - Throws: `DatabaseError`.
    public func arrivals(room: Int64, after: Int64, upTo: Int64, limit: Int) throws -> [Arrival] {
        try connection.query(
            """
            SELECT e.position, e.event_nid, e.sender, e.type, r.rel_type, r.target
            FROM events e LEFT JOIN event_relations r ON r.event_nid = e.event_nid
            WHERE e.room_nid = \(room) AND e.position > \(after) AND e.position <= \(upTo)
            ORDER BY e.position LIMIT \(limit)
            """
        ).map { try Self.arrival($0, from: 0) }
    }

    /// The events of stretches of several rooms' timelines, oldest first: of each room the first `limit` of what
    /// `arrivals(room:after:upTo:limit:)` gives.
    /// - Throws: `DatabaseError`.
    public func arrivals(of stretches: [ArrivalStretch], limit: Int) throws -> [Int64: [Arrival]] {
        var found: [Int64: [Arrival]] = [:]
        for stretch in stretches { found[stretch.room] = [] }
        for chunk in stretches.chunks(of: Limits.stretchesPerStatement) {
            let wanted = chunk.map { stretch in
                """
                (CAST(\(stretch.room) AS BIGINT), CAST(\(stretch.after) AS BIGINT), CAST(\(stretch.upTo) AS BIGINT))
                """ as SQL
            }
            for row in try connection.query(
                """
                WITH wanted (room, low, high) AS (VALUES \(wanted.joined(separator: ", ")))
                SELECT DISTINCT e.room_nid, e.position, e.event_nid, e.sender, e.type, r.rel_type, r.target
                FROM wanted w CROSS JOIN events e LEFT JOIN event_relations r ON r.event_nid = e.event_nid
                WHERE e.room_nid = w.room AND e.position > w.low
                AND e.position <= COALESCE((SELECT x.position FROM events x WHERE x.room_nid = w.room
                    AND x.position > w.low AND x.position <= w.high ORDER BY x.position
                    LIMIT 1 OFFSET \(max(1, limit) - 1)), w.high)
                ORDER BY e.room_nid, e.position
                """)
            {
                found[try row.integer(0), default: []].append(try Self.arrival(row, from: 1))
            }
        }
        return found
    }

    private static func arrival(_ row: SQLRow, from first: Int) throws -> Arrival {
        Arrival(
            position: try row.integer(first), nid: try row.integer(first + 1), sender: try row.text(first + 2),
            type: try row.text(first + 3), relationType: try row.optionalText(first + 4),
            target: try row.optionalText(first + 5))
    }

    /// What events relate to, and how: only for those that do.
    /// - Throws: `DatabaseError`.
    public func relations(of ids: some Collection<String>) throws -> [String: (type: String, target: String)] {
        var found: [String: (type: String, target: String)] = [:]
        for chunk in Array(ids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT e.event_id, r.rel_type, r.target FROM events e
                JOIN event_relations r ON r.event_nid = e.event_nid WHERE e.event_id IN \(list: chunk)
                """)
            {
                found[try row.text(0)] = (try row.text(1), try row.text(2))
            }
        }
        return found
    }
}
