public import MatrixModel
public import SQLDatabase

/// Rooms, who is in them, and invites to rooms elsewhere.
public struct RoomStore {
    let connection: any SQLConnection

    /// The rooms as this transaction sees them.
    public init(_ connection: any SQLConnection) {
        self.connection = connection
    }

    // MARK: Rooms

    /// A room; nil when this server does not have it.
    /// - Throws: `DatabaseError`.
    public func room(_ id: RoomID) throws -> RoomRecord? {
        try connection.query(Self.rooms + "WHERE room_id = \(id.text)").first.map(Self.record)
    }

    /// The room of a number.
    /// - Throws: `DatabaseError`.
    public func room(nid: Int64) throws -> RoomRecord? {
        try connection.query(Self.rooms + "WHERE room_nid = \(nid)").first.map(Self.record)
    }

    /// The rooms of this server's directory, the lowest number first.
    /// - Throws: `DatabaseError`.
    public func publishedRooms() throws -> [RoomRecord] {
        try connection.query(Self.rooms + "WHERE published = 1 ORDER BY room_nid").map(Self.record)
    }

    /// Lists a room in the directory, or takes it off.
    /// - Throws: `DatabaseError`.
    public func setPublished(_ isPublished: Bool, room: Int64) throws {
        try connection.execute("UPDATE rooms SET published = \(isPublished) WHERE room_nid = \(room)")
    }

    /// Gives a room's head a new version without changing it, so that whoever appends next must have read it since.
    /// - Throws: `DatabaseError`.
    public func contend(for id: RoomID) throws {
        try connection.execute("UPDATE rooms SET head_version = head_version + 1 WHERE room_id = \(id.text)")
    }

    private static let rooms: SQL =
        """
        SELECT room_nid, room_id, version, head_version, state, extremities, depth, last_position, published,
        flags FROM rooms 
        """

    private static func record(_ row: SQLRow) throws -> RoomRecord {
        guard let id = try? RoomID(row.text(1)), let version = try RoomVersion(row.text(2)),
            let state = StateRoot(try row.bytes(4))
        else { throw DatabaseError(.corrupt, "a room's row cannot be read") }
        return RoomRecord(
            nid: try row.integer(0), id: id, version: version, headVersion: try row.integer(3), state: state,
            extremities: RoomRecord.unpacked(try row.bytes(5)), depth: try row.integer(6),
            lastPosition: try row.integer(7), isPublished: try row.bool(8),
            knowledge: RoomKnowledge(flags: try row.integer(9)))
    }

    // MARK: Members

    /// All rooms a user has or had a membership of, and has not forgotten.
    /// - Throws: `DatabaseError`.
    public func memberships(of user: UserID) throws -> [RoomMembership] {
        try connection.query(
            Self.memberships
                + """
                WHERE m.user_id = \(user.text) AND NOT EXISTS (SELECT 1 FROM forgotten_rooms f
                WHERE f.user_id = m.user_id AND f.room_nid = m.room_nid)
                """
        ).map(Self.membership)
    }

    /// The rooms in which a user has a certain membership.
    /// - Throws: `DatabaseError`.
    public func memberships(of user: UserID, _ membership: Membership) throws -> [RoomMembership] {
        try connection.query(
            Self.memberships + "WHERE m.user_id = \(user.text) AND m.membership = \(membership)"
        ).map(Self.membership)
    }

    /// A user's membership of one room, forgotten or not; nil when there never was one.
    /// - Throws: `DatabaseError`.
    public func membership(of user: UserID, in room: Int64) throws -> RoomMembership? {
        try connection.query(
            Self.memberships + "WHERE m.room_nid = \(room) AND m.user_id = \(user.text)"
        ).first.map(Self.membership)
    }

    /// The members of a room, all or those of one membership.
    /// - Throws: `DatabaseError`.
    public func members(room: Int64, membership: Membership? = nil) throws -> [RoomMembership] {
        var clause: SQL = "WHERE m.room_nid = \(room)"
        if let membership { clause += " AND m.membership = \(membership)" }
        return try connection.query(Self.memberships + clause).map(Self.membership)
    }

    /// How many members a room has, by membership.
    /// - Throws: `DatabaseError`.
    public func memberCounts(room: Int64) throws -> [Membership: Int] {
        try memberCounts(rooms: [room])[room] ?? [:]
    }

    /// The same of several rooms, by `room_nid`.
    /// - Throws: `DatabaseError`.
    public func memberCounts(rooms: some Collection<Int64>) throws -> [Int64: [Membership: Int]] {
        var counts: [Int64: [Membership: Int]] = [:]
        for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT room_nid, membership, COUNT(*) FROM room_members WHERE room_nid IN \(list: chunk)
                GROUP BY room_nid, membership
                """)
            {
                guard let membership = Membership(rawValue: try row.text(1)) else { continue }
                counts[try row.integer(0), default: [:]][membership] = try row.int(2)
            }
        }
        return counts
    }

    /// The servers with a joined member; where members are not known yet, also those that are said to have one.
    /// - Throws: `DatabaseError`.
    public func joinedServers(room: Int64) throws -> [ServerName] {
        try connection.query(
            """
            SELECT server FROM room_members WHERE room_nid = \(room) AND membership = 'join'
            UNION SELECT server FROM partial_room_servers WHERE room_nid = \(room)
            """
        ).compactMap { try? ServerName($0.text(0)) }
    }

    /// The joined members of one server: ours, to be woken.
    /// - Throws: `DatabaseError`.
    public func joinedMembers(room: Int64, of server: ServerName) throws -> [UserID] {
        try connection.query(
            """
            SELECT user_id FROM room_members
            WHERE room_nid = \(room) AND membership = 'join' AND server = \(server.text)
            """
        ).compactMap { try? UserID($0.text(0)) }
    }

    /// The users of a server who are out of a room they were in, with the events that say so; the newest `limit`.
    /// - Throws: `DatabaseError`.
    public func formerMembers(room: Int64, of server: ServerName, limit: Int) throws -> [UserID: Int64] {
        let rows = try connection.query(
            """
            SELECT user_id, event_nid FROM room_members
            WHERE room_nid = \(room) AND membership IN ('leave', 'ban') AND server = \(server.text)
            ORDER BY position DESC, user_id LIMIT \(limit)
            """)
        var found: [UserID: Int64] = [:]
        for row in rows { if let user = try? UserID(row.text(0)) { found[user] = try row.integer(1) } }
        return found
    }

    /// The servers with a user who shares a room with `user`.
    /// - Throws: `DatabaseError`.
    public func serversSharingRooms(with user: UserID) throws -> Set<ServerName> {
        Set(
            try connection.query(
                """
                SELECT DISTINCT o.server FROM room_members m
                JOIN room_members o ON o.room_nid = m.room_nid AND o.membership = 'join'
                WHERE m.user_id = \(user.text) AND m.membership = 'join'
                UNION SELECT p.server FROM room_members m
                JOIN partial_room_servers p ON p.room_nid = m.room_nid
                WHERE m.user_id = \(user.text) AND m.membership = 'join'
                """
            ).compactMap { try? ServerName($0.text(0)) })
    }

    /// Hides a room that a user has left from them.
    /// - Throws: `DatabaseError`.
    public func forget(room: Int64, user: UserID) throws {
        try connection.execute(
            """
            INSERT INTO forgotten_rooms (user_id, room_nid) VALUES (\(user.text), \(room))
            ON CONFLICT (user_id, room_nid) DO NOTHING
            """)
    }

    /// Whether a user has forgotten a room.
    /// - Throws: `DatabaseError`.
    public func isForgotten(room: Int64, user: UserID) throws -> Bool {
        try !connection.query(
            "SELECT 1 FROM forgotten_rooms WHERE user_id = \(user.text) AND room_nid = \(room)"
        ).isEmpty
    }

    private static let memberships: SQL =
        """
        SELECT m.room_nid, r.room_id, m.user_id, m.membership, m.event_nid, m.position, m.displayname, m.avatar_url,
        r.last_position FROM room_members m JOIN rooms r ON r.room_nid = m.room_nid 
        """

    private static func membership(_ row: SQLRow) throws -> RoomMembership {
        guard let room = try? RoomID(row.text(1)), let user = try? UserID(row.text(2)),
            let membership = Membership(rawValue: try row.text(3))
        else { throw DatabaseError(.corrupt, "a member's row cannot be read") }
        return RoomMembership(
            roomNID: try row.integer(0), roomID: room, user: user, membership: membership,
            eventNID: try row.integer(4), position: try row.integer(5),
            displayName: try row.optionalText(6).map(StoredText.original),
            avatarURL: try row.optionalText(7).map(StoredText.original), roomLastPosition: try row.integer(8))
    }
}
