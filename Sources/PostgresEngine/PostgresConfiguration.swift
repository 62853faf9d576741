/// How a PostgreSQL database is reached.
public struct PostgresConfiguration: Sendable, CustomStringConvertible {
    /// A libpq URL or connection string. May hold a password: never logged.
    public var url: String
    /// Connections that read.
    public var readers = PostgresLimits.readers
    /// Connections for transactions of their own; one more is for grouped writes, one listens.
    public var writers = PostgresLimits.writers
    /// How long to try to connect, for each host of the URL.
    public var connectTimeout = Duration.seconds(5)
    /// How long one statement may take.
    public var statementTimeout = Duration.seconds(30)

    public init(url: String) {
        self.url = url
    }

    public var description: String { "PostgreSQL at …" }
}
