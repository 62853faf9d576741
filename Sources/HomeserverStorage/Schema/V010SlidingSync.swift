internal import SQLDatabase

/// Schema 10: what clients were sent over connections of sliding sync, so that any node goes on where another left off.
enum V010SlidingSync {
    static func statements(_ d: Dialect) -> [SQL] {
        let compact = d == .sqlite ? ") WITHOUT ROWID" : ")"
        return [
            // confirmed: the number of the newest answer that the client is known to have. newest: the greatest number given.
            """
            CREATE TABLE sliding_connections (
                connection_nid \(raw: d.generatedKey), user_id TEXT NOT NULL, device_id TEXT NOT NULL,
                conn_id TEXT NOT NULL, confirmed BIGINT NOT NULL, newest BIGINT NOT NULL, used_ts BIGINT NOT NULL,
                UNIQUE (user_id, device_id, conn_id))
            """,
            "CREATE INDEX sliding_connections_by_use ON sliding_connections (used_ts)",
            // What was sent of each room up to the confirmed answer; the row of the empty name is about all of them.
            """
            CREATE TABLE sliding_rooms (
                connection_nid BIGINT NOT NULL, room_id TEXT NOT NULL, body \(raw: d.bytesType) NOT NULL,
                PRIMARY KEY (connection_nid, room_id)
            \(raw: compact)
            """,
            // What an answer changed of that: not confirmed yet.
            """
            CREATE TABLE sliding_changes (
                connection_nid BIGINT NOT NULL, number BIGINT NOT NULL, body \(raw: d.bytesType) NOT NULL,
                PRIMARY KEY (connection_nid, number)
            \(raw: compact)
            """,
        ]
    }
}
