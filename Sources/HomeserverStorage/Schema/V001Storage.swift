internal import SQLDatabase

/// Schema 1, what storing itself keeps: how far resealing under a new key has come.
enum V001Storage {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // key_id: the key under which rows up to `position` are sealed ('' for none).
            SQL(
                raw: """
                    CREATE TABLE resealing (
                        place TEXT PRIMARY KEY, key_id TEXT NOT NULL, position BIGINT NOT NULL, done BIGINT NOT NULL)
                    """)
        ]
    }
}
