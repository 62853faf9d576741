public import MatrixModel
public import SQLDatabase

/// Rooms that users of ours are joining just now by other servers. These are told of the join, and may send what is said in the
/// room, before its state has come here: that waits, and would else be lost.
public struct JoiningRooms {
    private let connection: any SQLConnection

    /// The rooms as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Notes that a user is joining a room, until a time at most, milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func begin(_ room: RoomID, user: UserID, version: RoomVersion, until: Int64) throws {
        try connection.execute(
            """
            INSERT INTO joining_rooms (room_id, user_id, version, until)
            VALUES (\(room.text), \(user.text), \(version.text), \(until))
            ON CONFLICT (room_id, user_id) DO UPDATE SET version = excluded.version, until = excluded.until
            """)
    }

    /// Notes that a user is in a room, or will not be.
    /// - Parameter user: nil where the room is here now, whoever joins it.
    /// - Throws: `DatabaseError`.
    public func end(_ room: RoomID, user: UserID? = nil) throws {
        let whose: SQL = if let user { "AND user_id = \(user.text)" } else { "" }
        try connection.execute("DELETE FROM joining_rooms WHERE room_id = \(room.text) \(whose)")
    }

    /// Those of some rooms that are being joined, with their versions.
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func versions(of rooms: [String], now: Int64) throws -> [String: RoomVersion] {
        var versions: [String: RoomVersion] = [:]
        for chunk in rooms.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT room_id, version FROM joining_rooms WHERE until > \(now) AND room_id IN \(list: chunk)")
            {
                versions[try row.text(0)] = RoomVersion(try row.text(1))
            }
        }
        return versions
    }
}
