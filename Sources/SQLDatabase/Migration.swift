/// One step of a schema, never changed once released.
public struct Migration: Sendable {
    /// Counts up from 1.
    public let number: Int
    /// What it does, for the log.
    public let name: String
    /// The statements, run in order in one transaction.
    public let statements: @Sendable (Dialect) -> [SQL]

    public init(_ number: Int, _ name: String, _ statements: @escaping @Sendable (Dialect) -> [SQL]) {
        self.number = number
        self.name = name
        self.statements = statements
    }
}

/// Brings a database's schema up to date.
public enum Migrator {
    /// Runs the migrations the database lacks, each in its own transaction, under a lock that keeps other nodes out.
    ///
    /// The table `schema_version` holds the schema's number and the oldest number of a program that can still use it. A
    /// database with a newer schema is left as it is when it says that this program can use it.
    /// - Parameters:
    ///   - migrations: in ascending order of number.
    ///   - oldestCompatible: the oldest schema number whose programs can use the newest schema.
    /// - Returns: the migrations that were run.
    /// - Throws: `.misuse` when the schema is too new for this program, or the migrations are out of order; what the
    ///   database throws.
    @discardableResult
    public static func migrate(
        _ database: any Database, _ migrations: [Migration], oldestCompatible: Int
    ) async throws -> [Migration] {
        for (earlier, later) in zip(migrations, migrations.dropFirst()) where earlier.number >= later.number {
            throw DatabaseError(.misuse, "migration \(later.number) stands after \(earlier.number)")
        }
        let newest = migrations.last?.number ?? 0
        try await database.write { connection in
            try lock(connection)
            try connection.execute(
                """
                CREATE TABLE IF NOT EXISTS schema_version (
                    id BIGINT PRIMARY KEY CHECK (id = 1), number BIGINT NOT NULL, oldest_compatible BIGINT NOT NULL)
                """)
            try connection.execute("INSERT INTO schema_version VALUES (1, 0, 0) ON CONFLICT (id) DO NOTHING")
            try checkCompatible(version(connection), newest: newest)
        }
        var done: [Migration] = []
        for migration in migrations {
            let ran = try await database.write { connection in
                try lock(connection)
                let present = try version(connection)
                try checkCompatible(present, newest: newest)
                guard present.number < migration.number else { return false }
                for statement in migration.statements(connection.dialect) { try connection.execute(statement) }
                // Until the last step the schema is nobody's but ours.
                let compatible = migration.number == newest ? oldestCompatible : migration.number
                try connection.execute(
                    "UPDATE schema_version SET number = \(migration.number), oldest_compatible = \(compatible)")
                return true
            }
            if ran { done.append(migration) }
        }
        return done
    }

    private static func lock(_ connection: any SQLConnection) throws {
        if let lock = connection.dialect.migrationLock { _ = try connection.query(lock) }
    }

    private static func version(_ connection: any SQLConnection) throws -> (number: Int, oldestCompatible: Int) {
        guard let row = try connection.query("SELECT number, oldest_compatible FROM schema_version").first else {
            throw DatabaseError(.corrupt, "the table schema_version is empty")
        }
        return (try row.int(0), try row.int(1))
    }

    private static func checkCompatible(_ present: (number: Int, oldestCompatible: Int), newest: Int) throws {
        guard present.oldestCompatible <= newest else {
            throw DatabaseError(
                .misuse,
                """
                the database has schema \(present.number), for programs that know schema \(present.oldestCompatible) \
                or later; this program knows only up to \(newest): run a newer version
                """)
        }
    }
}
