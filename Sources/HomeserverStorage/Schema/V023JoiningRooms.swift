internal import SQLDatabase

/// Schema 23: rooms that users here are joining just now by other servers.
enum V023JoiningRooms {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // until: milliseconds since 1970.
            """
            CREATE TABLE joining_rooms (
                room_id TEXT NOT NULL, attempt TEXT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (room_id, attempt)
            )
            """
        ]
    }
}
