internal import SQLDatabase

/// Schema 22: what a room's state was at a position, also where its newest events lay in parallel.
enum V022HeadStates {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // The room's state when this was its newest event, where that is not the state after the event: what parallel
            // events resolve to. NULL where it is, and for events of before.
            "ALTER TABLE events ADD COLUMN head_state \(raw: dialect.bytesType)",
            // The position of the stream `events` since which state is known that was left out when the room was joined.
            "ALTER TABLE partial_rooms ADD COLUMN amended BIGINT",
        ]
    }
}
