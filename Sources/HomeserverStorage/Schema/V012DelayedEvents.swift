internal import SQLDatabase

/// Schema 12: events that are sent later, and events that are to reach everybody for a while.
enum V012DelayedEvents {
    static func statements(_ dialect: Dialect) -> [SQL] {
        let key = dialect == .sqlite ? "INTEGER PRIMARY KEY" : "BIGINT PRIMARY KEY"
        return [
            // content: sealed. delay, sticky: milliseconds. timestamp: where an application service set it.
            // claimed_until: a node is sending it.
            SQL(
                raw: """
                    CREATE TABLE delayed_events (
                        delay_nid \(dialect.generatedKey), delay_id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL,
                        device_id TEXT, room_id TEXT NOT NULL, type TEXT NOT NULL, state_key TEXT,
                        content \(dialect.bytesType) NOT NULL, delay BIGINT NOT NULL, send_at BIGINT NOT NULL,
                        timestamp BIGINT, sticky BIGINT, claimed_until BIGINT NOT NULL)
                    """),
            SQL(raw: "CREATE INDEX delayed_events_by_time ON delayed_events (send_at)"),
            SQL(raw: "CREATE INDEX delayed_events_by_user ON delayed_events (user_id)"),
            SQL(raw: "CREATE INDEX delayed_events_by_state ON delayed_events (room_id, type, state_key)"),
            // Until expires, milliseconds since 1970, an event is told to everybody who is or comes into its room.
            SQL(
                raw: """
                    CREATE TABLE sticky_events (
                        event_nid \(key), room_nid BIGINT NOT NULL, expires BIGINT NOT NULL)
                    """),
            SQL(raw: "CREATE INDEX sticky_events_by_room ON sticky_events (room_nid, event_nid)"),
            SQL(raw: "CREATE INDEX sticky_events_by_time ON sticky_events (expires)"),
        ]
    }
}
