public import MatrixModel
public import SQLDatabase

/// Who shares rooms with whom, asked for a few users at a time.
public struct SharedRooms {
    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// A condition: the user of a column is joined to a room that `user` is joined to.
    static func exist(_ column: String, with user: UserID) -> SQL {
        """
        EXISTS (SELECT 1 FROM room_members o
        JOIN room_members m ON m.room_nid = o.room_nid AND m.user_id = \(user.text) AND m.membership = 'join'
        WHERE o.user_id = \(raw: column) AND o.membership = 'join')
        """
    }

    /// The rooms that both of two users are joined to: those after a number, in their order, and how many there are in all.
    /// - Throws: `DatabaseError`.
    public func rooms(
        of user: UserID, and other: UserID, after nid: Int64, limit: Int
    ) throws -> (rooms: [(nid: Int64, id: RoomID)], count: Int) {
        let both: SQL =
            """
            FROM room_members m
            JOIN room_members o ON o.room_nid = m.room_nid AND o.user_id = \(other.text) AND o.membership = 'join'
            JOIN rooms r ON r.room_nid = m.room_nid
            WHERE m.user_id = \(user.text) AND m.membership = 'join'
            """
        let count = try connection.query("SELECT COUNT(*) " + both).first?.int(0) ?? 0
        let rooms = try connection.query(
            "SELECT r.room_nid, r.room_id " + both + " AND r.room_nid > \(nid) ORDER BY r.room_nid LIMIT \(limit)"
        ).compactMap { row in try (try? RoomID(row.text(1))).map { (nid: try row.integer(0), id: $0) } }
        return (rooms, count)
    }

    /// Those of `others` who share a room with `user`.
    /// - Throws: `DatabaseError`.
    public func sharing(_ others: Set<UserID>, with user: UserID) throws -> Set<UserID> {
        var found: Set<UserID> = []
        for chunk in others.sorted().chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT DISTINCT o.user_id FROM room_members o
                JOIN room_members m ON m.room_nid = o.room_nid AND m.user_id = \(user.text) AND m.membership = 'join'
                WHERE o.user_id IN \(list: chunk.map(\.text)) AND o.membership = 'join'
                """)
            {
                if let other = try? UserID(row.text(0)) { found.insert(other) }
            }
        }
        return found
    }

    /// The users who share a room with `user`, and `user`, whose devices or cross-signing keys changed between two positions
    /// of the stream `device_lists`.
    /// - Throws: `DatabaseError`.
    public func changedDeviceLists(for user: UserID, after: Int64, upTo: Int64) throws -> Set<UserID> {
        guard after < upTo else { return [] }
        return Set(
            try connection.query(
                """
                SELECT c.user_id FROM device_list_changes c WHERE c.position > \(after) AND c.position <= \(upTo)
                AND c.reader IN ('', \(user.text))
                AND (c.user_id = \(user.text) OR \(Self.exist("c.user_id", with: user)))
                """
            ).compactMap { try? UserID($0.text(0)) })
    }
}
