public import SQLDatabase

/// The tables of secrets on their way between our devices, of the online backup, and of devices verified one by one.
extension EncryptionSchema {
    /// `backed_up_sessions` had the version of the backup that holds a session; see ``backupMarks(_:)``.
    public static func secretsAndBackup(_ dialect: Dialect) -> [SQL] {
        [
            "CREATE TABLE secret_requests (request_id TEXT PRIMARY KEY, name TEXT NOT NULL, asked_at BIGINT NOT NULL)",
            """
            CREATE TABLE secret_replies_due (
                device_id TEXT NOT NULL, request_id TEXT NOT NULL, name TEXT NOT NULL, asked_at BIGINT NOT NULL,
                PRIMARY KEY (device_id, request_id))
            """,
            """
            CREATE TABLE key_backup (
                id BIGINT PRIMARY KEY CHECK (id = 1), version TEXT NOT NULL, public_key TEXT NOT NULL)
            """,
            """
            CREATE TABLE backed_up_sessions (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, version TEXT NOT NULL,
                PRIMARY KEY (room_id, session_id))
            """,
            """
            CREATE TABLE verified_devices (
                user_id TEXT NOT NULL, device_id TEXT NOT NULL, ed25519 TEXT NOT NULL,
                PRIMARY KEY (user_id, device_id))
            """,
        ]
    }
}
