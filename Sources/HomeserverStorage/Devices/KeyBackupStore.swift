public import MatrixModel
public import SQLDatabase

/// Backups of room keys, encrypted by the clients.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>
public struct KeyBackupStore {
    /// A backup, without its keys.
    public struct Backup: Sendable, Equatable {
        public var version: Int64
        public var algorithm: String
        /// A JSON object.
        public var authData: [UInt8]
        /// How often the keys changed.
        public var etag: Int64
        /// How many keys there are.
        public var count: Int64
    }

    /// A key of a Megolm session.
    public struct Key: Sendable, Equatable {
        public var roomID: String
        public var sessionID: String
        public var firstMessageIndex: Int64
        public var forwardedCount: Int64
        public var isVerified: Bool
        /// A JSON object.
        public var sessionData: [UInt8]

        public init(
            roomID: String, sessionID: String, firstMessageIndex: Int64, forwardedCount: Int64, isVerified: Bool,
            sessionData: [UInt8]
        ) {
            self.roomID = roomID
            self.sessionID = sessionID
            self.firstMessageIndex = firstMessageIndex
            self.forwardedCount = forwardedCount
            self.isVerified = isVerified
            self.sessionData = sessionData
        }

        /// Whether this takes the place of another key of the same session: verified before not, then the one that decrypts
        /// more, then the one that went through fewer hands.
        func replaces(_ other: Key) -> Bool {
            if isVerified != other.isVerified { return isVerified }
            if firstMessageIndex != other.firstMessageIndex { return firstMessageIndex < other.firstMessageIndex }
            return forwardedCount < other.forwardedCount
        }
    }

    /// Which keys: those of all rooms, of a room, or of a session.
    public struct Scope: Sendable, Equatable {
        public var roomID: String?
        public var sessionID: String?

        public init(roomID: String? = nil, sessionID: String? = nil) {
            self.roomID = roomID
            self.sessionID = sessionID
        }

        fileprivate var condition: SQL {
            var sql: SQL = ""
            if let roomID { sql += " AND room_id = \(roomID)" }
            if let sessionID { sql += " AND session_id = \(sessionID)" }
            return sql
        }
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Versions

    /// A backup, the newest if no version is named.
    public func backup(of user: UserID, version: Int64? = nil) throws -> Backup? {
        var sql: SQL = """
            SELECT version, algorithm, auth_data, etag, key_count FROM key_backups WHERE user_id = \(user.text)
            """
        if let version { sql += " AND version = \(version)" }
        sql += " ORDER BY version DESC LIMIT 1"
        return try connection.query(sql).first.map { row in
            Backup(
                version: try row.integer(0), algorithm: try row.text(1), authData: try row.bytes(2),
                etag: try row.integer(3), count: try row.integer(4))
        }
    }

    /// Begins a backup and gives its version. Beyond `limit` backups the oldest goes.
    public func create(of user: UserID, algorithm: String, authData: [UInt8], limit: Int) throws -> Int64 {
        let version =
            try connection.query(
                """
                INSERT INTO key_backup_versions (user_id, newest) VALUES (\(user.text), 1)
                ON CONFLICT (user_id) DO UPDATE SET newest = key_backup_versions.newest + 1 RETURNING newest
                """
            ).first?.integer(0) ?? 1
        try connection.execute(
            """
            INSERT INTO key_backups (user_id, version, algorithm, auth_data)
            VALUES (\(user.text), \(version), \(algorithm), \(authData))
            """)
        let kept = try connection.query(
            "SELECT version FROM key_backups WHERE user_id = \(user.text) ORDER BY version DESC"
        ).map { try $0.integer(0) }
        for old in kept.dropFirst(limit) { try remove(of: user, version: old) }
        return version
    }

    /// Changes what a backup says of itself. Returns false when there is no such backup.
    public func update(_ authData: [UInt8], of user: UserID, version: Int64) throws -> Bool {
        try connection.execute(
            "UPDATE key_backups SET auth_data = \(authData) WHERE user_id = \(user.text) AND version = \(version)") > 0
    }

    /// Deletes a backup with its keys. Returns false when there never was one.
    public func delete(of user: UserID, version: Int64) throws -> Bool {
        try remove(of: user, version: version)
        let newest = try connection.query(
            "SELECT newest FROM key_backup_versions WHERE user_id = \(user.text)"
        ).first?.integer(0)
        return version > 0 && version <= newest ?? 0
    }

    private func remove(of user: UserID, version: Int64) throws {
        try connection.execute("DELETE FROM key_backups WHERE user_id = \(user.text) AND version = \(version)")
        try connection.execute("DELETE FROM key_backup_keys WHERE user_id = \(user.text) AND version = \(version)")
    }

    /// Deletes all that a user has.
    public func deleteAll(of user: UserID) throws {
        for table in ["key_backup_keys", "key_backups", "key_backup_versions"] {
            try connection.execute("DELETE FROM \(raw: table) WHERE user_id = \(user.text)")
        }
    }

    // MARK: Keys

    /// Up to `limit` keys in the order of rooms and sessions, from the one after `last`.
    public func keys(
        _ scope: Scope, of user: UserID, version: Int64, after last: (roomID: String, sessionID: String)? = nil,
        limit: Int
    ) throws -> [Key] {
        var sql: SQL = """
            SELECT room_id, session_id, first_message_index, forwarded_count, is_verified, session_data
            FROM key_backup_keys WHERE user_id = \(user.text) AND version = \(version)
            """
        sql += scope.condition
        if let last { sql += " AND (room_id, session_id) > (\(last.roomID), \(last.sessionID))" }
        sql += " ORDER BY room_id, session_id LIMIT \(limit)"
        return try connection.query(sql).map(Self.key)
    }

    /// Adds keys to a backup, each unless a better one is there, and gives the backup as it is then. The caller has made sure
    /// of the backup within this transaction; nil when it is gone, or when there would be more than `limit` keys.
    public func add(_ keys: [Key], of user: UserID, version: Int64, limit: Int64) throws -> Backup? {
        guard var backup = try locked(of: user, version: version) else { return nil }
        var changed = false
        for chunk in keys.chunks(of: 200) {
            let sessions = chunk.map(\.sessionID)
            var known: [String: Key] = [:]
            for row in try connection.query(
                """
                SELECT room_id, session_id, first_message_index, forwarded_count, is_verified, session_data
                FROM key_backup_keys WHERE user_id = \(user.text) AND version = \(version)
                AND room_id IN \(list: Array(Set(chunk.map(\.roomID)))) AND session_id IN \(list: sessions)
                """)
            {
                let key = try Self.key(row)
                known[key.roomID + "\0" + key.sessionID] = key
            }
            var statements: [SQL] = []
            for key in chunk {
                let name = key.roomID + "\0" + key.sessionID
                if let old = known[name] {
                    guard key.replaces(old) else { continue }
                } else {
                    backup.count += 1
                }
                known[name] = key
                statements.append(
                    """
                    INSERT INTO key_backup_keys (
                        user_id, version, room_id, session_id, first_message_index, forwarded_count, is_verified, session_data)
                    VALUES (\(user.text), \(version), \(key.roomID), \(key.sessionID), \(key.firstMessageIndex),
                        \(key.forwardedCount), \(key.isVerified), \(key.sessionData))
                    ON CONFLICT (user_id, version, room_id, session_id) DO UPDATE SET
                        first_message_index = excluded.first_message_index, forwarded_count = excluded.forwarded_count,
                        is_verified = excluded.is_verified, session_data = excluded.session_data
                    """)
            }
            guard backup.count <= limit else { return nil }
            if !statements.isEmpty {
                changed = true
                try connection.executeAll(statements)
            }
        }
        return changed ? try save(backup, of: user) : backup
    }

    /// Deletes keys, and gives the backup as it is then; nil when there is none.
    public func delete(_ scope: Scope, of user: UserID, version: Int64) throws -> Backup? {
        guard var backup = try locked(of: user, version: version) else { return nil }
        var sql: SQL = "DELETE FROM key_backup_keys WHERE user_id = \(user.text) AND version = \(version)"
        sql += scope.condition
        let count = try connection.execute(sql)
        guard count > 0 else { return backup }
        backup.count -= Int64(count)
        return try save(backup, of: user)
    }

    /// The backup, with its row held until the end of the transaction: uploads at two nodes are one after the other.
    private func locked(of user: UserID, version: Int64) throws -> Backup? {
        _ = try connection.query(
            """
            SELECT 1 FROM key_backups WHERE user_id = \(user.text) AND version = \(version)
            \(raw: connection.dialect.forUpdate)
            """)
        return try backup(of: user, version: version)
    }

    private func save(_ backup: Backup, of user: UserID) throws -> Backup {
        var backup = backup
        backup.etag += 1
        try connection.execute(
            """
            UPDATE key_backups SET etag = \(backup.etag), key_count = \(backup.count)
            WHERE user_id = \(user.text) AND version = \(backup.version)
            """)
        return backup
    }

    private static func key(_ row: SQLRow) throws -> Key {
        Key(
            roomID: try row.text(0), sessionID: try row.text(1), firstMessageIndex: try row.integer(2),
            forwardedCount: try row.integer(3), isVerified: try row.integer(4) != 0, sessionData: try row.bytes(5))
    }
}
