import SQLDatabase
import SQLiteEngine
import Synchronization

/// A database whose process dies at a statement: before the statement that is to be the last, or just after the commit
/// that holds it. From then on nothing reaches the database any more.
final class CrashingDatabase: Database {
    struct Dead: Error {}

    private struct State {
        var left: Int?
        var count = 0
        var isDead = false
    }

    private let database: SQLiteDatabase
    private let state = Mutex(State())

    init(_ database: SQLiteDatabase) { self.database = database }

    var dialect: Dialect { database.dialect }

    /// Dies when so many more statements have been run.
    func crash(after statements: Int) {
        state.withLock {
            $0.left = statements
            $0.count = 0
        }
    }

    /// Lives on.
    func spare() { state.withLock { $0.left = nil } }

    /// How many statements were run since `crash(after:)`.
    var statements: Int { state.withLock { $0.count } }
    var isDead: Bool { state.withLock { $0.isDead } }

    fileprivate func step() throws(DatabaseError) {
        let dies = state.withLock { state in
            state.count += 1
            if let left = state.left {
                if left == 0 { state.isDead = true }
                state.left = max(left - 1, 0)
            }
            return state.isDead
        }
        if dies { throw DatabaseError(.unavailable, "the process is dead") }
    }

    private func check() throws { if isDead { throw Dead() } }

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try check()
        return try await database.read { try work(CrashingConnection(connection: $0, database: self)) }
    }

    @discardableResult
    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try check()
        let result = try await database.write { try work(CrashingConnection(connection: $0, database: self)) }
        // The commit is done: whoever dies now has not heard of it.
        try step()
        return result
    }

    @discardableResult
    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await write(work)
    }

    func notifications() -> AsyncStream<String> { database.notifications() }
    func close() async { await database.close() }
}

private struct CrashingConnection: SQLConnection {
    let connection: any SQLConnection
    let database: CrashingDatabase

    var dialect: Dialect { connection.dialect }

    func query(_ sql: SQL) throws(DatabaseError) -> [SQLRow] {
        try database.step()
        return try connection.query(sql)
    }

    func execute(_ sql: SQL) throws(DatabaseError) -> Int {
        try database.step()
        return try connection.execute(sql)
    }

    func executeAll(_ statements: [SQL]) throws(DatabaseError) -> [[SQLRow]] {
        try database.step()
        return try connection.executeAll(statements)
    }

    func notify(_ payload: String) throws(DatabaseError) { try connection.notify(payload) }
}
