public import MatrixModel
public import SQLDatabase

/// Unread counts as they were last kept. They are written behind: what is here was right once, and what came since is counted
/// from there. Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>
public struct UnreadStore {
    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// What is kept of a user's rooms.
    /// - Throws: `DatabaseError`.
    public func records(of user: UserID, rooms: some Collection<Int64>) throws -> [Int64: UnreadRecord] {
        var found: [Int64: UnreadRecord] = [:]
        for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT room_nid, counted, rules, threads FROM unread_counts
                WHERE user_id = \(user.text) AND room_nid IN \(list: chunk)
                """)
            {
                found[try row.integer(0)] = UnreadRecord(
                    counted: try row.integer(1), rules: try row.integer(2), threads: try row.bytes(3))
            }
        }
        return found
    }

    /// The rooms of which a user's counts were left unfinished.
    /// - Throws: `DatabaseError`.
    public func partialRooms(of user: UserID) throws -> [Int64] {
        try connection.query("SELECT room_nid FROM unread_counts WHERE user_id = \(user.text) AND is_partial = 1")
            .map { try $0.integer(0) }
    }

    /// Keeps counts of a room that the user is joined to, unless more is counted already. A count that went further replaces
    /// one that did not, so the same may be written twice, and from several nodes.
    /// - Parameter isPartial: whether a sync is to go on counting at once.
    /// - Throws: `DatabaseError`.
    public func keep(_ record: UnreadRecord, of user: UserID, room: Int64, isPartial: Bool) throws {
        try connection.execute(
            """
            INSERT INTO unread_counts (user_id, room_nid, counted, rules, is_partial, threads)
            SELECT m.user_id, m.room_nid, \(record.counted), \(record.rules), \(isPartial ? 1 : 0), \(record.stored)
            FROM room_members m
            WHERE m.room_nid = \(room) AND m.user_id = \(user.text) AND m.membership = 'join'
            ON CONFLICT (user_id, room_nid) DO UPDATE SET counted = excluded.counted, rules = excluded.rules,
            is_partial = excluded.is_partial, threads = excluded.threads
            WHERE excluded.counted >= unread_counts.counted
            """)
    }

    /// Takes out counts of rooms that their users are no longer joined to.
    /// - Throws: `DatabaseError`.
    public func forgetLeft() throws {
        try connection.execute(
            """
            DELETE FROM unread_counts WHERE NOT EXISTS (
                SELECT 1 FROM room_members m WHERE m.room_nid = unread_counts.room_nid
                AND m.user_id = unread_counts.user_id AND m.membership = 'join')
            """)
    }
}
