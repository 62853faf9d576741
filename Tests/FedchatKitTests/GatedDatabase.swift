import SQLDatabase
import SQLiteEngine
import Synchronization

/// A database whose grouped writes are known to their callers only when the test lets them.
final class GatedDatabase: Database, Sendable {
    private struct State {
        var isClosed = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let database: SQLiteDatabase
    private let state = Mutex(State())

    init(_ database: SQLiteDatabase) { self.database = database }

    var dialect: Dialect { database.dialect }

    /// Writes that are done, and whose callers do not know.
    var waiting: Int { state.withLock { $0.waiting.count } }

    func shut() { state.withLock { $0.isClosed = true } }

    func letOnePass() {
        let first = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
        first?.resume()
    }

    func reopen() {
        let all = state.withLock { state in
            state.isClosed = false
            defer { state.waiting = [] }
            return state.waiting
        }
        for each in all { each.resume() }
    }

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await database.read(work)
    }

    @discardableResult
    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await database.write(work)
    }

    @discardableResult
    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        let result = try await database.groupedWrite(work)
        await withCheckedContinuation { continuation in
            let passes = state.withLock { state in
                if state.isClosed { state.waiting.append(continuation) }
                return !state.isClosed
            }
            if passes { continuation.resume() }
        }
        return result
    }

    func notifications() -> AsyncStream<String> { database.notifications() }

    func close() async { await database.close() }
}
