internal import SQLDatabase

/// Schema 17: the threads that users follow, and those they no longer do.
enum V017ThreadSubscriptions {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // unsubscribed_at: the room's newest position when the user left the thread; NULL while subscribed. position: of
            // the stream thread_subscriptions.
            SQL(
                raw: """
                    CREATE TABLE thread_subscriptions (
                        user_id TEXT NOT NULL, room_nid BIGINT NOT NULL, root TEXT NOT NULL, automatic BIGINT NOT NULL,
                        unsubscribed_at BIGINT, position BIGINT NOT NULL,
                        PRIMARY KEY (user_id, room_nid, root)\(dialect == .sqlite ? ") WITHOUT ROWID" : ")")
                    """),
            SQL(raw: "CREATE INDEX thread_subscriptions_by_position ON thread_subscriptions (user_id, position)"),
            SQL(raw: "INSERT INTO streams (name, position) VALUES ('thread_subscriptions', 0)"),
        ]
    }
}
