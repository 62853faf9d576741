public import SQLDatabase

/// About how many rows tables have.
public struct TableRows {
    /// A table on SQLite is counted to here; one that has more is counted whole only seldom.
    public static let countedAlways = 100_000

    private let connection: any SQLConnection

    /// The tables as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// The names of all tables, in order.
    /// - Throws: `DatabaseError`.
    public func names() throws -> [String] {
        let statement: SQL =
            switch connection.dialect {
            case .sqlite:
                """
                SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')
                AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name
                """
            case .postgres:
                """
                SELECT c.relname::text FROM pg_class c WHERE c.relkind IN ('r', 'p')
                AND c.relnamespace = current_schema()::regnamespace ORDER BY 1
                """
            }
        return try connection.query(statement).map { try $0.text(0) }
    }

    /// What PostgreSQL estimates of all tables; a table it has never looked at is absent. Empty on SQLite.
    /// - Throws: `DatabaseError`.
    public func estimates() throws -> [String: Int64] {
        guard connection.dialect == .postgres else { return [:] }
        var found: [String: Int64] = [:]
        for row in try connection.query(
            """
            SELECT c.relname::text, c.reltuples::bigint FROM pg_class c WHERE c.relkind IN ('r', 'p')
            AND c.relnamespace = current_schema()::regnamespace AND c.reltuples >= 0
            """)
        {
            found[try row.text(0)] = try row.integer(1)
        }
        return found
    }

    /// The rows of a table, or `limit` where it has more.
    /// - Throws: `DatabaseError`.
    public func count(_ table: String, upTo limit: Int?) throws -> Int64 {
        var inner: SQL = "SELECT 1 FROM \"\(raw: table)\""
        if let limit { inner += " LIMIT \(limit)" }
        return try connection.query("SELECT COUNT(*) FROM (\(inner)) counted").first?.integer(0) ?? 0
    }
}
