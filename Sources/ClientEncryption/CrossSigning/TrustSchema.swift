public import SQLDatabase

/// The tables of identities and what is trusted of them. Public keys are plain, secrets sealed under the store key.
extension EncryptionSchema {
    /// Users' cross-signing keys, which of their devices they signed, and our own secrets.
    ///
    /// In `user_identities`, `pinned` is the master key at first sight, or as accepted; `verified` the one that was
    /// verified last; `vouched_by` our user-signing key that has signed the present one.
    public static func identities(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        return [
            """
            CREATE TABLE user_identities (
                user_id TEXT PRIMARY KEY, master TEXT NOT NULL, master_object \(raw: bytes) NOT NULL,
                self_signing TEXT, user_signing TEXT, pinned TEXT NOT NULL, verified TEXT, vouched_by TEXT,
                first_seen BIGINT NOT NULL)
            """,
            """
            CREATE TABLE signed_devices (
                user_id TEXT NOT NULL, device_id TEXT NOT NULL, curve25519 TEXT NOT NULL, ed25519 TEXT NOT NULL,
                self_signing TEXT NOT NULL, PRIMARY KEY (user_id, device_id))
            """,
            "CREATE TABLE own_device_objects (device_id TEXT PRIMARY KEY, object \(raw: bytes) NOT NULL)",
            "CREATE TABLE own_secrets (name TEXT PRIMARY KEY, value \(raw: bytes) NOT NULL)",
            "CREATE TABLE signatures_due (user_id TEXT NOT NULL, key_id TEXT NOT NULL, PRIMARY KEY (user_id, key_id))",
        ]
    }
}
