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
            SELECT state_key, key_nid FROM state_keys WHERE type = \(StoredText.stored(type.text)) LIMIT \(limit + 1)
            """)
        guard rows.count <= limit else { return nil }
        var found: [StateKey: Int64] = [:]
        for row in rows { found[StateKey(type, StoredText.original(try row.text(0)))] = try row.integer(1) }
        cache.remember(found)
        return Array(found.keys)
    }
}
