internal import SQLDatabase

/// Rooms, their events and state, aliases, and the streams all else hangs on. Rows name rooms and events by numbers.
enum V001Rooms {
    static func statements(_ d: Dialect) -> [SQL] {
        streams(d) + rooms(d) + events(d) + state(d) + directory(d)
    }

    /// Ends a table that is nothing but its primary key's tree.
    private static func compact(_ d: Dialect) -> String { d == .sqlite ? ") WITHOUT ROWID" : ")" }

    /// The type of a numeric primary key whose numbers we give out ourselves.
    private static func numberedKey(_ d: Dialect) -> String {
        d == .sqlite ? "INTEGER PRIMARY KEY" : "BIGINT PRIMARY KEY"
    }

    private static func streams(_ d: Dialect) -> [SQL] {
        let names = [
            "account_data", "backfill", "device_lists", "events", "presence", "receipts", "to_device", "typing",
        ]
        return [
            "CREATE TABLE streams (name TEXT PRIMARY KEY, position BIGINT NOT NULL\(raw: compact(d))",
            "INSERT INTO streams (name, position) VALUES "
                + names.map { "(\($0), 0)" as SQL }.joined(separator: ", "),
            // Numbers of rooms and events are taken in blocks, so that all rows are known before the transaction.
            "CREATE TABLE number_blocks (name TEXT PRIMARY KEY, taken BIGINT NOT NULL\(raw: compact(d))",
            "INSERT INTO number_blocks (name, taken) VALUES ('event', 0), ('room', 0)",
        ]
    }

    private static func rooms(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE rooms (
                room_nid \(raw: numberedKey(d)),
                room_id TEXT NOT NULL UNIQUE,
                version TEXT NOT NULL,
                head_version BIGINT NOT NULL,
                state \(raw: d.bytesType) NOT NULL,
                extremities \(raw: d.bytesType) NOT NULL,
                depth BIGINT NOT NULL,
                flags BIGINT NOT NULL DEFAULT 0,
                last_position BIGINT NOT NULL DEFAULT 0,
                published BIGINT NOT NULL DEFAULT 0)
            """,
            "CREATE INDEX rooms_published ON rooms (room_nid) WHERE published = 1",
            """
            CREATE TABLE room_members (
                room_nid BIGINT NOT NULL,
                user_id TEXT NOT NULL,
                server TEXT NOT NULL,
                membership TEXT NOT NULL,
                event_nid BIGINT NOT NULL,
                position BIGINT NOT NULL,
                displayname TEXT,
                avatar_url TEXT,
                PRIMARY KEY (room_nid, user_id)
            \(raw: compact(d))
            """,
            "CREATE INDEX room_members_user ON room_members (user_id, membership)",
            """
            CREATE TABLE forgotten_rooms (
                user_id TEXT NOT NULL, room_nid BIGINT NOT NULL, PRIMARY KEY (user_id, room_nid)
            \(raw: compact(d))
            """,
            """
            CREATE TABLE invites_received (
                user_id TEXT NOT NULL,
                room_id TEXT NOT NULL,
                version TEXT NOT NULL,
                sender TEXT NOT NULL,
                membership TEXT NOT NULL,
                position BIGINT NOT NULL,
                event_id TEXT NOT NULL,
                event \(raw: d.bytesType) NOT NULL,
                stripped_state \(raw: d.bytesType) NOT NULL,
                PRIMARY KEY (user_id, room_id)
            \(raw: compact(d))
            """,
            """
            CREATE TABLE invites_withdrawn (
                user_id TEXT NOT NULL, room_id TEXT NOT NULL, position BIGINT NOT NULL,
                PRIMARY KEY (user_id, room_id)
            \(raw: compact(d))
            """,
        ]
    }

    private static func events(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE events (
                event_nid \(raw: numberedKey(d)),
                room_nid BIGINT NOT NULL,
                event_id TEXT NOT NULL UNIQUE,
                type TEXT NOT NULL,
                state_key TEXT,
                sender TEXT NOT NULL,
                depth BIGINT NOT NULL,
                origin_server_ts BIGINT NOT NULL,
                position BIGINT,
                flags BIGINT NOT NULL,
                state_after \(raw: d.bytesType),
                replaces BIGINT,
                redacted_by TEXT,
                sender_device TEXT,
                transaction_id TEXT,
                body \(raw: d.bytesType) NOT NULL)
            """,
            "CREATE UNIQUE INDEX events_timeline ON events (room_nid, position) WHERE position IS NOT NULL",
            """
            CREATE TABLE auth_edges (
                event_nid BIGINT NOT NULL, auth_nid BIGINT NOT NULL, PRIMARY KEY (event_nid, auth_nid)
            \(raw: compact(d))
            """,
            """
            CREATE TABLE backward_extremities (
                room_nid BIGINT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (room_nid, event_id)
            \(raw: compact(d))
            """,
            """
            CREATE TABLE pending_redactions (
                target_event_id TEXT NOT NULL, redaction_nid BIGINT NOT NULL, room_nid BIGINT NOT NULL,
                PRIMARY KEY (target_event_id, redaction_nid)
            \(raw: compact(d))
            """,
            "CREATE INDEX pending_redactions_room ON pending_redactions (room_nid)",
            """
            CREATE TABLE reply_log (
                user_id TEXT NOT NULL,
                device_id TEXT NOT NULL,
                scope TEXT NOT NULL,
                transaction_id TEXT NOT NULL,
                response \(raw: d.bytesType) NOT NULL,
                created BIGINT NOT NULL,
                PRIMARY KEY (user_id, device_id, scope, transaction_id)
            \(raw: compact(d))
            """,
        ]
    }

    private static func state(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE state_keys (
                key_nid \(raw: d.generatedKey), type TEXT NOT NULL, state_key TEXT NOT NULL, UNIQUE (type, state_key))
            """,
            """
            CREATE TABLE state_nodes (
                hash \(raw: d.bytesType) PRIMARY KEY, room_nid BIGINT NOT NULL, body \(raw: d.bytesType) NOT NULL
            \(raw: compact(d))
            """,
        ]
    }

    private static func directory(_ d: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE room_aliases (
                alias TEXT PRIMARY KEY, room_id TEXT NOT NULL, creator TEXT NOT NULL
            \(raw: compact(d))
            """,
            "CREATE INDEX room_aliases_room ON room_aliases (room_id)",
        ]
    }
}
