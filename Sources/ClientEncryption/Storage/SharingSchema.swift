public import SQLDatabase

extension EncryptionSchema {
    /// What is known of who has which room key, who was refused one, who asks for one, and what could not be read.
    public static func sharing(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        let columns: [SQL] = [
            "ALTER TABLE olm_account ADD COLUMN began_at BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE olm_account ADD COLUMN fallback_made_at BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE olm_account ADD COLUMN fallback_replaced_at BIGINT",
            "ALTER TABLE olm_account ADD COLUMN counted_at BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE olm_account ADD COLUMN sharing TEXT",
            // Sessions are ordered by this number from now on, no more by the clock: it must exceed all times.
            "UPDATE olm_account SET generation = generation + 4000000000000",
            "ALTER TABLE tracked_users ADD COLUMN failures BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE devices ADD COLUMN claim_failures BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE devices ADD COLUMN no_olm_told BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE devices ADD COLUMN reshared_at BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE room_key_shares ADD COLUMN shared_at BIGINT NOT NULL DEFAULT 0",
            "CREATE INDEX room_key_shares_by_device ON room_key_shares (user_id, device_id)",
            "ALTER TABLE devices ADD COLUMN blocked BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE inbound_group_sessions ADD COLUMN shared_history BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE inbound_group_sessions ADD COLUMN source TEXT NOT NULL DEFAULT 'room_key'",
            "ALTER TABLE inbound_group_sessions ADD COLUMN vouched_by TEXT",
            "ALTER TABLE outbound_group_sessions ADD COLUMN shared_history BIGINT NOT NULL DEFAULT 0",
            "DROP TABLE withheld_room_keys",
        ]
        let tables: [SQL] = [
            "CREATE TABLE server_backoffs (server_name TEXT PRIMARY KEY, failures BIGINT NOT NULL, retry_at BIGINT NOT NULL)",
            """
            CREATE TABLE wedged_senders (
                user_id TEXT NOT NULL, curve25519 TEXT NOT NULL, failed_at BIGINT NOT NULL, is_mended BIGINT NOT NULL,
                PRIMARY KEY (user_id, curve25519))
            """,
            "CREATE TABLE read_olm_messages (hash \(raw: bytes) PRIMARY KEY, number BIGINT NOT NULL)",
            "CREATE INDEX read_olm_messages_by_age ON read_olm_messages (number)",
            """
            CREATE TABLE received_withheld (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL, code TEXT NOT NULL, reason TEXT,
                received_at BIGINT NOT NULL, PRIMARY KEY (room_id, session_id, user_id))
            """,
            "CREATE INDEX received_withheld_by_age ON received_withheld (received_at)",
            """
            CREATE TABLE sent_withheld (
                session_id TEXT NOT NULL, user_id TEXT NOT NULL, device_id TEXT NOT NULL, code TEXT NOT NULL,
                PRIMARY KEY (session_id, user_id, device_id))
            """,
            """
            CREATE TABLE recent_messages (
                session_id TEXT NOT NULL, message_index BIGINT NOT NULL, room_id TEXT NOT NULL,
                pickle \(raw: bytes) NOT NULL, sent_at BIGINT NOT NULL, PRIMARY KEY (session_id, message_index))
            """,
            """
            CREATE TABLE shared_sessions (
                session_id TEXT NOT NULL, message_index BIGINT NOT NULL, room_id TEXT NOT NULL,
                pickle \(raw: bytes) NOT NULL, PRIMARY KEY (session_id, message_index))
            """,
            """
            CREATE TABLE key_requests (
                request_id TEXT PRIMARY KEY, room_id TEXT NOT NULL, session_id TEXT NOT NULL,
                created_at BIGINT NOT NULL, UNIQUE (room_id, session_id))
            """,
            """
            CREATE TABLE key_request_recipients (
                request_id TEXT NOT NULL, device_id TEXT NOT NULL, PRIMARY KEY (request_id, device_id))
            """,
            """
            CREATE TABLE incoming_key_requests (
                device_id TEXT NOT NULL, request_id TEXT NOT NULL, room_id TEXT NOT NULL, session_id TEXT NOT NULL,
                received_at BIGINT NOT NULL, PRIMARY KEY (device_id, request_id))
            """,
            """
            CREATE TABLE key_bundles (
                room_id TEXT NOT NULL, user_id TEXT NOT NULL, curve25519 TEXT NOT NULL, ed25519 TEXT NOT NULL,
                file \(raw: bytes) NOT NULL, received_at BIGINT NOT NULL, failures BIGINT NOT NULL,
                PRIMARY KEY (room_id, user_id))
            """,
            "CREATE TABLE accepted_invites (room_id TEXT PRIMARY KEY, inviter TEXT NOT NULL, accepted_at BIGINT NOT NULL)",
            """
            CREATE TABLE unread_events (
                event_id TEXT PRIMARY KEY, room_id TEXT NOT NULL, session_id TEXT NOT NULL, cause TEXT NOT NULL,
                failed_at BIGINT NOT NULL, user_id TEXT NOT NULL, curve25519 TEXT)
            """,
            "CREATE INDEX unread_events_by_session ON unread_events (room_id, session_id)",
        ]
        return columns + tables
    }
}
