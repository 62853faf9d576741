private import Glibc
internal import SQLDatabase

/// A thread's connection, made anew when it is lost, and the transactions it runs. Used on that thread only.
final class PostgresWorker {
    private let configuration: PostgresConfiguration
    private var open: PostgresConnection?
    private var retryMilliseconds = PostgresLimits.backoff.first
    private var nextAttempt: ContinuousClock.Instant?

    init(_ configuration: PostgresConfiguration) {
        self.configuration = configuration
    }

    /// Runs a closure in a transaction of its own, again if the connection was lost or it came into conflict with
    /// another, and answers its caller.
    func run(_ work: PendingWork, _ isolation: PostgresConnection.Isolation) {
        var reconnects = 0
        var conflicts = 0
        while true {
            do throws(DatabaseError) {
                let connection = try connected(isFirst: reconnects == 0)
                connection.begin(isolation)
                let thrown = work.run(connection)
                if thrown == nil, connection.failure == nil {
                    return try finish(work, connection, isolation)
                }
                connection.rollBack()
                if connection.isEnded, reconnects == 0 {
                    reconnects += 1
                } else if let failure = connection.failure, failure.isConflict, conflicts < PostgresLimits.conflicts {
                    conflicts += 1
                } else if thrown == nil, let failure = connection.failure {
                    // The closure hid the error, but the transaction is doomed all the same.
                    return work.fail(failure.error)
                } else {
                    return work.finish()
                }
            } catch {
                return work.fail(error)
            }
        }
    }

    private func finish(
        _ work: PendingWork, _ connection: PostgresConnection, _ isolation: PostgresConnection.Isolation
    ) throws(DatabaseError) {
        switch isolation {
        case .snapshot:
            // The caller need not wait for the end of a transaction that changed nothing.
            work.finish()
            connection.rollBack()
        case .write:
            do throws(DatabaseError) {
                try connection.commit()
            } catch {
                connection.rollBack()
                throw error
            }
            work.finish()
        }
    }

    /// Runs closures in one transaction, each in its savepoint, and answers their callers.
    func run(group: [PendingWork]) {
        var reconnects = 0
        while true {
            do throws(DatabaseError) {
                let connection = try connected(isFirst: reconnects == 0)
                connection.begin(.write)
                let failures: [PostgresFailure?]
                do throws(DatabaseError) {
                    failures = try runAll(group, on: connection)
                } catch {
                    connection.rollBack()
                    guard connection.isEnded, reconnects == 0 else { throw error }
                    reconnects += 1
                    continue
                }
                do throws(DatabaseError) {
                    try connection.commit()
                } catch {
                    connection.rollBack()
                    throw error
                }
                for (work, failure) in zip(group, failures) {
                    if let failure { work.fail(failure.error) } else { work.finish() }
                }
            } catch {
                for work in group { work.fail(error) }
            }
            return
        }
    }

    /// - Returns: for each closure, a database's error that it met with, if that was its end.
    private func runAll(
        _ group: [PendingWork], on connection: PostgresConnection
    ) throws(DatabaseError) -> [PostgresFailure?] {
        var failures: [PostgresFailure?] = []
        for work in group {
            var outcome = try connection.runInSavepoint(work)
            var conflicts = 0
            while let failure = outcome.failure, failure.isConflict, conflicts < PostgresLimits.conflicts {
                conflicts += 1
                outcome = try connection.runInSavepoint(work)
            }
            failures.append(outcome.failure)
        }
        return failures
    }

    /// The connection; a new one if there is none.
    /// - Parameter isFirst: whether to respect the pause after a failed attempt.
    private func connected(isFirst: Bool) throws(DatabaseError) -> PostgresConnection {
        if let open, !open.isEnded { return open }
        open = nil
        if isFirst, let nextAttempt, ContinuousClock.now < nextAttempt {
            throw DatabaseError(.unavailable, "PostgreSQL cannot be reached")
        }
        do throws(DatabaseError) {
            let connection = PostgresConnection(try PostgresSession(configuration))
            open = connection
            retryMilliseconds = PostgresLimits.backoff.first
            nextAttempt = nil
            return connection
        } catch {
            nextAttempt = ContinuousClock.now + .milliseconds(retryMilliseconds)
            retryMilliseconds = min(retryMilliseconds * 2, PostgresLimits.backoff.last)
            throw error
        }
    }
}
