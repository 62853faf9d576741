internal import SQLDatabase

/// Schema 11: the words of unencrypted messages, for `/search`.
enum V011Search {
    static func statements(_ dialect: Dialect) -> [SQL] {
        let words: [SQL] =
            switch dialect {
            // The words come ready made, so this tokenizer has only spaces to find. facets: room and kind of text.
            case .sqlite: ["CREATE VIRTUAL TABLE search_text USING fts5 (facets, words, tokenize = 'ascii')"]
            case .postgres:
                [
                    "CREATE TABLE search_text (event_nid BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
                    "CREATE INDEX search_text_words ON search_text USING GIN (words)",
                ]
            }
        return words + [
            // Events whose words are to be looked at again. A number of its own for each time: what is added while an event
            // is looked at is not taken away with what was there before.
            SQL(
                raw: """
                    CREATE TABLE search_queue (queue_nid \(dialect.generatedKey), event_nid BIGINT NOT NULL)
                    """),
            // is_on: whether words are kept. below: events under this number are still to be looked at; NULL for none.
            "CREATE TABLE search_indexing (id BIGINT PRIMARY KEY, is_on BIGINT NOT NULL, below BIGINT)",
            "INSERT INTO search_indexing (id, is_on, below) VALUES (1, 0, NULL)",
        ]
    }
}
