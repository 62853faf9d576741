import SQLDatabase
import Synchronization

/// A database that counts what is asked of it, and can refuse to be written to.
final class CountingDatabase: Database {
    private let database: any Database
    private let counts = Mutex<[String: Int]>([:])
    private let refuses = Mutex(false)
    private let refusedText = Mutex<String?>(nil)

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

    /// Statements with this in them fail.
    var refused: String? {
        get { refusedText.withLock { $0 } }
        set { refusedText.withLock { $0 = newValue } }
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

    fileprivate func count(_ sql: SQL) throws(DatabaseError) {
        let text = sql.text.replacing(/(\$\d+, )+/, with: "").split(whereSeparator: \.isWhitespace)
            .joined(separator: " ").replacing(/\$\d+/, with: "?")
        counts.withLock { $0[text, default: 0] += 1 }
        if let refused, text.contains(refused) { throw DatabaseError(.unavailable, "refused") }
    }
}

private struct Connection: SQLConnection {
    let connection: any SQLConnection
    let counted: CountingDatabase
    var dialect: Dialect { connection.dialect }

    func query(_ sql: SQL) throws(DatabaseError) -> [SQLRow] {
        try counted.count(sql)
        return try connection.query(sql)
    }

    func execute(_ sql: SQL) throws(DatabaseError) -> Int {
        try counted.count(sql)
        return try connection.execute(sql)
    }

    func executeAll(_ statements: [SQL]) throws(DatabaseError) -> [[SQLRow]] {
        for statement in statements { try counted.count(statement) }
        return try connection.executeAll(statements)
    }

    func notify(_ payload: String) throws(DatabaseError) { try connection.notify(payload) }
}
