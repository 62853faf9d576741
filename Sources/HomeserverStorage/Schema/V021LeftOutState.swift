internal import SQLDatabase

/// Schema 21: state events that could not be had when a room was joined, and are asked for again.
enum V021LeftOutState {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // left_out: their ids, a JSON array (of joins since schema 25); NULL where there are none. left_out_until:
            // milliseconds since 1970.
            "ALTER TABLE partial_rooms ADD COLUMN left_out TEXT",
            "ALTER TABLE partial_rooms ADD COLUMN left_out_until BIGINT NOT NULL DEFAULT 0",
            "CREATE INDEX partial_rooms_left_out ON partial_rooms (retry_at) WHERE left_out IS NOT NULL",
        ]
    }
}
