internal import ClientEncryption
public import SQLDatabase

/// The tables of a client's store, in numbered migrations that are never edited once released.
public enum ClientSchema {
    /// The oldest schema whose programs can use the newest: older ones look for a table that is gone.
    public static let oldestCompatible = 42

    /// All steps.
    public static let migrations = [
        Migration(1, "keys, session, rooms, queue") { dialect in
            EncryptionSchema.initial(dialect) + initial(dialect)
        },
        Migration(2, "who has which key") { EncryptionSchema.sharing($0) },
        Migration(10, "identities") { EncryptionSchema.identities($0) },
        Migration(11, "secrets and backup") { EncryptionSchema.secretsAndBackup($0) },
        Migration(20, "messages that are worth nothing later") { _ in
            // Milliseconds since 1970; null for what keeps its worth.
            ["ALTER TABLE send_queue ADD COLUMN expires_at BIGINT"]
        },
        Migration(21, "messages that are sent encrypted or not at all") { _ in
            ["ALTER TABLE send_queue ADD COLUMN encrypted_only BIGINT NOT NULL DEFAULT 0"]
        },
        Migration(30, "which event used which index") { EncryptionSchema.messageBlocks($0) },
        Migration(31, "room keys after a gap") { EncryptionSchema.doubts($0) },
        Migration(32, "post-quantum key agreement") { EncryptionSchema.hybrid($0) },
        Migration(40, "what belongs to whom") { EncryptionSchema.belongings($0) },
        Migration(41, "what is looked up often") { EncryptionSchema.lookupIndexes($0) },
        Migration(42, "what is in the backup") { EncryptionSchema.backupMarks($0) },
        Migration(50, "what the user is told of devices") { EncryptionSchema.notices($0) },
    ]

    private static func initial(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        return [
            "CREATE TABLE sealed_values (name TEXT PRIMARY KEY, value \(raw: bytes) NOT NULL)",
            """
            CREATE TABLE rooms (
                room_id TEXT PRIMARY KEY, membership TEXT NOT NULL, details \(raw: bytes) NOT NULL)
            """,
            """
            CREATE TABLE members (
                room_id TEXT NOT NULL, user_id TEXT NOT NULL, membership TEXT NOT NULL,
                PRIMARY KEY (room_id, user_id))
            """,
            """
            CREATE TABLE send_queue (
                id \(raw: dialect.generatedKey), room_id TEXT NOT NULL, transaction_id TEXT NOT NULL,
                event_type TEXT NOT NULL, content \(raw: bytes) NOT NULL, wire_type TEXT, wire_content \(raw: bytes))
            """,
            "CREATE INDEX send_queue_by_room ON send_queue (room_id, id)",
        ]
    }
}
