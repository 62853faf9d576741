public import SQLDatabase

extension EncryptionSchema {
    /// Devices, and identities (`device_id` is empty), that came up after their owner was met, and whether the user was told.
    /// One of each; those of devices go with their devices.
    public static func notices(_ dialect: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE trust_notices (
                user_id TEXT NOT NULL, device_id TEXT NOT NULL, seen_at BIGINT NOT NULL, told BIGINT NOT NULL,
                PRIMARY KEY (user_id, device_id))
            """,
            "CREATE INDEX trust_notices_due ON trust_notices (seen_at) WHERE told = 0",
        ]
    }
}
