internal import SQLDatabase

/// Schema 5: rooms that were joined without their members, until these are known.
enum V005PartialState {
    static func statements(_ d: Dialect) -> [SQL] {
        [
            // resident: the server that answered the join. completed: the position of the stream `events` since which the
            // room's state is whole; NULL until then. `flags` of such a room's row in `rooms` has 1 until then.
            """
            CREATE TABLE partial_rooms (
                room_nid BIGINT PRIMARY KEY, join_nid BIGINT NOT NULL, resident TEXT NOT NULL,
                failures BIGINT NOT NULL DEFAULT 0, retry_at BIGINT NOT NULL DEFAULT 0, lease_holder TEXT,
                lease_until BIGINT NOT NULL DEFAULT 0, completed BIGINT)
            """,
            "CREATE INDEX partial_rooms_open ON partial_rooms (retry_at) WHERE completed IS NULL",
            // The servers that the resident says are in such a room.
            """
            CREATE TABLE partial_room_servers (
                room_nid BIGINT NOT NULL, server TEXT NOT NULL, PRIMARY KEY (room_nid, server))
            """,
            // The events to be judged again: those with `EventFlags.partialState`.
            "CREATE INDEX events_partial ON events (room_nid) WHERE (flags & 8) <> 0",
        ]
    }
}
