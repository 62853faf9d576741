public import SQLDatabase

/// Tokens that let somebody register, and the nonces of registration by shared secret.
public struct RegistrationTokenStore {
    /// A token as the operator sees it.
    public struct Token: Sendable, Hashable {
        public let text: String
        /// How often it may be used; `nil`: without bound.
        public let usesAllowed: Int64?
        /// How often it was used.
        public let completed: Int64
        /// Milliseconds since 1970; `nil`: never.
        public let expires: Int64?
    }

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Keeps a token. Returns false when there is one of this text.
    public func create(_ text: String, usesAllowed: Int64?, expires: Int64?, now: Int64) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO registration_tokens (token, uses_allowed, created_ts, expires_ts)
            VALUES (\(text), \(usesAllowed.sqlValue), \(now), \(expires.sqlValue)) ON CONFLICT (token) DO NOTHING
            """) == 1
    }

    /// All tokens.
    public func list() throws -> [Token] {
        try connection.query(
            "SELECT token, uses_allowed, completed, expires_ts FROM registration_tokens ORDER BY created_ts, token"
        ).map { row in
            Token(
                text: try row.text(0), usesAllowed: try row.optionalInteger(1), completed: try row.integer(2),
                expires: try row.optionalInteger(3))
        }
    }

    /// Removes a token. Returns false when there is none.
    public func revoke(_ text: String) throws -> Bool {
        try connection.execute("DELETE FROM registration_tokens WHERE token = \(text)") == 1
    }

    /// Whether a token lets somebody register now.
    public func isValid(_ text: String, now: Int64) throws -> Bool {
        try !connection.query(
            "SELECT 1 FROM registration_tokens WHERE token = \(text) AND \(Self.usable(now))"
        ).isEmpty
    }

    /// Counts a use. Returns false when the token is not valid any more.
    public func use(_ text: String, now: Int64) throws -> Bool {
        try connection.execute(
            "UPDATE registration_tokens SET completed = completed + 1 WHERE token = \(text) AND \(Self.usable(now))")
            == 1
    }

    private static func usable(_ now: Int64) -> SQL {
        "(uses_allowed IS NULL OR completed < uses_allowed) AND (expires_ts IS NULL OR expires_ts > \(now))"
    }

    /// Keeps a nonce. Returns false when too many wait.
    public func addNonce(_ nonce: String, now: Int64) throws -> Bool {
        try connection.execute("DELETE FROM registration_nonces WHERE expires_ts <= \(now)")
        let count = try connection.query("SELECT COUNT(*) FROM registration_nonces").first?.integer(0) ?? 0
        guard count < AccountLimits.registrationNonces else { return false }
        try connection.execute(
            """
            INSERT INTO registration_nonces (nonce, expires_ts) VALUES (\(nonce), \(now + AccountLimits.nonceLifetime))
            """)
        return true
    }

    /// Takes a nonce away. Returns false when it is unknown, used or expired.
    public func takeNonce(_ nonce: String, now: Int64) throws -> Bool {
        try connection.execute("DELETE FROM registration_nonces WHERE nonce = \(nonce) AND expires_ts > \(now)") == 1
    }
}
