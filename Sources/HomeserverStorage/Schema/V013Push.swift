internal import SQLDatabase

/// Schema 13: where users' notifications are sent, how far that has come, and who sends them.
enum V013Push {
    static func statements(_ d: Dialect) -> [SQL] {
        [
            // position: everything up to it in the stream `events` was sent, or is not to be. told: the unread count the
            // device was last told. due_at: milliseconds; of `http` not tried before, of `email` sent then; 0: no such time.
            // waiting_since: of `email`, since when something unread waits.
            """
            CREATE TABLE pushers (
                pusher_nid \(raw: d.generatedKey), user_id TEXT NOT NULL, device_id TEXT NOT NULL, kind TEXT NOT NULL,
                app_id TEXT NOT NULL, pushkey TEXT NOT NULL, app_display_name TEXT NOT NULL,
                device_display_name TEXT NOT NULL, profile_tag TEXT, lang TEXT NOT NULL,
                options \(raw: d.bytesType) NOT NULL, enabled SMALLINT NOT NULL, confirmed SMALLINT NOT NULL,
                set_ts BIGINT NOT NULL, shard BIGINT NOT NULL, position BIGINT NOT NULL, told BIGINT,
                failures BIGINT NOT NULL DEFAULT 0, failing_since BIGINT, due_at BIGINT NOT NULL DEFAULT 0,
                waiting_since BIGINT, UNIQUE (user_id, app_id, pushkey))
            """,
            "CREATE INDEX pushers_by_key ON pushers (app_id, pushkey)",
            "CREATE INDEX pushers_due ON pushers (due_at) WHERE due_at > 0",
            // The rooms of which an e-mail pusher told lately. Until `until`, milliseconds, the room causes no mail.
            """
            CREATE TABLE push_mail_pauses (
                pusher_nid BIGINT NOT NULL, room_nid BIGINT NOT NULL, pause BIGINT NOT NULL, until BIGINT NOT NULL,
                PRIMARY KEY (pusher_nid, room_nid))
            """,
            "CREATE INDEX push_mail_pauses_by_age ON push_mail_pauses (until)",
            // `shard N`: the node that serves these pushers. `node X`: a node that is up.
            "CREATE TABLE push_leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, lease_until BIGINT NOT NULL)",
        ]
    }
}
