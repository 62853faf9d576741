/// The limits of the PostgreSQL engine.
public enum PostgresLimits {
    /// Connections that read, unless configured. A node has eight connections in all.
    public static let readers = 4
    /// Connections for transactions of their own, unless configured.
    public static let writers = 2
    /// How often a transaction is tried again that lost a deadlock or a serialization.
    static let conflicts = 4
    /// Milliseconds between attempts to connect: doubled from the first to the last.
    static let backoff = (first: 100, last: 2_000)
    /// Seconds a statement waits for a lock.
    static let lockSeconds = 10
    /// Seconds an open transaction may be idle, should this process hang.
    static let idleInTransactionSeconds = 60
}
