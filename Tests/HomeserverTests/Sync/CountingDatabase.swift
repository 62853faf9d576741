import SQLDatabase
import Synchronization

/// A database that counts what is asked of it, and can refuse to be written to.
final class CountingDatabase: Database {
    private let database: any Database
    private let counts = Mutex<[String: Int]>([:])
    private let refuses = Mutex(false)

    init(_ database: any Database) { self.database = database }

    var dialect: Dialect { database.dialect }

    /// How often each statement was run since it was asked last.
    func takeCounts() -> [String: Int] {
        counts.withLock { counts in
            defer { counts = [:] }
            return counts
        }
    }

    /// Whether grouped writes fail.
    var refusesGroupedWrites: Bool {
        get { refuses.withLock { $0 } }
        set { refuses.withLock { $0 = newValue } }
    }

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await database.read { try work(Connection(connection: $0, counted: self)) }
    }

    @discardableResult
    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await database.write { try work(Connection(connection: $0, counted: self)) }
    }

    @discardableResult
    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        if refusesGroupedWrites { throw DatabaseError(.unavailable, "refused") }
        return try await database.groupedWrite { try work(Connection(connection: $0, counted: self)) }
    }

    func notifications() -> AsyncStream<String> { database.notifications() }
    func close() async { await database.close() }

    fileprivate func count(_ sql: SQL) {
        let text = sql.text.replacing(/(\$\d+, )+/, with: "").split(whereSeparator: \.isWhitespace)
            .joined(separator: " ").replacing(/\$\d+/, with: "?")
        counts.withLock { $0[text, default: 0] += 1 }
    }
}

private struct Connection: SQLConnection {
    let connection: any SQLConnection
    let counted: CountingDatabase
    var dialect: Dialect { connection.dialect }

    func query(_ sql: SQL) throws(DatabaseError) -> [SQLRow] {
        counted.count(sql)
        return try connection.query(sql)
    }

    func execute(_ sql: SQL) throws(DatabaseError) -> Int {
        counted.count(sql)
        return try connection.execute(sql)
    }

    func executeAll(_ statements: [SQL]) throws(DatabaseError) -> [[SQLRow]] {
        statements.forEach(counted.count)
        return try connection.executeAll(statements)
    }

    func notify(_ payload: String) throws(DatabaseError) { try connection.notify(payload) }
}
