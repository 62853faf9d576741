public import SQLDatabase

/// When the streams had come how far, so that the place of something tells when it came, whatever it says of itself.
public struct PositionTimes {
    /// Rows older than this, in milliseconds, are kept one in `thinning`.
    static let recent: Int64 = 30 * 86_400_000
    /// Milliseconds between old rows.
    static let thinning: Int64 = 86_400_000
    /// Rows older than this go: nothing is asked about longer ago.
    static let kept: Int64 = 10 * 366 * 86_400_000

    private let connection: any SQLConnection

    /// The times as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// When it was noted last, milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func last() throws -> Int64? {
        try connection.query("SELECT MAX(ts) FROM position_times").first?.optionalInteger(0)
    }

    /// Notes how far the streams are. `now` in milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func note(now: Int64) throws {
        for (stream, position) in try StreamPositions(connection).current() {
            try connection.execute(
                """
                INSERT INTO position_times (stream, ts, position) VALUES (\(stream), \(now), \(position))
                ON CONFLICT (stream, ts) DO NOTHING
                """)
        }
        // Of the old, the first of each day stays.
        try connection.execute(
            """
            DELETE FROM position_times WHERE ts < \(now - Self.kept) OR (ts < \(now - Self.recent) AND EXISTS (
                SELECT 1 FROM position_times o WHERE o.stream = position_times.stream AND o.ts < position_times.ts
                AND o.ts / \(Self.thinning) = position_times.ts / \(Self.thinning)))
            """)
    }

    /// The greatest position that a stream had surely reached before a time; nil where that was not noted.
    /// - Throws: `DatabaseError`.
    public func position(of stream: String, before time: Int64) throws -> Int64? {
        try connection.query(
            """
            SELECT position FROM position_times WHERE stream = \(stream) AND ts < \(time) ORDER BY ts DESC LIMIT 1
            """
        ).first?.integer(0)
    }
}
