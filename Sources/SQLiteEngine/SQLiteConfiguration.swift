/// How a SQLite database is opened.
public struct SQLiteConfiguration: Sendable {
    /// Where the data is.
    public enum Location: Sendable, Hashable {
        case file(String)
        /// Lost when closed. Always inline.
        case memory
    }

    /// What survives a power cut.
    public enum Durability: String, Sendable, Hashable {
        /// All that was answered: the log is synced at each commit.
        case full
        /// A consistent older state: the log is synced at checkpoints.
        case normal
        /// Perhaps nothing. For tests.
        case off
    }

    /// Which threads work.
    public enum Threading: Sendable, Hashable {
        /// One thread writes and some read.
        case ownThreads
        /// The caller's thread, one closure after the other: for tests and simulation, which must be repeatable.
        case inline
    }

    public var location: Location
    public var durability = Durability.full
    public var threading = Threading.ownThreads
    /// Threads that read, each with its connection.
    public var readers = SQLiteLimits.readers
    /// How long to wait for another process that writes to the file.
    public var busyTimeout = Duration.seconds(5)

    public init(_ location: Location) {
        self.location = location
        if location == .memory { threading = .inline }
    }
}
