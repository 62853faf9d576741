public import SQLDatabase

extension EncryptionSchema {
    /// What was named by one half of what it belongs to, and now by both.
    ///
    /// `signatures_due` has the key that was verified, of our own devices: it is null where `key_id` is a master key.
    public static func belongings(_ dialect: Dialect) -> [SQL] {
        [
            "ALTER TABLE signatures_due ADD COLUMN ed25519 TEXT",
            """
            UPDATE signatures_due SET ed25519 = (
                SELECT ed25519 FROM devices
                WHERE devices.user_id = signatures_due.user_id AND device_id = key_id AND changed = 0)
            """,
        ]
    }
}
