public import MatrixModel
public import SQLDatabase

/// Access tokens and the refresh tokens paired with them, by the SHA-256 of their text.
public struct AccessTokenStore {
    /// A pair as it is kept.
    public struct Pair: Sendable, Hashable {
        /// The row.
        public let id: Int64
        public let user: UserID
        public let device: DeviceID
        /// Milliseconds since 1970 at which the access token ends; `nil`: never.
        public let expires: Int64?
        /// Whether it can be refreshed.
        public let isRefreshable: Bool
        /// The pair that dies when this one is first used.
        public let replaces: Int64?
    }

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    private static let columns: SQL =
        """
        token_id, user_id, device_id, expires_ts, CASE WHEN refresh_hash IS NULL THEN 0 ELSE 1 END, replaces
        """

    /// The pair of an access token, expired or not.
    public func pair(accessHash: [UInt8]) throws -> Pair? {
        try connection.query("SELECT \(Self.columns) FROM access_tokens WHERE access_hash = \(accessHash)").first
            .map(read)
    }

    /// The pair of a refresh token.
    public func pair(refreshHash: [UInt8]) throws -> Pair? {
        try connection.query("SELECT \(Self.columns) FROM access_tokens WHERE refresh_hash = \(refreshHash)").first
            .map(read)
    }

    /// Keeps a new pair. Returns its row.
    @discardableResult
    public func insert(
        accessHash: [UInt8], refreshHash: [UInt8]?, user: UserID, device: DeviceID, created: Int64, expires: Int64?,
        replaces: Int64? = nil
    ) throws -> Int64 {
        let rows = try connection.query(
            """
            INSERT INTO access_tokens (access_hash, refresh_hash, user_id, device_id, created_ts, expires_ts, replaces)
            VALUES (\(accessHash), \(refreshHash.sqlValue), \(user.text), \(device.text), \(created), \(expires.sqlValue), \(replaces.sqlValue))
            RETURNING token_id
            """)
        guard let row = rows.first else { throw DatabaseError(.corrupt, "an access token was not kept") }
        return try row.integer(0)
    }

    /// Notes that a pair was used: what it replaces dies.
    public func markUsed(_ pair: Pair) throws {
        guard let old = pair.replaces else { return }
        try connection.execute("DELETE FROM access_tokens WHERE token_id = \(old) AND user_id = \(pair.user.text)")
        try connection.execute("UPDATE access_tokens SET replaces = NULL WHERE token_id = \(pair.id)")
    }

    /// Removes the pairs that were got by refreshing `pair` and never used.
    public func deleteSuccessors(of pair: Pair) throws {
        try connection.execute("DELETE FROM access_tokens WHERE replaces = \(pair.id)")
    }

    /// Removes all pairs of a device.
    public func delete(user: UserID, device: DeviceID) throws {
        try connection.execute(
            "DELETE FROM access_tokens WHERE user_id = \(user.text) AND device_id = \(device.text)")
    }

    private func read(_ row: SQLRow) throws -> Pair {
        Pair(
            id: try row.integer(0), user: try UserID(row.text(1)), device: try DeviceID(row.text(2)),
            expires: try row.optionalInteger(3), isRefreshable: try row.bool(4), replaces: try row.optionalInteger(5))
    }
}
