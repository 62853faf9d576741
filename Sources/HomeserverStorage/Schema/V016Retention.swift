internal import SQLDatabase

/// Schema 16: what is taken out of rooms, by policy or by wish, and how far that has come. State keys can be collected from
/// here on, so a program of an older schema, which remembers their numbers for ever, must not run beside.
enum V016Retention {
    static func statements(_ d: Dialect) -> [SQL] {
        histories(d) + rooms(d) + indexes(d) + vacuuming(d)
    }

    private static func histories(_ d: Dialect) -> [SQL] {
        [
            // purged: 0 for what is not here and may be fetched. 1: it was here, was taken out by policy, and an event that
            // is here refers to it. 2: the same, but whether one refers to it shows when the next are looked at.
            "ALTER TABLE backward_extremities ADD COLUMN purged BIGINT NOT NULL DEFAULT 0",
            // How far a room's messages were looked at, and what does not come back: messages sent before `before_ts`
            // (milliseconds since 1970) or of at most this depth.
            """
            CREATE TABLE room_histories (
                room_nid BIGINT PRIMARY KEY, looked_at BIGINT NOT NULL, before_ts BIGINT NOT NULL, depth BIGINT NOT NULL)
            """,
            // When a stream had come how far: a row an hour. So a position tells when something came, whatever it says.
            """
            CREATE TABLE position_times (
                stream TEXT NOT NULL, ts BIGINT NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (stream, ts))
            """,
        ]
    }

    private static func rooms(_ d: Dialect) -> [SQL] {
        [
            // kind: `history` or `room`. A room without number is still to be closed. cursor: where the step goes on.
            // finished: milliseconds since 1970.
            """
            CREATE TABLE purge_jobs (
                job_nid \(raw: d.generatedKey), kind TEXT NOT NULL, room_id TEXT NOT NULL, room_nid BIGINT,
                before_ts BIGINT, before_position BIGINT, force BIGINT NOT NULL, phase BIGINT NOT NULL DEFAULT 0,
                cursor TEXT NOT NULL DEFAULT '', removed BIGINT NOT NULL DEFAULT 0, created BIGINT NOT NULL,
                finished BIGINT, failure TEXT)
            """,
            "CREATE INDEX purge_jobs_of_room ON purge_jobs (room_id)",
            "CREATE INDEX purge_jobs_open ON purge_jobs (job_nid) WHERE finished IS NULL",
            "CREATE TABLE blocked_rooms (room_id TEXT PRIMARY KEY, created BIGINT NOT NULL)",
            // Since when all of our users have forgotten a room, milliseconds since 1970.
            "CREATE TABLE abandoned_rooms (room_nid BIGINT PRIMARY KEY, since BIGINT NOT NULL)",
            // A key of no state, milliseconds since 1970: it goes if that is still so a while later.
            "ALTER TABLE state_keys ADD COLUMN unused_since BIGINT",
            "CREATE INDEX state_keys_unused ON state_keys (key_nid) WHERE unused_since IS NOT NULL",
        ]
    }

    private static func indexes(_ d: Dialect) -> [SQL] {
        [
            // What has no place in a timeline, to find a room's: mostly known as part of a state only.
            "CREATE INDEX events_unplaced ON events (room_nid, event_nid) WHERE position IS NULL",
            // Messages that were rejected or soft-failed.
            "CREATE INDEX events_withheld ON events (event_nid) WHERE position IS NULL AND state_key IS NULL",
            "CREATE INDEX invites_withdrawn_by_position ON invites_withdrawn (position)",
            "CREATE INDEX access_tokens_by_end ON access_tokens (expires_ts) WHERE expires_ts IS NOT NULL",
        ]
    }

    /// PostgreSQL looks at a table when a fifth of it has changed, which for a large one is long after.
    private static func vacuuming(_ d: Dialect) -> [SQL] {
        guard d == .postgres else { return [] }
        return ["events", "state_nodes", "auth_edges", "event_relations", "outbox"].map {
            "ALTER TABLE \(raw: $0) SET (autovacuum_vacuum_scale_factor = 0.02)"
        }
    }
}
