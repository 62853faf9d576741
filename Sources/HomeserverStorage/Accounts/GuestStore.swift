public import MatrixModel
public import SQLDatabase

/// Guests in rooms. Spec: <https://spec.matrix.org/v1.19/client-server-api/#guest-access>
public struct GuestStore {
    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// The guests who are joined to a room, by `room_nid`.
    /// - Throws: `DatabaseError`.
    public func guests(in room: Int64) throws -> [UserID] {
        try connection.query(
            """
            SELECT m.user_id FROM room_members m JOIN accounts a ON a.user_id = m.user_id AND a.is_guest = 1
            WHERE m.room_nid = \(room) AND m.membership = 'join'
            """
        ).compactMap { try? UserID($0.text(0)) }
    }

    /// Guests who have done nothing since a time, milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func unseen(since time: Int64, limit: Int) throws -> [UserID] {
        try connection.query(
            """
            SELECT a.user_id FROM accounts a WHERE a.is_guest = 1 AND a.is_deactivated = 0 AND a.created_ts < \(time)
            AND NOT EXISTS (SELECT 1 FROM devices d WHERE d.user_id = a.user_id
                AND COALESCE(d.last_seen_ts, d.created_ts) >= \(time)) LIMIT \(limit)
            """
        ).compactMap { try? UserID($0.text(0)) }
    }

    /// The rooms, by `room_nid`, that guests are joined to.
    /// - Throws: `DatabaseError`.
    public func rooms() throws -> [Int64] {
        try connection.query(
            """
            SELECT DISTINCT m.room_nid FROM accounts a
            JOIN room_members m ON m.user_id = a.user_id AND m.membership = 'join' WHERE a.is_guest = 1
            """
        ).map { try $0.integer(0) }
    }
}
