public import MatrixModel
internal import SQLDatabase

extension RoomStore {
    /// A room as it is listed to the operator.
    public struct Row: Sendable {
        public var id: String
        public var version: String
        public var joined: Int64
        public var joinedHere: Int64
        public var isPublished: Bool
        public var isAbandoned: Bool
    }

    /// Rooms listed at once.
    static let listedAtOnce = 200

    /// The next rooms by id.
    /// - Parameter server: ours.
    /// - Throws: `DatabaseError`.
    public func listing(after id: String, server: ServerName) throws -> [Row] {
        let order = connection.dialect.byteOrder
        return try connection.query(
            """
            SELECT r.room_id, r.version,
            (SELECT COUNT(*) FROM room_members m WHERE m.room_nid = r.room_nid AND m.membership = 'join'),
            (SELECT COUNT(*) FROM room_members m WHERE m.room_nid = r.room_nid AND m.membership = 'join'
                AND m.server = \(server.text)),
            r.published, (SELECT COUNT(*) FROM abandoned_rooms a WHERE a.room_nid = r.room_nid)
            FROM rooms r WHERE r.room_id \(raw: order) > \(id) ORDER BY r.room_id \(raw: order) LIMIT \(Self.listedAtOnce)
            """
        ).map { row in
            Row(
                id: try row.text(0), version: try row.text(1), joined: try row.integer(2),
                joinedHere: try row.integer(3), isPublished: try row.bool(4), isAbandoned: try row.bool(5))
        }
    }
}
