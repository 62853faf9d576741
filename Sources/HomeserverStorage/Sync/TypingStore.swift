public import MatrixModel
public import SQLDatabase

/// Who is typing where. Spec: <https://spec.matrix.org/v1.19/client-server-api/#typing-notifications>
public struct TypingStore {
    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Notes that a user types until a time, or no longer types, and wakes the room's syncs if that is news.
    /// - Parameter until: milliseconds since 1970; nil when the user stopped.
    /// - Throws: `DatabaseError`.
    public func set(_ user: UserID, room: Int64, until: Int64?, limit: Int) throws {
        if let until {
            let known = try connection.execute(
                "UPDATE typing SET until = \(until) WHERE room_nid = \(room) AND user_id = \(user.text)")
            guard known == 0 else { return }
            let count = try connection.query("SELECT COUNT(*) FROM typing WHERE room_nid = \(room)").first?.int(0) ?? 0
            guard count < limit else { return }
            try connection.execute(
                """
                INSERT INTO typing (room_nid, user_id, until) VALUES (\(room), \(user.text), \(until))
                ON CONFLICT (room_nid, user_id) DO UPDATE SET until = excluded.until
                """)
        } else {
            let removed = try connection.execute(
                "DELETE FROM typing WHERE room_nid = \(room) AND user_id = \(user.text)")
            guard removed > 0 else { return }
        }
        try changed([room])
    }

    /// Whether somebody's time is up.
    /// - Throws: `DatabaseError`.
    public func hasExpired(now: Int64) throws -> Bool {
        try !connection.query("SELECT 1 FROM typing WHERE until <= \(now) LIMIT 1").isEmpty
    }

    /// Takes out those whose time is up.
    /// - Throws: `DatabaseError`.
    public func expire(now: Int64) throws {
        let rooms = try connection.query("DELETE FROM typing WHERE until <= \(now) RETURNING room_nid")
            .map { try $0.integer(0) }
        if !rooms.isEmpty { try changed(Array(Set(rooms)).sorted()) }
    }

    private func changed(_ rooms: [Int64]) throws {
        let position = try StreamPositions(connection).advance("typing")
        for room in rooms {
            try connection.execute(
                """
                INSERT INTO typing_rooms (room_nid, position) VALUES (\(room), \(position))
                ON CONFLICT (room_nid) DO UPDATE SET position = excluded.position
                """)
            try connection.notify("typing \(position) \(room)")
        }
    }

    /// Those who type in a room, by name.
    /// - Throws: `DatabaseError`.
    public func users(room: Int64, now: Int64) throws -> [UserID] {
        try connection.query(
            "SELECT user_id FROM typing WHERE room_nid = \(room) AND until > \(now) ORDER BY user_id"
        ).compactMap { try? UserID($0.text(0)) }
    }

    /// The rooms a user is joined to in which the list changed between two positions.
    /// - Throws: `DatabaseError`.
    public func changedRooms(for user: UserID, after: Int64, upTo: Int64) throws -> [Int64] {
        guard after < upTo else { return [] }
        return try connection.query(
            """
            SELECT t.room_nid FROM typing_rooms t
            JOIN room_members m ON m.room_nid = t.room_nid AND m.user_id = \(user.text) AND m.membership = 'join'
            WHERE t.position > \(after) AND t.position <= \(upTo)
            """
        ).map { try $0.integer(0) }
    }

    /// The rooms a user is joined to in which somebody types.
    /// - Throws: `DatabaseError`.
    public func rooms(for user: UserID, now: Int64) throws -> [Int64] {
        try connection.query(
            """
            SELECT DISTINCT t.room_nid FROM typing t
            JOIN room_members m ON m.room_nid = t.room_nid AND m.user_id = \(user.text) AND m.membership = 'join'
            WHERE t.until > \(now)
            """
        ).map { try $0.integer(0) }
    }
}
