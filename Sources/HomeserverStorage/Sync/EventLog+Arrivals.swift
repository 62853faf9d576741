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
        ).map { row in
            Arrival(
                position: try row.integer(0), nid: try row.integer(1), sender: try row.text(2),
                type: try row.text(3), relationType: try row.optionalText(4), target: try row.optionalText(5))
        }
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
