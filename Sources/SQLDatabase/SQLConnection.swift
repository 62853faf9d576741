/// A connection inside a transaction. Use it in the closure it was given to, and nowhere else.
///
/// On PostgreSQL a statement that fails dooms its transaction (in `groupedWrite`, its savepoint): let the error out.
public protocol SQLConnection {
    var dialect: Dialect { get }

    /// Runs one statement and gives its rows: a `SELECT`, or a change with `RETURNING`.
    func query(_ sql: SQL) throws(DatabaseError) -> [SQLRow]

    /// Runs one statement and gives the number of rows it changed.
    @discardableResult
    func execute(_ sql: SQL) throws(DatabaseError) -> Int

    /// Runs statements in order and gives the rows of each; on PostgreSQL in one round trip. The first that fails
    /// ends it, and its error is thrown.
    @discardableResult
    func executeAll(_ statements: [SQL]) throws(DatabaseError) -> [[SQLRow]]

    /// Sends `payload`, under 8,000 bytes, to the `notifications()` of all nodes once the transaction has committed.
    func notify(_ payload: String) throws(DatabaseError)
}
