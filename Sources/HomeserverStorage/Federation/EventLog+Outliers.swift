internal import SQLDatabase

extension EventLog {
    /// Those of some events that are known only as part of a state or an auth chain: what comes before them is not here.
    /// - Throws: `DatabaseError`.
    public func outliers(among nids: some Collection<Int64>) throws -> Set<Int64> {
        var found: Set<Int64> = []
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT event_nid FROM events WHERE event_nid IN \(list: chunk) AND position IS NULL
                AND (flags & \(EventFlags.outlier.rawValue)) <> 0
                """)
            {
                found.insert(try row.integer(0))
            }
        }
        return found
    }
}
