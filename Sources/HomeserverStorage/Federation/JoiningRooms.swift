public import MatrixModel
public import SQLDatabase

/// Rooms that users of ours are joining just now by other servers. These are told of the join, and may send what is said in the
/// room, before its state has come here: that waits for it, and would else be lost.
public struct JoiningRooms {
    /// After what is sent for a room has waited for a join it waits for none for so many milliseconds, so that whoever has a user
    /// join again and again, or does not answer, holds up nobody for long.
    private static let pause: Int64 = 60_000

    private let connection: any SQLConnection

    /// The rooms as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Notes an attempt to join a room; nothing waits for it where something waited for another lately.
    /// - Parameter until: how long what is sent for it waits at most, milliseconds since 1970, as is `now`.
    /// - Throws: `DatabaseError`.
    public func begin(_ room: RoomID, attempt: String, now: Int64, until: Int64) throws {
        try connection.execute(
            """
            INSERT INTO joining_rooms (room_id, attempt, until) VALUES (\(room.text), \(attempt), \(until))
            ON CONFLICT (room_id) DO UPDATE SET attempt = excluded.attempt, until = excluded.until
            WHERE joining_rooms.until < \(now - Self.pause)
            """)
    }

    /// Notes that nothing need wait any more.
    /// - Parameters:
    ///   - attempt: the attempt that failed; nil where the room is here, whoever else joins it.
    ///   - now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func end(_ room: RoomID, attempt: String?, now: Int64) throws {
        let whose: SQL = if let attempt { "AND attempt = \(attempt)" } else { "" }
        try connection.execute(
            "UPDATE joining_rooms SET until = \(now) WHERE room_id = \(room.text) AND until > \(now) \(whose)")
    }

    /// Whether what is sent for one of some rooms waits.
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func contains(anyOf rooms: [String], now: Int64) throws -> Bool {
        try rooms.chunks(of: Limits.bindsPerStatement).contains { chunk in
            try !connection.query(
                "SELECT 1 FROM joining_rooms WHERE until > \(now) AND room_id IN \(list: chunk) LIMIT 1"
            ).isEmpty
        }
    }
}
