internal import SQLDatabase

/// Schema 25: which join each state event was before that could not be had.
enum V025LackingJoins {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // left_out: a JSON array of the joins as they came, each an object of its number and the events' ids.
            """
            UPDATE partial_rooms SET left_out = '[{"join":' || join_nid || ',"events":' || left_out || '}]'
            WHERE left_out IS NOT NULL
            """
        ]
    }
}
