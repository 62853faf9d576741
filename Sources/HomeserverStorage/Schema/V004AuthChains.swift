internal import SQLDatabase

/// An index of auth chains: [how it is used](spec/rooms.md).
enum V004AuthChains {
    static func statements(_ d: Dialect) -> [SQL] {
        let compact = d == .sqlite ? ") WITHOUT ROWID" : ")"
        let key = d == .sqlite ? "INTEGER PRIMARY KEY" : "BIGINT PRIMARY KEY"
        return [
            // Where an event that others name as an auth event stands. A chain is named after its first event.
            """
            CREATE TABLE auth_positions (
                event_nid \(raw: key), chain BIGINT NOT NULL, place BIGINT NOT NULL)
            """,
            "CREATE UNIQUE INDEX auth_positions_chain ON auth_positions (chain, place)",
            // From an event of one chain to what it names in another, unless an earlier event of its chain leads as far. One to
            // what came after the event that names it may lead no farther than an earlier one.
            """
            CREATE TABLE auth_links (
                chain BIGINT NOT NULL,
                place BIGINT NOT NULL,
                target_chain BIGINT NOT NULL,
                target_place BIGINT NOT NULL,
                PRIMARY KEY (chain, place, target_chain)
            \(raw: compact)
            """,
            "CREATE INDEX auth_edges_auth ON auth_edges (auth_nid, event_nid)",
        ]
    }
}
