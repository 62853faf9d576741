public import SQLDatabase
private import Synchronization

/// A database in a SQLite file, or in memory. One thread writes, and commits for many at once; some threads read.
public final class SQLiteDatabase: Database {
    private let engine: any Database

    /// Opens the database and, if it is not there, makes it.
    /// - Throws: ``DatabaseError``: `.unavailable` or `.full` if the file cannot be opened, `.corrupt` if it is not a
    ///   database.
    public static func open(_ configuration: SQLiteConfiguration) async throws -> SQLiteDatabase {
        switch configuration.threading {
        case .inline: SQLiteDatabase(try InlineSQLite(configuration))
        case .ownThreads: SQLiteDatabase(try await ThreadedSQLite.open(configuration))
        }
    }

    /// A new database in memory, which works on the caller's thread. For tests and simulation.
    public static func inMemory() throws -> SQLiteDatabase {
        SQLiteDatabase(try InlineSQLite(SQLiteConfiguration(.memory)))
    }

    private init(_ engine: any Database) {
        self.engine = engine
    }

    public var dialect: Dialect { .sqlite }

    public func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await engine.read(work)
    }

    @discardableResult
    public func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await engine.write(work)
    }

    @discardableResult
    public func groupedWrite<R: Sendable>(
        _ work: @escaping @Sendable (any SQLConnection) throws -> R
    ) async throws -> R {
        try await engine.groupedWrite(work)
    }

    public func notifications() -> AsyncStream<String> {
        engine.notifications()
    }

    public func close() async {
        await engine.close()
    }
}
