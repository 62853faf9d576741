internal import SQLDatabase

/// A file with a thread that writes and threads that read, each with its own connection.
final class ThreadedSQLite: Database {
    let dialect = Dialect.sqlite
    private let reads = WorkQueue<PendingWork>(limit: SQLLimits.waitingClosures)
    private let writes = WorkQueue<Write>(limit: SQLLimits.waitingClosures)
    private let threads = WorkerThreads()
    private let hub = NotificationHub()

    /// A closure for the writer.
    private struct Write: Sendable {
        let work: PendingWork
        /// Whether it may share its transaction.
        let isGrouped: Bool
    }

    private init() {}

    static func open(_ configuration: SQLiteConfiguration) async throws -> ThreadedSQLite {
        let opened = ThreadedSQLite()
        do {
            try await withCheckedThrowingContinuation { caller in
                do {
                    try opened.startWriter(configuration, caller)
                } catch {
                    caller.resume(throwing: error)
                }
            }
            for number in 1...max(1, configuration.readers) {
                try opened.threads.start("sqlite-read-\(number)") { [reads = opened.reads] in
                    Self.readLoop(configuration, reads)
                }
            }
        } catch {
            await opened.close()
            throw error
        }
        return opened
    }

    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(in: reads, for: work) { $0 }
    }

    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(in: writes, for: work) { Write(work: $0, isGrouped: false) }
    }

    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await PendingWork.wait(in: writes, for: work) { Write(work: $0, isGrouped: true) }
    }

    func notifications() -> AsyncStream<String> {
        hub.stream()
    }

    func close() async {
        for work in reads.close() { work.fail(.closed) }
        for write in writes.close() { write.work.fail(.closed) }
        await threads.join()
        hub.finish()
    }

    private func startWriter(
        _ configuration: SQLiteConfiguration, _ caller: CheckedContinuation<Void, any Error>
    ) throws(DatabaseError) {
        try threads.start("sqlite-write") { [writes, hub] in
            let connection: SQLiteConnection
            do {
                connection = try SQLiteConnection(configuration, isReader: false)
            } catch {
                return caller.resume(throwing: error)
            }
            caller.resume()
            while case let taken = writes.take(upTo: SQLLimits.closuresPerCommit), !taken.isEmpty {
                connection.access { Self.run(taken, on: connection, notifying: hub) }
            }
            connection.close()
        }
    }

    /// Runs closures in the order they came: those that may share a transaction together, the others singly.
    private static func run(_ writes: [Write], on connection: SQLiteConnection, notifying hub: NotificationHub) {
        var group: [PendingWork] = []
        for write in writes {
            if write.isGrouped {
                group.append(write.work)
                continue
            }
            if !group.isEmpty { connection.write(group: group, notifying: hub) }
            group = []
            connection.write(write.work, notifying: hub)
        }
        if !group.isEmpty { connection.write(group: group, notifying: hub) }
    }

    private static func readLoop(_ configuration: SQLiteConfiguration, _ reads: WorkQueue<PendingWork>) {
        var open: SQLiteConnection?
        while let work = reads.take(upTo: 1).first {
            do throws(DatabaseError) {
                // Opened when first needed, and tried again next time if descriptors are spent.
                let connection = if let open { open } else { try SQLiteConnection(configuration, isReader: true) }
                open = connection
                connection.access { connection.read(work) }
            } catch {
                work.fail(error)
            }
        }
        open?.close()
    }
}
