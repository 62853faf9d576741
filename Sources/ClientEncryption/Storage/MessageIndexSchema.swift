public import SQLDatabase

extension EncryptionSchema {
    /// Which event used which index of a Megolm session: a row for so many indexes, its `events` a JSON object from index
    /// to event id. Rows go with their session. Before, each index was a row of its own.
    public static func messageBlocks(_ dialect: Dialect) -> [SQL] {
        let object =
            switch dialect {
            case .sqlite: "json_group_object(CAST(message_index AS TEXT), event_id)"
            case .postgres: "CAST(json_object_agg(CAST(message_index AS TEXT), event_id) AS TEXT)"
            }
        return [
            """
            CREATE TABLE message_blocks (
                room_id TEXT NOT NULL, session_id TEXT NOT NULL, block BIGINT NOT NULL, events TEXT NOT NULL,
                PRIMARY KEY (room_id, session_id, block))
            """,
            """
            INSERT INTO message_blocks
            SELECT room_id, session_id, message_index / \(raw: "\(Limits.indexesPerBlock)"), \(raw: object)
            FROM message_indexes GROUP BY 1, 2, 3
            """,
            "DROP TABLE message_indexes",
        ]
    }

    /// Where a gap ends, in which messages of ours may lie that the room's session was used for; null for none.
    public static func doubts(_ dialect: Dialect) -> [SQL] {
        ["ALTER TABLE outbound_group_sessions ADD COLUMN doubted_before TEXT"]
    }
}
