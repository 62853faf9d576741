public import SQLDatabase

extension EncryptionSchema {
    /// What is looked up by each event that cannot be read, and with each claim of keys.
    public static func lookupIndexes(_ dialect: Dialect) -> [SQL] {
        [
            "CREATE INDEX unread_events_failed ON unread_events (failed_at)",
            "CREATE INDEX devices_unwedge ON devices (user_id, device_id) WHERE unwedge_wanted = 1",
        ]
    }
}
