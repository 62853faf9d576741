/// A database: transactions as synchronous closures, reached asynchronously. Nothing is awaited while rows are locked,
/// and no call blocks the cooperative thread pool.
///
/// All three doors throw ``DatabaseError``, or what the closure throws. A closure may run more than once (a
/// serialization failure), so it must have no effect but on the connection it is given.
public protocol Database: Sendable {
    var dialect: Dialect { get }

    /// Runs a closure on one consistent snapshot. It cannot change anything.
    func read<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R

    /// Runs a closure in a transaction of its own, and returns once that is durable. When the closure throws, nothing
    /// is kept.
    @discardableResult
    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R

    /// Runs a closure in a savepoint of a transaction shared with others waiting at the same time, so that one sync to
    /// disk serves all, and returns once that is durable. A closure that throws undoes only its own changes. If the
    /// shared transaction cannot be committed, all of its callers get that error.
    @discardableResult
    func groupedWrite<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R

    /// What is notified from now on, by this process and, on PostgreSQL, by all. A hint: a slow reader loses the
    /// oldest, and a lost connection to PostgreSQL loses what was sent meanwhile; after either the empty string
    /// is delivered, so that the reader looks for itself. Ends when the database is closed.
    func notifications() -> AsyncStream<String>

    /// Waits for work that has begun, fails what waits, and closes. Later calls fail as `.unavailable`.
    func close() async
}
