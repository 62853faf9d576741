internal import SQLDatabase

/// Schema 3: which events relate to which.
enum V003Relations {
    static func statements(_ dialect: Dialect) -> [SQL] {
        let key = dialect == .sqlite ? "INTEGER PRIMARY KEY" : "BIGINT PRIMARY KEY"
        return [
            // Of events with a place in a timeline. annotation: the key of a reaction, NULL where it is long.
            SQL(
                raw: """
                    CREATE TABLE event_relations (
                        event_nid \(key), room_nid BIGINT NOT NULL, target TEXT NOT NULL, rel_type TEXT NOT NULL,
                        type TEXT NOT NULL, sender TEXT NOT NULL, annotation TEXT)
                    """),
            SQL(raw: "CREATE INDEX event_relations_by_target ON event_relations (room_nid, target, rel_type)"),
            SQL(raw: "CREATE INDEX event_relations_by_type ON event_relations (room_nid, rel_type, target)"),
            // Events that were there before: those below this number are still to be looked at.
            SQL(raw: "CREATE TABLE relation_indexing (below BIGINT NOT NULL)"),
            SQL(
                raw: """
                    INSERT INTO relation_indexing (below)
                    SELECT below FROM (SELECT MAX(event_nid) + 1 AS below FROM events) t WHERE below IS NOT NULL
                    """),
        ]
    }
}
