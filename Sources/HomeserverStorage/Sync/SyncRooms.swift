public import MatrixModel
public import SQLDatabase

/// A room of a user as a sync begins with it.
public struct SyncRoom: Sendable {
    /// `room_nid`
    public var nid: Int64
    public var id: RoomID
    public var version: RoomVersion
    public var membership: Membership
    /// The number of the user's membership event.
    public var memberNID: Int64
    /// The position of the stream `events` at which that became current.
    public var memberPosition: Int64
    /// The position of the room's newest event.
    public var lastPosition: Int64
    /// The room's current state.
    public var state: StateRoot
    /// The room's state when its newest event came: what a token stands for. What was resolved anew since, for history that was
    /// fetched, is told with the next event.
    public var stateAtNewest: StateRoot
    /// Whether its members are not all known yet.
    public var isPartial: Bool
    /// The position of the stream `events` since which they are, if once they were not.
    public var completed: Int64?
    /// The position since which state is known that was left out when the room was joined.
    public var amended: Int64?

    /// Whether all of its state came to be known after a position, or more of it than was known then.
    public func becameWhole(after position: Int64) -> Bool {
        !isPartial && [completed, amended].contains { $0.map { $0 > position } ?? false }
    }
}

/// Finds the rooms that a sync has something to say about.
public struct SyncRooms {
    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// All of a user's rooms that are not forgotten, those left only when asked for.
    /// - Throws: `DatabaseError`.
    public func all(of user: UserID, includingLeft: Bool) throws -> [SyncRoom] {
        var clause: SQL = "WHERE m.user_id = \(user.text)"
        if !includingLeft { clause += " AND m.membership IN ('join', 'invite', 'knock')" }
        return try rooms(clause)
    }

    /// The rooms a user is joined to that have news after a position, and those whose membership changed after it.
    /// - Throws: `DatabaseError`.
    public func changed(of user: UserID, after position: Int64) throws -> [SyncRoom] {
        try rooms(
            """
            WHERE m.user_id = \(user.text)
            AND (m.position > \(position) OR (m.membership = 'join' AND r.last_position > \(position)))
            """)
    }

    /// The rooms a user is invited to, or knocks at.
    /// - Throws: `DatabaseError`.
    public func invited(of user: UserID) throws -> [SyncRoom] {
        try rooms("WHERE m.user_id = \(user.text) AND m.membership IN ('invite', 'knock')")
    }

    /// Those of `nids` that a user is joined to.
    /// - Throws: `DatabaseError`.
    public func joined(_ nids: some Collection<Int64>, of user: UserID) throws -> [SyncRoom] {
        var found: [Int64: SyncRoom] = [:]
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for room in try rooms(
                "WHERE m.user_id = \(user.text) AND m.membership = 'join' AND m.room_nid IN \(list: chunk)")
            {
                found[room.nid] = room
            }
        }
        return Array(found.values)
    }

    /// The rooms of a user that a list of rooms shows: those the user is joined to, invited to or knocks on, and those the
    /// user was put out of by somebody else.
    /// - Throws: `DatabaseError`.
    public func listed(for user: UserID) throws -> [SyncRoom] {
        try rooms(
            """
            WHERE m.user_id = \(user.text) AND (m.membership IN ('join', 'invite', 'knock', 'ban')
            OR (m.membership = 'leave' AND EXISTS (SELECT 1 FROM events e
            WHERE e.event_nid = m.event_nid AND e.sender <> m.user_id)))
            """)
    }

    /// Those of `ids` that a user has or had a membership of.
    /// - Parameter includingForgotten: whether also those that the user has forgotten.
    /// - Throws: `DatabaseError`.
    public func named(
        _ ids: some Collection<RoomID>, of user: UserID, includingForgotten: Bool
    ) throws -> [SyncRoom] {
        var found: [Int64: SyncRoom] = [:]
        for chunk in ids.map(\.text).chunks(of: Limits.bindsPerStatement) {
            for room in try rooms(
                "WHERE m.user_id = \(user.text) AND r.room_id IN \(list: chunk)",
                includingForgotten: includingForgotten)
            {
                found[room.nid] = room
            }
        }
        return Array(found.values)
    }

    private func rooms(_ clause: SQL, includingForgotten: Bool = false) throws -> [SyncRoom] {
        let notForgotten: SQL =
            """
            AND NOT EXISTS (SELECT 1 FROM forgotten_rooms f
            WHERE f.user_id = m.user_id AND f.room_nid = m.room_nid)
            """
        let statement: SQL =
            """
            SELECT m.room_nid, r.room_id, r.version, m.membership, m.event_nid, m.position, r.last_position,
            r.state, r.flags, p.completed, p.amended, COALESCE(e.head_state, e.state_after, r.state)
            FROM room_members m JOIN rooms r ON r.room_nid = m.room_nid
            LEFT JOIN events e ON e.room_nid = r.room_nid AND e.position = r.last_position
            LEFT JOIN partial_rooms p ON p.room_nid = m.room_nid \(clause)
            \(includingForgotten ? SQL() : notForgotten)
            """
        return try connection.query(statement).map { row in
            guard let id = try? RoomID(row.text(1)), let version = try RoomVersion(row.text(2)),
                let membership = Membership(rawValue: try row.text(3)), let state = StateRoot(try row.bytes(7)),
                let stateAtNewest = StateRoot(try row.bytes(11))
            else { throw DatabaseError(.corrupt, "a member's row cannot be read") }
            return SyncRoom(
                nid: try row.integer(0), id: id, version: version, membership: membership,
                memberNID: try row.integer(4), memberPosition: try row.integer(5), lastPosition: try row.integer(6),
                state: state, stateAtNewest: stateAtNewest,
                isPartial: RoomKnowledge(flags: try row.integer(8)).isPartial,
                completed: try row.optionalInteger(9), amended: try row.optionalInteger(10))
        }
    }

    /// Those of a room who came first among the members with one of these memberships.
    /// - Throws: `DatabaseError`.
    public func first(_ memberships: [Membership], room: Int64, limit: Int) throws -> [UserID] {
        try connection.query(
            """
            SELECT user_id FROM room_members WHERE room_nid = \(room)
            AND membership IN \(list: memberships.map(\.rawValue)) ORDER BY position, event_nid LIMIT \(limit)
            """
        ).compactMap { try? UserID($0.text(0)) }
    }

    /// The same of several rooms, by `room_nid`, of each at most `limit`.
    /// - Throws: `DatabaseError`.
    public func first(
        _ memberships: [Membership], rooms: some Collection<Int64>, limit: Int
    ) throws -> [Int64: [UserID]] {
        // Of one room the database need not number all members.
        if rooms.count == 1, let room = rooms.first {
            return [room: try first(memberships, room: room, limit: limit)]
        }
        var found: [Int64: [UserID]] = [:]
        for chunk in Array(rooms).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT room_nid, user_id FROM (
                    SELECT room_nid, user_id, ROW_NUMBER() OVER (
                        PARTITION BY room_nid ORDER BY position, event_nid) AS place
                    FROM room_members WHERE room_nid IN \(list: chunk)
                    AND membership IN \(list: memberships.map(\.rawValue))) members
                WHERE place <= \(limit) ORDER BY room_nid, place
                """)
            {
                if let user = try? UserID(row.text(1)) { found[try row.integer(0), default: []].append(user) }
            }
        }
        return found
    }

    /// Members of a room who may stand for its name: who came first among the joined and invited, or if there are none among
    /// those who left. `limit` at most, `user` left aside.
    /// - Throws: `DatabaseError`.
    public func heroes(room: Int64, for user: UserID, limit: Int) throws -> [UserID] {
        for memberships: [Membership] in [[.join, .invite], [.leave, .ban]] {
            let found = try first(memberships, room: room, limit: limit + 1).filter { $0 != user }
            if !found.isEmpty { return Array(found.prefix(limit)) }
        }
        return []
    }

    /// Those who stand for a room's name as the room shows them, in the order of `heroes`.
    /// - Throws: `DatabaseError`.
    public func profiles(
        of users: [UserID], room: Int64
    ) throws -> [(user: UserID, displayName: String?, avatarURL: String?)] {
        guard !users.isEmpty else { return [] }
        var found: [UserID: (String?, String?)] = [:]
        for row in try connection.query(
            """
            SELECT user_id, displayname, avatar_url FROM room_members
            WHERE room_nid = \(room) AND user_id IN \(list: users.map(\.text))
            """)
        {
            guard let user = try? UserID(row.text(0)) else { continue }
            found[user] = (
                try row.optionalText(1).map(StoredText.original), try row.optionalText(2).map(StoredText.original)
            )
        }
        return users.map { ($0, found[$0]?.0, found[$0]?.1) }
    }

    /// Joined users of a server, with the position of the stream `events` at which that is so.
    /// - Throws: `DatabaseError`.
    public func audience(room: Int64, of server: ServerName) throws -> (users: [UserID], position: Int64) {
        let position = try StreamPositions(connection).current("events")
        return (try RoomStore(connection).joinedMembers(room: room, of: server), position)
    }
}
