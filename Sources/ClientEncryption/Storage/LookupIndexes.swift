public import SQLDatabase

extension EncryptionSchema {
    /// What is looked up by each event that cannot be read, and with each claim of keys.
    public static func lookupIndexes(_ dialect: Dialect) -> [SQL] {
        [
            "CREATE INDEX unread_events_failed ON unread_events (failed_at)",
            "CREATE INDEX devices_unwedge ON devices (user_id, device_id) WHERE unwedge_wanted = 1",
        ]
    }

    /// `backed_up_in` is the version of the backup that holds the session; null once the session reads more.
    public static func backupMarks(_ dialect: Dialect) -> [SQL] {
        [
            "ALTER TABLE inbound_group_sessions ADD COLUMN backed_up_in TEXT",
            """
            UPDATE inbound_group_sessions SET backed_up_in = (
                SELECT version FROM backed_up_sessions AS done WHERE done.room_id = inbound_group_sessions.room_id
                    AND done.session_id = inbound_group_sessions.session_id)
            """,
            "CREATE INDEX inbound_group_sessions_backed_up ON inbound_group_sessions (backed_up_in)",
            "DROP TABLE backed_up_sessions",
        ]
    }
}
