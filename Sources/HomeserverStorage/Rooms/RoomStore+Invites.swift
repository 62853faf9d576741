public import MatrixModel
internal import SQLDatabase

extension RoomStore {
    /// Keeps an invite (or a knock of ours) to a room this server is not in, and announces it to the user's syncs. A newer
    /// one replaces it.
    /// - Parameter limit: how many a user may have; above it the oldest go.
    /// - Returns: its position in the stream `events`.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func saveInvite(_ invite: ReceivedInvite, sealer: StorageSealer, limit: Int = .max) throws -> Int64 {
        let event = try sealer.seal(invite.event, context: Self.context(invite.user, invite.roomID, "event"))
        let state = try sealer.seal(invite.strippedState, context: Self.context(invite.user, invite.roomID, "state"))
        let position = try StreamPositions(connection).advance("events")
        try connection.execute(
            """
            INSERT INTO invites_received
            (user_id, room_id, version, sender, membership, position, event_id, event, stripped_state)
            VALUES (\(invite.user.text), \(invite.roomID.text), \(invite.version.text), \(invite.sender.text),
            \(invite.membership), \(position), \(invite.eventID.text), \(event), \(state))
            ON CONFLICT (user_id, room_id) DO UPDATE SET version = excluded.version, sender = excluded.sender,
            membership = excluded.membership, position = excluded.position, event_id = excluded.event_id,
            event = excluded.event, stripped_state = excluded.stripped_state
            """)
        try connection.execute(
            "DELETE FROM invites_withdrawn WHERE user_id = \(invite.user.text) AND room_id = \(invite.roomID.text)")
        if limit < .max {
            let excess = try connection.query(
                """
                SELECT room_id FROM invites_received WHERE user_id = \(invite.user.text)
                ORDER BY position DESC LIMIT 1000 OFFSET \(limit)
                """)
            for row in excess {
                if let room = try? RoomID(row.text(0)) { try removeInvite(of: invite.user, to: room) }
            }
        }
        try connection.notify("events \(position) 0 \(invite.user.text)")
        return position
    }

    /// The invites and knocks a user has in rooms this server is not in.
    /// - Throws: `DatabaseError`.
    public func invites(of user: UserID, sealer: StorageSealer) throws -> [ReceivedInvite] {
        try connection.query(Self.invites + "WHERE user_id = \(user.text) ORDER BY position").map {
            try Self.invite($0, sealer)
        }
    }

    /// A user's invite to one room this server is not in.
    /// - Throws: `DatabaseError`.
    public func invite(of user: UserID, to room: RoomID, sealer: StorageSealer) throws -> ReceivedInvite? {
        try connection.query(Self.invites + "WHERE user_id = \(user.text) AND room_id = \(room.text)").first.map {
            try Self.invite($0, sealer)
        }
    }

    /// Removes an invite that was declined, withdrawn or accepted, and tells the user's syncs.
    /// - Returns: whether there was one.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func removeInvite(of user: UserID, to room: RoomID) throws -> Bool {
        let removed = try connection.execute(
            "DELETE FROM invites_received WHERE user_id = \(user.text) AND room_id = \(room.text)")
        guard removed > 0 else { return false }
        let position = try StreamPositions(connection).advance("events")
        try connection.execute(
            """
            INSERT INTO invites_withdrawn (user_id, room_id, position)
            VALUES (\(user.text), \(room.text), \(position))
            ON CONFLICT (user_id, room_id) DO UPDATE SET position = excluded.position
            """)
        try connection.notify("events \(position) 0 \(user.text)")
        return true
    }

    /// The rooms of which a user's invite went away after a position: they are shown as left.
    /// - Throws: `DatabaseError`.
    public func invitesWithdrawn(of user: UserID, after position: Int64, upTo end: Int64) throws -> [RoomID] {
        try connection.query(
            """
            SELECT room_id FROM invites_withdrawn
            WHERE user_id = \(user.text) AND position > \(position) AND position <= \(end)
            """
        ).compactMap { try? RoomID($0.text(0)) }
    }

    private static let invites: SQL =
        """
        SELECT user_id, room_id, version, sender, membership, position, event_id, event, stripped_state
        FROM invites_received 
        """

    private static func context(_ user: UserID, _ room: RoomID, _ column: String) -> String {
        inviteContext(user.text, room.text, column)
    }

    /// What a sealed column of an invite is bound to.
    static func inviteContext(_ user: String, _ room: String, _ column: String) -> String {
        "invite:\(column):\(user):\(room)"
    }

    private static func invite(_ row: SQLRow, _ sealer: StorageSealer) throws -> ReceivedInvite {
        guard let user = try? UserID(row.text(0)), let room = try? RoomID(row.text(1)),
            let version = try RoomVersion(row.text(2)), let sender = try? UserID(row.text(3)),
            let eventID = try? EventID(row.text(6)), let membership = Membership(rawValue: try row.text(4))
        else { throw DatabaseError(.corrupt, "an invite's row cannot be read") }
        return ReceivedInvite(
            user: user, roomID: room, version: version, sender: sender, membership: membership,
            position: try row.integer(5), eventID: eventID,
            event: try sealer.open(row.bytes(7), context: context(user, room, "event")),
            strippedState: try sealer.open(row.bytes(8), context: context(user, room, "state")))
    }
}
