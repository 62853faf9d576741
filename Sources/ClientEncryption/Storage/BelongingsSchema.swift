public import SQLDatabase

extension EncryptionSchema {
    /// What was named by one half of what it belongs to, and now by both.
    ///
    /// `signatures_due` has the key that was verified, of our own devices: it is null where `key_id` is a master key.
    /// `session_claims` has the devices that say that a session is theirs, beside the one that said so first.
    /// `olm_sessions` is of a user's device with a key, not of whoever shows the key; a session with nobody known is lost.
    /// `received_withheld` says whether who gave us others' keys said so, rather than somebody for themselves.
    /// Outbound sessions, and keys that are owed, say whether they are for a verification: more have them than messages are
    /// for.
    public static func belongings(_ dialect: Dialect) -> [SQL] {
        [
            "ALTER TABLE signatures_due ADD COLUMN ed25519 TEXT",
            """
            UPDATE signatures_due SET ed25519 = (
                SELECT ed25519 FROM devices
                WHERE devices.user_id = signatures_due.user_id AND device_id = key_id AND changed = 0)
            """,
            """
            CREATE TABLE session_claims (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, user_id TEXT NOT NULL, curve25519 TEXT NOT NULL,
                ed25519 TEXT NOT NULL, PRIMARY KEY (room_id, session_id, user_id, curve25519))
            """,
            "ALTER TABLE olm_sessions ADD COLUMN user_id TEXT NOT NULL DEFAULT ''",
            """
            UPDATE olm_sessions SET user_id = COALESCE((
                SELECT user_id FROM devices WHERE devices.curve25519 = olm_sessions.curve25519
                ORDER BY gone, first_seen LIMIT 1), '')
            """,
            "ALTER TABLE received_withheld ADD COLUMN is_handed_on BIGINT NOT NULL DEFAULT 0",
            "UPDATE received_withheld SET is_handed_on = 1 WHERE code = 'm.history_not_shared'",
            "ALTER TABLE outbound_group_sessions ADD COLUMN for_verification BIGINT NOT NULL DEFAULT 0",
            "ALTER TABLE owed_room_keys ADD COLUMN for_verification BIGINT NOT NULL DEFAULT 0",
        ]
    }
}
