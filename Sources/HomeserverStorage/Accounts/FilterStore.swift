public import MatrixModel
public import SQLDatabase

/// The filters a user has defined. Spec: <https://spec.matrix.org/v1.19/client-server-api/#filtering>
public struct FilterStore {
    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// A filter's JSON.
    public func filter(_ id: Int64, of user: UserID) throws -> [UInt8]? {
        try connection.query(
            "SELECT content FROM filters WHERE user_id = \(user.text) AND filter_id = \(id)"
        ).first.map { try $0.bytes(0) }
    }

    /// Keeps a filter, once per content, and gives its number, counted from 0. Above `limit` the oldest goes.
    public func add(_ content: [UInt8], hash: [UInt8], of user: UserID, limit: Int) throws -> Int64 {
        if let known = try number(of: hash, user) { return known }
        // Two at once would take the same number: the account is held, and the filters are looked at again.
        _ = try connection.query(
            "SELECT 1 FROM accounts WHERE user_id = \(user.text) \(raw: connection.dialect.forUpdate)")
        if let known = try number(of: hash, user) { return known }
        let next =
            try connection.query("SELECT COALESCE(MAX(filter_id), -1) + 1 FROM filters WHERE user_id = \(user.text)")
            .first?.integer(0) ?? 0
        try connection.execute(
            """
            INSERT INTO filters (user_id, filter_id, hash, content) VALUES (\(user.text), \(next), \(hash), \(content))
            """)
        try connection.execute(
            "DELETE FROM filters WHERE user_id = \(user.text) AND filter_id <= \(next - Int64(limit))")
        return next
    }

    private func number(of hash: [UInt8], _ user: UserID) throws -> Int64? {
        try connection.query(
            "SELECT filter_id FROM filters WHERE user_id = \(user.text) AND hash = \(hash)"
        ).first.map { try $0.integer(0) }
    }

    /// Removes all of a user's.
    public func deleteAll(of user: UserID) throws {
        try connection.execute("DELETE FROM filters WHERE user_id = \(user.text)")
    }
}
