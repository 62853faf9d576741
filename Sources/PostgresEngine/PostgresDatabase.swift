public import SQLDatabase

/// A PostgreSQL database. A thread for each connection: some read, some write, one commits for many at once, one
/// listens. A lost connection is made anew; work that found none fails as `.unavailable`.
///
/// A transaction is run again, its closure too, when it lost a deadlock, or when the connection was found dead before
/// `COMMIT` was sent.
public final class PostgresDatabase: Database {
    private let reads = WorkQueue<PendingWork>(limit: SQLLimits.waitingClosures)
    private let writes = WorkQueue<PendingWork>(limit: SQLLimits.waitingClosures)
    private let groupedWrites = WorkQueue<PendingWork>(limit: SQLLimits.waitingClosures)
    private let threads = WorkerThreads()
    private let hub: NotificationHub
    private let listener: PostgresListener

    public var dialect: Dialect { .postgres }

    /// Connects.
    /// - Throws: ``DatabaseError``: `.unavailable` when the server cannot be reached, `.misuse` for a malformed URL.
    ///   Neither tells the URL.
    public static func open(_ configuration: PostgresConfiguration) async throws -> PostgresDatabase {
        let database = try PostgresDatabase(configuration)
        do {
            try await withCheckedThrowingContinuation { caller in
                do {
                    try database.startListening(caller)
                } catch {
                    caller.resume(throwing: error)
                }
            }
            try database.startWorkers(configuration)
        } catch {
            await database.close()
            throw error
        }
        return database
    }

    private init(_ configuration: PostgresConfiguration) throws(DatabaseError) {
        hub = NotificationHub()
        listener = try PostgresListener(configuration, hub)
    }

    private func startListening(_ caller: CheckedContinuation<Void, any Error>) throws(DatabaseError) {
        try threads.start("pg-listen") { [listener] in
            listener.run { caller.resume(with: $0.mapError { $0 as any Error }) }
        }
    }

    private func startWorkers(_ configuration: PostgresConfiguration) throws(DatabaseError) {
        for number in 1...max(1, configuration.readers) {
            try threads.start("pg-read-\(number)") { [reads] in
                let worker = PostgresWorker(configuration)
                while let work = reads.take(upTo: 1).first { worker.run(work, .snapshot) }
            }
        }
        for number in 1...max(1, configuration.writers) {
            try threads.start("pg-write-\(number)") { [writes] in
                let worker = PostgresWorker(configuration)
                while let work = writes.take(upTo: 1).first { worker.run(work, .write) }
            }
        }
        try threads.start("pg-group") { [groupedWrites] in
            let worker = PostgresWorker(configuration)
            while case let group = groupedWrites.take(upTo: SQLLimits.closuresPerCommit), !group.isEmpty {
                worker.run(group: group)
            }
        }
    }

    public func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(in: reads, for: work) { $0 }
    }

    @discardableResult
    public func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(in: writes, for: work) { $0 }
    }

    @discardableResult
    public func groupedWrite<R: Sendable>(
        _ work: @escaping @Sendable (any SQLConnection) throws -> R
    ) async throws -> R {
        try await PendingWork.wait(in: groupedWrites, for: work) { $0 }
    }

    public func notifications() -> AsyncStream<String> {
        hub.stream()
    }

    public func close() async {
        for work in reads.close() + writes.close() + groupedWrites.close() { work.fail(.closed) }
        listener.stop()
        await threads.join()
        hub.finish()
    }
}
