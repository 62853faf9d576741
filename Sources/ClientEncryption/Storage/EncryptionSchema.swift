public import SQLDatabase

/// The tables of a device's keys. Secrets are sealed under the store key; public keys and counters are plain.
public enum EncryptionSchema {
    /// The first version's statements, for a migration of the store that holds the tables.
    public static func initial(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        return [
            """
            CREATE TABLE olm_account (
                id BIGINT PRIMARY KEY CHECK (id = 1), pickle \(raw: bytes) NOT NULL, uploaded BIGINT NOT NULL,
                keys_on_server BIGINT, fallback_unused BIGINT NOT NULL, generation BIGINT NOT NULL)
            """,
            """
            CREATE TABLE tracked_users (
                user_id TEXT PRIMARY KEY, wanted BIGINT NOT NULL, current BIGINT NOT NULL, retry_at BIGINT NOT NULL)
            """,
            """
            CREATE TABLE devices (
                user_id TEXT NOT NULL, device_id TEXT NOT NULL, curve25519 TEXT NOT NULL, ed25519 TEXT NOT NULL,
                gone BIGINT NOT NULL, changed BIGINT NOT NULL, display_name TEXT, first_seen BIGINT NOT NULL,
                claim_at BIGINT NOT NULL, unwedge_wanted BIGINT NOT NULL, unwedged_at BIGINT NOT NULL,
                PRIMARY KEY (user_id, device_id))
            """,
            "CREATE INDEX devices_by_curve25519 ON devices (curve25519)",
            """
            CREATE TABLE olm_sessions (
                session_id TEXT PRIMARY KEY, curve25519 TEXT NOT NULL, pickle \(raw: bytes) NOT NULL,
                created_at BIGINT NOT NULL, received_at BIGINT NOT NULL)
            """,
            "CREATE INDEX olm_sessions_by_curve25519 ON olm_sessions (curve25519, received_at)",
            """
            CREATE TABLE inbound_group_sessions (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL, curve25519 TEXT NOT NULL,
                ed25519 TEXT NOT NULL, pickle \(raw: bytes) NOT NULL, received_at BIGINT NOT NULL,
                PRIMARY KEY (room_id, session_id))
            """,
            """
            CREATE TABLE message_indexes (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, message_index BIGINT NOT NULL,
                event_id TEXT NOT NULL, origin_server_ts BIGINT NOT NULL,
                PRIMARY KEY (room_id, session_id, message_index))
            """,
            """
            CREATE TABLE outbound_group_sessions (
                room_id TEXT PRIMARY KEY, session_id TEXT NOT NULL, pickle \(raw: bytes) NOT NULL,
                created_at BIGINT NOT NULL)
            """,
            """
            CREATE TABLE room_key_shares (
                session_id TEXT NOT NULL, user_id TEXT NOT NULL, device_id TEXT NOT NULL, curve25519 TEXT NOT NULL,
                message_index BIGINT NOT NULL, PRIMARY KEY (session_id, user_id, device_id))
            """,
            """
            CREATE TABLE owed_room_keys (
                id \(raw: dialect.generatedKey), room_id TEXT NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL,
                pickle \(raw: bytes) NOT NULL, UNIQUE (session_id, user_id))
            """,
            """
            CREATE TABLE withheld_room_keys (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, code TEXT NOT NULL, PRIMARY KEY (room_id, session_id))
            """,
            """
            CREATE TABLE to_device_outbox (
                id \(raw: dialect.generatedKey), transaction_id TEXT NOT NULL, event_type TEXT NOT NULL,
                body \(raw: bytes) NOT NULL)
            """,
        ]
    }

    /// For a store that holds nothing else.
    public static let migrations = [
        Migration(1, "device keys") { initial($0) },
        Migration(2, "who has which key") { sharing($0) },
        Migration(10, "identities") { identities($0) },
        Migration(11, "secrets and backup") { secretsAndBackup($0) },
        Migration(30, "which event used which index") { messageBlocks($0) },
        Migration(31, "room keys after a gap") { doubts($0) },
        Migration(32, "post-quantum key agreement") { hybrid($0) },
        Migration(40, "what belongs to whom") { belongings($0) },
        Migration(41, "what is looked up often") { lookupIndexes($0) },
        Migration(42, "what is in the backup") { backupMarks($0) },
        Migration(50, "what the user is told of devices") { notices($0) },
    ]
}
