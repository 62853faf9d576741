internal import SQLDatabase
private import Synchronization

/// One connection, used on the caller's thread by one closure after the other.
final class InlineSQLite: Database {
    let dialect = Dialect.sqlite
    private let connection: Mutex<SQLiteConnection?>
    private let hub = NotificationHub()

    init(_ configuration: SQLiteConfiguration) throws(DatabaseError) {
        connection = Mutex(try SQLiteConnection(configuration, isReader: false))
    }

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(for: work) { pending in
            self.use(pending) { connection in
                connection.refusesWrites = true
                connection.read(pending)
                connection.refusesWrites = false
            }
        }
    }

    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(for: work) { pending in
            self.use(pending) { $0.write(pending, notifying: self.hub) }
        }
    }

    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(for: work) { pending in
            self.use(pending) { $0.write(group: [pending], notifying: self.hub) }
        }
    }

    func notifications() -> AsyncStream<String> {
        hub.stream()
    }

    func close() async {
        connection.withLock { connection in
            connection?.close()
            connection = nil
        }
        hub.finish()
    }

    private func use(_ pending: PendingWork, _ body: @Sendable (SQLiteConnection) -> Void) {
        connection.withLock { connection in
            guard let connection else { return pending.fail(.closed) }
            connection.access { body(connection) }
        }
    }
}
