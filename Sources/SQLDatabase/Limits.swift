/// The limits of SQL statements, for both engines alike.
public enum SQLLimits {
    /// Values one statement may bind. SQLite allows 32,766, PostgreSQL 65,535.
    public static let maximumBinds = 32_000
    /// Bytes of a statement's text. SQLite's own limit is 1,000,000.
    public static let maximumTextBytes = 900_000
}
