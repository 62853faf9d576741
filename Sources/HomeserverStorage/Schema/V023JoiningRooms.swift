internal import SQLDatabase

/// Schema 23: rooms that users here are joining just now by other servers.
enum V023JoiningRooms {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // until: milliseconds since 1970. A row of a node that died holds up the room's events no longer.
            """
            CREATE TABLE joining_rooms (
                room_id TEXT NOT NULL, user_id TEXT NOT NULL, version TEXT NOT NULL, until BIGINT NOT NULL,
                PRIMARY KEY (room_id, user_id)
            )
            """
        ]
    }
}
