internal import SQLDatabase

/// Schema 23: rooms that users here are joining just now by other servers.
enum V023JoiningRooms {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // until: what is sent for the room waits so long, milliseconds since 1970.
            "CREATE TABLE joining_rooms (room_id TEXT PRIMARY KEY, attempt TEXT NOT NULL, until BIGINT NOT NULL)"
        ]
    }
}
