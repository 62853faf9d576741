public import MatrixModel
public import SQLDatabase

/// Sessions of user-interactive authentication: rows, so that any node goes on with them.
public struct AuthenticationSessionStore {
    /// A session that has begun.
    public struct Session: Sendable, Hashable {
        public let id: String
        /// Whose request it is; `nil` before there is an account.
        public let user: UserID?
        /// The hash of what is asked for.
        public let operation: [UInt8]
        /// The stages passed.
        public var completed: Set<String>
        /// The registration token given.
        public var registrationToken: String?
        /// Milliseconds since 1970.
        public let expires: Int64

        public init(
            id: String, user: UserID?, operation: [UInt8], completed: Set<String> = [],
            registrationToken: String? = nil, expires: Int64
        ) {
            self.id = id
            self.user = user
            self.operation = operation
            self.completed = completed
            self.registrationToken = registrationToken
            self.expires = expires
        }
    }

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// A session that has not expired.
    public func session(_ id: String, now: Int64) throws -> Session? {
        let rows = try connection.query(
            """
            SELECT user_id, operation, completed, registration_token, expires_ts FROM uia_sessions
            WHERE session_id = \(id) AND expires_ts > \(now)
            """)
        guard let row = rows.first else { return nil }
        let user = try row.text(0)
        return Session(
            id: id, user: user.isEmpty ? nil : try UserID(user), operation: try row.bytes(1),
            completed: Set(try row.text(2).split(separator: " ").map(String.init)),
            registrationToken: try row.optionalText(3), expires: try row.integer(4))
    }

    /// Keeps a session, new or changed. Drops the expired, and the oldest above the limit.
    public func save(_ session: Session, now: Int64) throws {
        let completed = session.completed.sorted().joined(separator: " ")
        try connection.execute(
            """
            INSERT INTO uia_sessions (session_id, user_id, operation, completed, registration_token, expires_ts)
            VALUES (\(session.id), \(session.user?.text ?? ""), \(session.operation), \(completed),
                \(session.registrationToken.sqlValue), \(session.expires))
            ON CONFLICT (session_id) DO UPDATE SET
                completed = excluded.completed, registration_token = excluded.registration_token
            """)
        try connection.execute("DELETE FROM uia_sessions WHERE expires_ts <= \(now)")
        let excess = try connection.query("SELECT COUNT(*) FROM uia_sessions").first?.integer(0) ?? 0
        if excess > AccountLimits.authenticationSessions {
            try connection.execute(
                """
                DELETE FROM uia_sessions WHERE session_id IN (SELECT session_id FROM uia_sessions
                    ORDER BY expires_ts LIMIT \(excess - AccountLimits.authenticationSessions))
                """)
        }
    }

    /// Removes a session. Returns false when it is gone already: somebody else has used it.
    @discardableResult
    public func delete(_ id: String) throws -> Bool {
        try connection.execute("DELETE FROM uia_sessions WHERE session_id = \(id)") == 1
    }
}
