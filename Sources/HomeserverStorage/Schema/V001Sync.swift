internal import SQLDatabase

/// Receipts, typing and presence. A change has a position in the stream of its name.
enum V001Sync {
    static func statements(_ d: Dialect) -> [SQL] {
        [
            // thread: the thread's root, `main`, or empty for a receipt of no thread. event_position is the event's place in
            // the timeline.
            """
            CREATE TABLE receipts (
                room_nid BIGINT NOT NULL, user_id TEXT NOT NULL, type TEXT NOT NULL, thread TEXT NOT NULL,
                event_id TEXT NOT NULL, event_position BIGINT NOT NULL, ts BIGINT NOT NULL, position BIGINT NOT NULL,
                PRIMARY KEY (room_nid, user_id, type, thread))
            """,
            "CREATE INDEX receipts_by_position ON receipts (position)",
            // Who types, until when in milliseconds since 1970.
            """
            \(raw: d.createUnloggedTable) typing (
                room_nid BIGINT NOT NULL, user_id TEXT NOT NULL, until BIGINT NOT NULL,
                PRIMARY KEY (room_nid, user_id))
            """,
            // When the list of those who type in a room last changed.
            """
            \(raw: d.createUnloggedTable) typing_rooms (room_nid BIGINT PRIMARY KEY, position BIGINT NOT NULL)
            """,
            "CREATE INDEX typing_rooms_by_position ON typing_rooms (position)",
            // seen: when a node last saw the user sync, so that rows of a node that died are found.
            """
            \(raw: d.createUnloggedTable) presence (
                user_id TEXT PRIMARY KEY, state TEXT NOT NULL, status_msg TEXT, last_active BIGINT NOT NULL,
                seen BIGINT NOT NULL, position BIGINT NOT NULL)
            """,
            "CREATE INDEX presence_by_position ON presence (position)",
        ]
    }
}
