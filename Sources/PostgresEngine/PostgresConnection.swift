internal import SQLDatabase

/// A session and the transaction in it. What opens or ends a savepoint is sent along with the next statement.
final class PostgresConnection: SQLConnection {
    let dialect = Dialect.postgres
    /// What has doomed the transaction.
    private(set) var failure: PostgresFailure?
    private let session: PostgresSession
    /// To be sent before the next statement.
    private var deferred: [SQL] = []
    /// How many times something was sent in this transaction.
    private var sends = 0

    init(_ session: PostgresSession) {
        self.session = session
    }

    /// Whether a new connection is needed.
    var isEnded: Bool { session.isEnded }

    func query(_ sql: SQL) throws(DatabaseError) -> [SQLRow] {
        try executeAll([sql])[0]
    }

    @discardableResult
    func execute(_ sql: SQL) throws(DatabaseError) -> Int {
        try sql.validate()
        return try send([sql]).first?.changes ?? 0
    }

    @discardableResult
    func executeAll(_ statements: [SQL]) throws(DatabaseError) -> [[SQLRow]] {
        for statement in statements { try statement.validate() }
        guard !statements.isEmpty else { return [] }
        let answers = try send(statements)
        for answer in answers where answer.rows.count > SQLLimits.maximumRows {
            throw DatabaseError(.misuse, "a statement gives over \(SQLLimits.maximumRows) rows")
        }
        return answers.map(\.rows)
    }

    func notify(_ payload: String) throws(DatabaseError) {
        guard payload.utf8.count <= SQLLimits.maximumNotificationBytes, !payload.utf8.contains(0) else {
            throw DatabaseError(.misuse, "a notification is too long, or contains U+0000")
        }
        if let failure { throw failure.error }
        deferred.append("SELECT pg_notify('\(raw: PostgresListener.channel)', \(payload))")
    }

    // MARK: Transactions

    enum Isolation: String {
        case snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        case write = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
    }

    /// Begins a transaction.
    func begin(_ isolation: Isolation) {
        failure = nil
        sends = 0
        deferred = [SQL(raw: isolation.rawValue)]
    }

    /// Commits. Once this was called and the connection is lost, nobody knows what has become of the transaction.
    func commit() throws(DatabaseError) {
        if sends == 0, deferred.count == 1 {
            deferred = []
            return
        }
        let tag = try send(["COMMIT"]).last?.tag
        guard tag == "COMMIT" else { throw DatabaseError(.other, "PostgreSQL rolled back instead of committing") }
    }

    /// Undoes the transaction, as far as the connection is still there.
    func rollBack() {
        deferred = []
        guard sends > 0, !isEnded else { return }
        _ = try? session.run(["ROLLBACK"], isFirst: false)
    }

    /// Runs a closure in a savepoint, and undoes it if it fails.
    /// - Returns: whether it succeeded; if not, what doomed it, or `nil` if the closure threw of its own accord.
    /// - Throws: what dooms the whole transaction.
    func runInSavepoint(_ work: PendingWork) throws(DatabaseError) -> (isDone: Bool, failure: PostgresFailure?) {
        let before = (deferred: deferred.count, sends: sends)
        deferred.append("SAVEPOINT closure")
        let thrown = work.run(self)
        if isEnded { throw failure?.error ?? DatabaseError(.unavailable, "the connection to PostgreSQL is lost") }
        if failure == nil, thrown == nil {
            deferred.append("RELEASE SAVEPOINT closure")
            return (true, nil)
        }
        let failed = failure
        failure = nil
        if sends == before.sends {
            deferred.removeSubrange(before.deferred...)
        } else if let failed, sends == before.sends + 1, failed.index <= before.deferred {
            // Not the closure's statement failed, but one that came before or made the savepoint.
            failure = failed
            throw failed.error
        } else {
            deferred = ["ROLLBACK TO SAVEPOINT closure", "RELEASE SAVEPOINT closure"]
        }
        return (false, failed)
    }

    private func send(_ statements: [SQL]) throws(DatabaseError) -> [PostgresSession.Answer] {
        if let failure { throw failure.error }
        let commands = deferred + statements
        let isFirst = sends == 0
        deferred = []
        sends += 1
        do throws(PostgresFailure) {
            return Array(try session.run(commands, isFirst: isFirst).suffix(statements.count))
        } catch {
            failure = error
            throw error.error
        }
    }
}
