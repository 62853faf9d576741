internal import SQLDatabase

/// Schema 24: what comes from several servers, and what goes to one more than once.
enum V024SentAgain {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // The names of servers in the room that sent it too, with blanks between them; not all, if they are many.
            "ALTER TABLE inbound_staging ADD COLUMN others TEXT NOT NULL DEFAULT ''",
            // How often something was taken out of its way: what is sent once more is another transaction.
            "ALTER TABLE destinations ADD COLUMN deliveries BIGINT NOT NULL DEFAULT 0",
        ]
    }
}
