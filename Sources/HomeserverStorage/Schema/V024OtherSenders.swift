internal import SQLDatabase

/// Schema 24: who else sent what waits to be judged.
enum V024OtherSenders {
    static func statements(_ dialect: Dialect) -> [SQL] {
        // The names of servers that sent it too, with blanks between them; not all, if they are many.
        ["ALTER TABLE inbound_staging ADD COLUMN others TEXT NOT NULL DEFAULT ''"]
    }
}
