private import Synchronization

/// A closure waiting for a connection, and the task waiting for its result.
///
/// An engine runs it, perhaps several times, and when the outcome is certain calls `finish` or `fail`, once.
package final class PendingWork: Sendable {
    /// Runs the closure and keeps its result. Gives the error it threw, if it did.
    package let run: @Sendable (any SQLConnection) -> (any Error)?
    /// Answers the caller with the result kept last.
    package let finish: @Sendable () -> Void
    /// Answers the caller with an error.
    package let fail: @Sendable (DatabaseError) -> Void

    private init<R: Sendable>(
        _ work: @escaping @Sendable (any SQLConnection) throws -> R, _ caller: CheckedContinuation<R, any Error>
    ) {
        let outcome = Outcome<R>()
        run = { connection in
            let result = Result { try work(connection) }
            outcome.result.withLock { $0 = result }
            guard case .failure(let error) = result else { return nil }
            return error
        }
        finish = {
            let kept = outcome.result.withLock { $0 }
            caller.resume(with: kept ?? .failure(DatabaseError(.other, "the work was never run")))
        }
        fail = { caller.resume(throwing: $0) }
    }

    /// Hands a closure over and waits for its outcome.
    /// - Parameter start: runs it now or keeps it for later.
    package static func wait<R: Sendable>(
        for work: @escaping @Sendable (any SQLConnection) throws -> R, start: (PendingWork) -> Void
    ) async throws -> R {
        try await withCheckedThrowingContinuation { start(PendingWork(work, $0)) }
    }

    /// Puts a closure into a queue, as an item made of it, and waits for its outcome.
    package static func wait<R: Sendable, Item: Sendable>(
        in queue: WorkQueue<Item>, for work: @escaping @Sendable (any SQLConnection) throws -> R,
        as item: (PendingWork) -> Item
    ) async throws -> R {
        try await wait(for: work) { pending in
            do throws(WorkQueue<Item>.Refusal) {
                try queue.add(item(pending))
            } catch {
                switch error {
                case .full: pending.fail(DatabaseError(.busy, "too much work waits for the database"))
                case .closed: pending.fail(.closed)
                }
            }
        }
    }
}

extension DatabaseError {
    /// The answer to work that comes too late.
    package static let closed = DatabaseError(.unavailable, "the database is closed")
}

private final class Outcome<R: Sendable>: Sendable {
    let result = Mutex<Result<R, any Error>?>(nil)
}
