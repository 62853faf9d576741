public import MatrixModel
public import SQLDatabase

/// Tokens of one purpose that soon expire, by the SHA-256 of their text.
public struct ShortLivedTokenStore {
    /// What a token is for.
    public enum Purpose: Sendable {
        /// `m.login.token`: logs in once.
        case login
        /// Proves to a third party who a user is.
        case openID

        var table: SQL {
            switch self {
            case .login: "login_tokens"
            case .openID: "openid_tokens"
            }
        }

        var limit: Int64 {
            switch self {
            case .login: AccountLimits.loginTokensPerUser
            case .openID: AccountLimits.openIDTokensPerUser
            }
        }
    }

    let connection: any SQLConnection
    let purpose: Purpose

    public init(_ connection: any SQLConnection, _ purpose: Purpose) {
        self.connection = connection
        self.purpose = purpose
    }

    /// Keeps a token. The user's expired ones go, and the oldest above the limit.
    public func insert(hash: [UInt8], user: UserID, expires: Int64, now: Int64) throws {
        let table = purpose.table
        try connection.execute("DELETE FROM \(table) WHERE user_id = \(user.text) AND expires_ts <= \(now)")
        try connection.execute(
            """
            DELETE FROM \(table) WHERE token_hash IN (SELECT token_hash FROM \(table) WHERE user_id = \(user.text)
                ORDER BY expires_ts DESC LIMIT 1000 OFFSET \(purpose.limit - 1))
            """)
        try connection.execute(
            "INSERT INTO \(table) (token_hash, user_id, expires_ts) VALUES (\(hash), \(user.text), \(expires))")
    }

    /// The user of a token that has not expired.
    public func user(hash: [UInt8], now: Int64) throws -> UserID? {
        try connection.query(
            "SELECT user_id FROM \(purpose.table) WHERE token_hash = \(hash) AND expires_ts > \(now)"
        ).first.map { try UserID($0.text(0)) }
    }

    /// Takes a token away and gives its user: only one caller gets it.
    public func redeem(hash: [UInt8], now: Int64) throws -> UserID? {
        try connection.query(
            "DELETE FROM \(purpose.table) WHERE token_hash = \(hash) AND expires_ts > \(now) RETURNING user_id"
        ).first.map { try UserID($0.text(0)) }
    }

    /// Removes all of a user's.
    public func deleteAll(of user: UserID) throws {
        try connection.execute("DELETE FROM \(purpose.table) WHERE user_id = \(user.text)")
    }
}
