public import MatrixModel
public import SQLDatabase

/// Rooms that users of ours are joining just now by other servers. These are told of the join, and may send what is said in the
/// room, before its state has come here: that waits for it, and would else be lost.
public struct JoiningRooms {
    private let connection: any SQLConnection

    /// The rooms as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Notes an attempt to join a room. What is sent for it waits until a time at most, milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func begin(_ room: RoomID, attempt: String, until: Int64) throws {
        try connection.execute(
            """
            INSERT INTO joining_rooms (room_id, attempt, until) VALUES (\(room.text), \(attempt), \(until))
            """)
    }

    /// Notes that an attempt is over, whatever came of it.
    /// - Throws: `DatabaseError`.
    public func end(_ room: RoomID, attempt: String) throws {
        try connection.execute("DELETE FROM joining_rooms WHERE room_id = \(room.text) AND attempt = \(attempt)")
    }

    /// Whether one of some rooms is being joined.
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
