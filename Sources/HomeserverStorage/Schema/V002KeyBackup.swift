internal import SQLDatabase

/// Schema 2: backups of room keys, encrypted by the clients.
enum V002KeyBackup {
    static func statements(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        return [
            // The newest version of each user, which stays when the backup is deleted: a number is never given twice.
            SQL(raw: "CREATE TABLE key_backup_versions (user_id TEXT PRIMARY KEY, newest BIGINT NOT NULL)"),
            // etag: how often the keys changed. key_count: rows of key_backup_keys.
            SQL(
                raw: """
                    CREATE TABLE key_backups (
                        user_id TEXT NOT NULL, version BIGINT NOT NULL, algorithm TEXT NOT NULL,
                        auth_data \(bytes) NOT NULL, etag BIGINT NOT NULL DEFAULT 0, key_count BIGINT NOT NULL DEFAULT 0,
                        PRIMARY KEY (user_id, version))
                    """),
            SQL(
                raw: """
                    CREATE TABLE key_backup_keys (
                        user_id TEXT NOT NULL, version BIGINT NOT NULL, room_id TEXT NOT NULL, session_id TEXT NOT NULL,
                        first_message_index BIGINT NOT NULL, forwarded_count BIGINT NOT NULL,
                        is_verified BIGINT NOT NULL, session_data \(bytes) NOT NULL,
                        PRIMARY KEY (user_id, version, room_id, session_id))
                    """),
        ]
    }
}
