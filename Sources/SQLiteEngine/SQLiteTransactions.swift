internal import SQLDatabase

/// How closures become transactions. Each function is called inside `access`.
extension SQLiteConnection {
    /// Runs a closure on one snapshot, then answers its caller.
    func read(_ work: PendingWork) {
        do {
            try execute("BEGIN DEFERRED")
        } catch {
            return work.fail(error)
        }
        _ = run(work)
        takeNotifications()
        rollBack()
        work.finish()
    }

    /// Runs a closure in a transaction of its own, then answers its caller.
    func write(_ work: PendingWork, notifying hub: NotificationHub) {
        do throws(DatabaseError) {
            try execute("BEGIN IMMEDIATE")
            guard run(work) == nil else {
                takeNotifications()
                rollBack()
                return work.finish()
            }
            try execute("COMMIT")
        } catch {
            takeNotifications()
            rollBack()
            return work.fail(error)
        }
        hub.send(takeNotifications())
        work.finish()
    }

    /// Runs closures in one transaction, each in its savepoint, then answers their callers.
    func write(group: [PendingWork], notifying hub: NotificationHub) {
        do throws(DatabaseError) {
            try execute("BEGIN IMMEDIATE")
            for work in group { try writeInSavepoint(work) }
            try execute("COMMIT")
        } catch {
            takeNotifications()
            rollBack()
            for work in group { work.fail(error) }
            return
        }
        hub.send(takeNotifications())
        for work in group { work.finish() }
    }

    /// - Throws: what dooms the whole group.
    private func writeInSavepoint(_ work: PendingWork) throws(DatabaseError) {
        let notified = pendingNotifications.count
        try execute("SAVEPOINT closure")
        let failure = run(work)
        guard isInTransaction else {
            // A full disk or the like made SQLite undo everything, the work of the others too.
            throw failure as? DatabaseError ?? DatabaseError(.other, "SQLite ended the transaction")
        }
        if failure != nil {
            takeNotifications(after: notified)
            try execute("ROLLBACK TO closure")
        }
        try execute("RELEASE closure")
    }

    private func run(_ work: PendingWork) -> (any Error)? {
        isRunningClosure = true
        defer { isRunningClosure = false }
        return work.run(self)
    }

    private func rollBack() {
        guard isInTransaction else { return }
        _ = try? execute("ROLLBACK")
    }
}
