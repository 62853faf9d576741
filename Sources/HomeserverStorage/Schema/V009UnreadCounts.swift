internal import SQLDatabase

/// Schema 9: what users have not read, as of a place in a room's timeline. All of it can be counted again.
enum V009UnreadCounts {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // counted: a position of the room's timeline. rules: the position of the stream account_data at which the user's
            // rules last changed. is_partial: events before the room's newest remain to be counted. threads: JSON, a list of
            // numbers for each thread.
            SQL(
                raw: """
                    CREATE TABLE unread_counts (
                        user_id TEXT NOT NULL, room_nid BIGINT NOT NULL, counted BIGINT NOT NULL, rules BIGINT NOT NULL,
                        is_partial BIGINT NOT NULL, threads \(dialect.bytesType) NOT NULL,
                        PRIMARY KEY (user_id, room_nid)\(dialect == .sqlite ? ") WITHOUT ROWID" : ")")
                    """),
            SQL(raw: "CREATE INDEX unread_counts_partial ON unread_counts (user_id) WHERE is_partial = 1"),
        ]
    }
}
