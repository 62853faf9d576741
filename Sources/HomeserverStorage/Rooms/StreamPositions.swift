public import SQLDatabase

/// The streams that clients and nodes follow: `account_data`, `backfill`, `device_lists`, `events`, `presence`,
/// `receipts`, `thread_subscriptions`, `to_device`, `typing`. A position is taken late in the transaction that uses it; its row
/// stays locked until the commit, so positions become visible in order and without gaps.
public struct StreamPositions {
    private let connection: any SQLConnection

    /// Positions as this transaction sees them.
    public init(_ connection: any SQLConnection) {
        self.connection = connection
    }

    /// Takes the next `count` positions of a stream and answers the last of them; those of `events` are whole steps. Take
    /// those of several streams in alphabetical order, so that two transactions never wait for each other.
    /// - Throws: `DatabaseError`; `.misuse` for an unknown stream.
    public func advance(_ stream: String, by count: Int = 1) throws(DatabaseError) -> Int64 {
        guard let row = try connection.query(Self.advancing(stream, by: count)).first else {
            throw DatabaseError(.misuse, "there is no stream \(stream)")
        }
        return try row.integer(0)
    }

    /// The newest position of every stream.
    /// - Throws: `DatabaseError`.
    public func current() throws(DatabaseError) -> [String: Int64] {
        var positions: [String: Int64] = [:]
        for row in try connection.query("SELECT name, position FROM streams") {
            positions[try row.text(0)] = try row.integer(1)
        }
        return positions
    }

    /// The newest position of one stream; 0 when nothing was ever written.
    /// - Throws: `DatabaseError`.
    public func current(_ stream: String) throws(DatabaseError) -> Int64 {
        try connection.query("SELECT position FROM streams WHERE name = \(stream)").first?.integer(0) ?? 0
    }

    /// How far apart the positions of events are: as many fit between two that were sent one after the other and came later.
    public static let eventStep: Int64 = 1 << 16

    static func advancing(_ stream: String, by count: Int) -> SQL {
        let step = stream == "events" ? eventStep : 1
        return """
            UPDATE streams SET position = (position / \(step) + \(count)) * \(step) WHERE name = \(stream)
            RETURNING position
            """
    }
}
