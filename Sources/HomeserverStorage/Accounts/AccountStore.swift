public import MatrixModel
public import SQLDatabase

/// The table of accounts. All functions throw ``DatabaseError``.
public struct AccountStore {
    /// What the operator may switch on an account.
    public enum Flag: String, Sendable {
        case admin = "is_admin"
        case locked = "is_locked"
        case suspended = "is_suspended"
        case erased = "is_erased"
    }

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    private static let columns: SQL =
        """
        user_id, password_hash, created_ts, is_admin, is_guest, is_deactivated, is_locked, is_suspended, is_erased,
        user_type, application_service
        """

    /// The account of a user, deactivated or not.
    public func account(_ user: UserID) throws -> Account? {
        try connection.query("SELECT \(Self.columns) FROM accounts WHERE user_id = \(user.text)").first.map(read)
    }

    /// Those of `users` that have an account which is not deactivated.
    public func existing(_ users: [UserID]) throws -> Set<UserID> {
        let rows = try connection.query(
            "SELECT user_id FROM accounts WHERE is_deactivated = 0 AND user_id IN \(list: users.map(\.text))")
        return try Set(rows.map { try UserID($0.text(0)) })
    }

    /// Whether anybody asked to be forgotten.
    public func hasErased() throws -> Bool {
        try !connection.query("SELECT 1 FROM accounts WHERE is_erased = 1 LIMIT 1").isEmpty
    }

    /// Those of `users` who asked to be forgotten.
    public func erased(among users: Set<UserID>) throws -> Set<UserID> {
        var found: Set<UserID> = []
        for chunk in users.sorted().chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT user_id FROM accounts WHERE is_erased = 1 AND user_id IN \(list: chunk.map(\.text))")
            {
                found.insert(try UserID(row.text(0)))
            }
        }
        return found
    }

    /// Accounts in the order of their ids, after one.
    public func list(after: String = "", limit: Int = 1_000) throws -> [Account] {
        try connection.query(
            "SELECT \(Self.columns) FROM accounts WHERE user_id > \(after) ORDER BY user_id LIMIT \(limit)"
        ).map(read)
    }

    /// Makes an account. Returns false when the user exists, or once did.
    public func create(_ account: Account) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO accounts (user_id, password_hash, created_ts, is_admin, is_guest, user_type, application_service)
            VALUES (\(account.user.text), \(account.passwordHash.sqlValue), \(account.created), \(account.isAdmin),
                \(account.isGuest), \(account.userType.sqlValue), \(account.applicationService.sqlValue))
            ON CONFLICT (user_id) DO NOTHING
            """) == 1
    }

    /// Makes a guest a user. Returns false when there is no such guest.
    public func upgradeGuest(_ user: UserID, passwordHash: String?) throws -> Bool {
        try connection.execute(
            """
            UPDATE accounts SET is_guest = 0, password_hash = \(passwordHash.sqlValue)
            WHERE user_id = \(user.text) AND is_guest = 1 AND is_deactivated = 0
            """) == 1
    }

    /// Replaces the password's hash.
    public func setPasswordHash(_ hash: String?, of user: UserID) throws {
        try connection.execute("UPDATE accounts SET password_hash = \(hash.sqlValue) WHERE user_id = \(user.text)")
    }

    /// Switches a flag. Returns false when there is no such account.
    @discardableResult
    public func set(_ flag: Flag, _ value: Bool, of user: UserID) throws -> Bool {
        try connection.execute(
            "UPDATE accounts SET \(raw: flag.rawValue) = \(value) WHERE user_id = \(user.text)") == 1
    }

    /// Ends an account for good: no password, no rights. Devices and tokens are `DeviceStore`'s.
    public func deactivate(_ user: UserID, erase: Bool) throws {
        try connection.execute(
            """
            UPDATE accounts SET password_hash = NULL, is_deactivated = 1, is_admin = 0,
                is_erased = CASE WHEN \(erase ? 1 : 0) = 1 THEN 1 ELSE is_erased END
            WHERE user_id = \(user.text)
            """)
        try UserDirectory(connection).remove(user)
        if erase { try connection.notify("erased \(user.text)") }
    }

    /// Lets a deactivated account be used again. What was erased stays away. Returns false when it is not deactivated.
    public func reactivate(_ user: UserID, passwordHash: String?) throws -> Bool {
        let changed = try connection.execute(
            """
            UPDATE accounts SET password_hash = \(passwordHash.sqlValue), is_deactivated = 0, is_erased = 0
            WHERE user_id = \(user.text) AND is_deactivated = 1
            """)
        guard changed == 1 else { return false }
        try UserDirectory(connection).index(user)
        try connection.notify("erased \(user.text)")
        return true
    }

    private func read(_ row: SQLRow) throws -> Account {
        Account(
            user: try UserID(row.text(0)), passwordHash: try row.optionalText(1), created: try row.integer(2),
            isAdmin: try row.bool(3), isGuest: try row.bool(4), isDeactivated: try row.bool(5),
            isLocked: try row.bool(6), isSuspended: try row.bool(7), isErased: try row.bool(8),
            userType: try row.optionalText(9), applicationService: try row.optionalText(10))
    }
}
