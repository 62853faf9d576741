internal import SQLDatabase

/// Schema 7: limits that all nodes share. `full_at`: microseconds since 1970 when the bucket will be full again.
/// And what a reaction says is content: it is read from the event, which is sealed, instead of a column.
enum V007TokenBuckets {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            "CREATE TABLE token_buckets (bucket TEXT PRIMARY KEY, full_at BIGINT NOT NULL)",
            "CREATE INDEX token_buckets_by_time ON token_buckets (full_at)",
            "DROP TABLE login_attempts",
            "ALTER TABLE event_relations DROP COLUMN annotation",
        ]
    }
}
