public import MatrixModel
public import SQLDatabase

/// Rooms that none of our users is in, or remembers.
public struct AbandonedRooms {
    private let connection: any SQLConnection

    /// The rooms as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Looks at some rooms by number: notes which are abandoned since now, and forgets those that are not any more.
    /// - Parameter server: ours.
    /// - Throws: `DatabaseError`.
    public func look(at rooms: [Int64], server: ServerName, now: Int64) throws {
        guard !rooms.isEmpty else { return }
        // Whoever is in a room, invited or knocking, or has left it and not forgotten. Who is deactivated cannot come back.
        let minded = Set(
            try connection.query(
                """
                SELECT DISTINCT m.room_nid FROM room_members m WHERE m.room_nid IN \(list: rooms)
                AND m.server = \(server.text) AND (m.membership IN ('join', 'invite', 'knock')
                OR NOT EXISTS (SELECT 1 FROM forgotten_rooms f WHERE f.user_id = m.user_id AND f.room_nid = m.room_nid
                    UNION ALL SELECT 1 FROM accounts a WHERE a.user_id = m.user_id AND a.is_deactivated = 1))
                """
            ).map { try $0.integer(0) })
        let partial = Set(
            try connection.query("SELECT room_nid FROM rooms WHERE room_nid IN \(list: rooms) AND (flags & 1) <> 0")
                .map { try $0.integer(0) })
        let abandoned = rooms.filter { !minded.contains($0) && !partial.contains($0) }
        try connection.executeAll(
            abandoned.map {
                """
                INSERT INTO abandoned_rooms (room_nid, since) VALUES (\($0), \(now)) ON CONFLICT (room_nid) DO NOTHING
                """
            })
        let others = rooms.filter { !abandoned.contains($0) }
        if !others.isEmpty {
            try connection.execute("DELETE FROM abandoned_rooms WHERE room_nid IN \(list: others)")
        }
    }

    /// The rooms that are abandoned since before a time.
    /// - Throws: `DatabaseError`.
    public func since(before time: Int64, limit: Int) throws -> [RoomID] {
        try connection.query(
            """
            SELECT r.room_id FROM abandoned_rooms a JOIN rooms r ON r.room_nid = a.room_nid
            WHERE a.since < \(time) AND r.published = 0 ORDER BY a.since LIMIT \(limit)
            """
        ).compactMap { try? RoomID($0.text(0)) }
    }
}
