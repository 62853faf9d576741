internal import SQLDatabase

/// Schema 1, what federation keeps: other servers' keys, what waits for them, what came from them.
enum V001Federation {
    static func statements(_ dialect: Dialect) -> [SQL] {
        let bytes = dialect.bytesType
        let key = dialect.generatedKey
        return [
            // One row per key. expired: milliseconds since when the key signs no more (old_verify_keys).
            SQL(
                raw: """
                    CREATE TABLE server_keys (
                        server TEXT NOT NULL, key_id TEXT NOT NULL, public_key \(bytes) NOT NULL,
                        valid_until BIGINT NOT NULL, expired BIGINT, fetched BIGINT NOT NULL,
                        PRIMARY KEY (server, key_id))
                    """),
            // A server's own key answer, as it signed it: what a notary passes on.
            SQL(
                raw: """
                    CREATE TABLE server_key_answers (
                        server TEXT PRIMARY KEY, body \(bytes) NOT NULL, valid_until BIGINT NOT NULL,
                        fetched BIGINT NOT NULL)
                    """),
            // A PDU on its way to a server that keeps up.
            SQL(
                raw: """
                    CREATE TABLE outbox (
                        destination TEXT NOT NULL, position BIGINT NOT NULL, event_nid BIGINT NOT NULL,
                        PRIMARY KEY (destination, position))
                    """),
            // The newest position of a room that a server should have; what a server that fell behind catches up from.
            SQL(
                raw: """
                    CREATE TABLE destination_rooms (
                        destination TEXT NOT NULL, room_nid BIGINT NOT NULL, position BIGINT NOT NULL,
                        PRIMARY KEY (destination, room_nid))
                    """),
            // sent_position: everything up to it has arrived. retry_at: milliseconds; 0 when it answers.
            SQL(
                raw: """
                    CREATE TABLE destinations (
                        destination TEXT PRIMARY KEY, failures BIGINT NOT NULL DEFAULT 0,
                        retry_at BIGINT NOT NULL DEFAULT 0, catching_up BIGINT NOT NULL DEFAULT 0,
                        sent_position BIGINT NOT NULL DEFAULT 0, lease_holder TEXT,
                        lease_until BIGINT NOT NULL DEFAULT 0)
                    """),
            // EDUs that must arrive. A newer one of the same dedupe key replaces the older.
            SQL(
                raw: """
                    CREATE TABLE outbox_edus (
                        edu_nid \(key), destination TEXT NOT NULL, dedupe_key TEXT, body \(bytes) NOT NULL,
                        created BIGINT NOT NULL)
                    """),
            SQL(raw: "CREATE INDEX outbox_edus_by_destination ON outbox_edus (destination, edu_nid)"),
            SQL(raw: "CREATE INDEX outbox_edus_by_key ON outbox_edus (destination, dedupe_key)"),
            // PDUs that were taken in and not judged yet. needs_fetch: 1 where something it refers to must be fetched.
            // not_before: milliseconds; not tried again sooner.
            SQL(
                raw: """
                    CREATE TABLE inbound_staging (
                        staged_nid \(key), origin TEXT NOT NULL, room_id TEXT NOT NULL, event_id TEXT NOT NULL,
                        body \(bytes) NOT NULL, received BIGINT NOT NULL, tries BIGINT NOT NULL DEFAULT 0,
                        needs_fetch BIGINT NOT NULL DEFAULT 0, not_before BIGINT NOT NULL DEFAULT 0,
                        UNIQUE (room_id, event_id))
                    """),
            SQL(raw: "CREATE INDEX inbound_staging_by_origin ON inbound_staging (origin)"),
            // The answers to transactions, so that a repeat gets the same.
            SQL(
                raw: """
                    CREATE TABLE received_transactions (
                        origin TEXT NOT NULL, transaction_id TEXT NOT NULL, response \(bytes) NOT NULL,
                        received BIGINT NOT NULL, PRIMARY KEY (origin, transaction_id))
                    """),
            SQL(raw: "CREATE INDEX received_transactions_by_age ON received_transactions (received)"),
            // The node that judges a room's staged events, and the one (slow + room) that fetches what they lack.
            SQL(
                raw: """
                    CREATE TABLE room_leases (lane TEXT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT NOT NULL)
                    """),
        ]
    }
}
