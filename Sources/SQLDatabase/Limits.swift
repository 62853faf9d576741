/// The limits of SQL statements and connections, for both engines alike.
public enum SQLLimits {
    /// Values one statement may bind. SQLite allows 32,766, PostgreSQL 65,535.
    public static let maximumBinds = 32_000
    /// Bytes of a statement's text. SQLite's own limit is 1,000,000.
    public static let maximumTextBytes = 900_000
    /// Rows one statement may give: more is a query that forgot its `LIMIT`.
    public static let maximumRows = 1_000_000
    /// Bytes of a notification. PostgreSQL allows 7,999.
    public static let maximumNotificationBytes = 7_999
    /// Notifications a slow reader may be behind.
    public static let bufferedNotifications = 1_024
    /// Closures that may wait for a connection of one kind; more are refused as `.busy`.
    public static let waitingClosures = 4_096
    /// Closures that share one commit.
    public static let closuresPerCommit = 256
    /// Prepared statements a connection keeps.
    public static let preparedStatements = 512
}
