public import MatrixModel
public import MatrixRooms
internal import SQLDatabase

extension StateReader {
    /// The keys of a type that are set in any state of any room, so that those set in one can be looked up; nil when there
    /// are more than `limit`: then it is cheaper to read a whole state.
    /// - Throws: `DatabaseError`.
    public func keys(of type: EventType, limit: Int) throws -> [StateKey]? {
        let rows = try connection.query(
            """
            SELECT state_key, key_nid, unused_since FROM state_keys WHERE type = \(StoredText.stored(type.text))
            LIMIT \(limit + 1)
            """)
        guard rows.count <= limit else { return nil }
        var found: [StateKey] = []
        var used: [StateKey: Int64] = [:]
        for row in rows {
            let key = StateKey(type, StoredText.original(try row.text(0)))
            found.append(key)
            // What is marked as unused may go, and is not remembered: a writer that knew its number would not take the mark off.
            if try row.optionalInteger(2) == nil { used[key] = try row.integer(1) }
        }
        cache.remember(used)
        return found
    }
}
