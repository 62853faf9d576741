import SQLDatabase
import SQLiteEngine
import Synchronization

/// A database that counts the transactions that may write.
final class CountingDatabase: Database, Sendable {
    private let database: SQLiteDatabase
    private let count = Mutex(0)

    init(_ database: SQLiteDatabase) { self.database = database }

    /// Writing transactions, grouped ones each for itself.
    var writes: Int { count.withLock { $0 } }

    var dialect: Dialect { database.dialect }

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await database.read(work)
    }

    @discardableResult
    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        count.withLock { $0 += 1 }
        return try await database.write(work)
    }

    @discardableResult
    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        count.withLock { $0 += 1 }
        return try await database.groupedWrite(work)
    }

    func notifications() -> AsyncStream<String> { database.notifications() }

    func close() async { await database.close() }
}
