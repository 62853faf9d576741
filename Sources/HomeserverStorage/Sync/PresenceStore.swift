public import MatrixModel
public import SQLDatabase

/// Who is there. Spec: <https://spec.matrix.org/v1.19/client-server-api/#presence>
public struct PresenceStore {
    /// What is known of a user.
    public struct Presence: Sendable, Hashable {
        public var user: UserID
        /// `online`, `unavailable` or `offline`.
        public var state: String
        public var statusMessage: String?
        /// Milliseconds since 1970.
        public var lastActive: Int64

        /// Makes a presence.
        public init(user: UserID, state: String, statusMessage: String?, lastActive: Int64) {
            self.user = user
            self.state = state
            self.statusMessage = statusMessage
            self.lastActive = lastActive
        }
    }

    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// What is known of a user; nil for nothing.
    /// - Throws: `DatabaseError`.
    public func presence(of user: UserID) throws -> Presence? {
        try connection.query(Self.columns + "WHERE p.user_id = \(user.text)").first.flatMap(Self.presence)
    }

    /// Notes a presence. A new state or message has a position and wakes the syncs of those who share a room.
    /// - Parameters:
    ///   - now: milliseconds since 1970.
    ///   - server: whose users' syncs are woken.
    /// - Returns: whether it was news.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func set(_ presence: Presence, now: Int64, waking server: ServerName) throws -> Bool {
        if let known = try self.presence(of: presence.user), known.state == presence.state,
            known.statusMessage == presence.statusMessage
        {
            try connection.execute(
                """
                UPDATE presence SET last_active = \(presence.lastActive), seen = \(now)
                WHERE user_id = \(presence.user.text)
                """)
            return false
        }
        let position = try StreamPositions(connection).advance("presence")
        try connection.execute(
            """
            INSERT INTO presence (user_id, state, status_msg, last_active, seen, position)
            VALUES (\(presence.user.text), \(presence.state), \(presence.statusMessage), \(presence.lastActive),
            \(now), \(position))
            ON CONFLICT (user_id) DO UPDATE SET state = excluded.state, status_msg = excluded.status_msg,
            last_active = excluded.last_active, seen = excluded.seen, position = excluded.position
            """)
        try notify(position, presence.user, server)
        return true
    }

    /// `presence <position> <user>…`: the users of ours who share a room; `*` for too many.
    private func notify(_ position: Int64, _ user: UserID, _ server: ServerName) throws {
        let rows = try connection.query(
            """
            SELECT DISTINCT o.user_id FROM room_members m
            JOIN room_members o ON o.room_nid = m.room_nid AND o.membership = 'join' AND o.server = \(server.text)
            WHERE m.user_id = \(user.text) AND m.membership = 'join' LIMIT \(Limits.usersPerNotification + 1)
            """)
        let users = rows.count > Limits.usersPerNotification ? ["*"] : try rows.map { try $0.text(0) }
        guard !users.isEmpty else { return }
        try connection.notify((["presence", String(position)] + users).joined(separator: " "))
    }

    /// Users of a server who are not offline and whom no node has seen since a time.
    /// - Throws: `DatabaseError`.
    public func unseen(since time: Int64, server: ServerName, limit: Int) throws -> [Presence] {
        try connection.query(
            Self.columns + "WHERE p.state <> 'offline' AND p.seen < \(time) ORDER BY p.user_id LIMIT \(limit)"
        ).compactMap(Self.presence).filter { $0.user.serverName == server }
    }

    /// Forgets offline users of other servers not heard of since a time.
    /// - Throws: `DatabaseError`.
    public func forget(before time: Int64) throws {
        try connection.execute("DELETE FROM presence WHERE state = 'offline' AND seen < \(time)")
    }

    /// The presence of users who share a room with `user`, and the user's own, as far as it changed between two positions.
    /// - Throws: `DatabaseError`.
    public func changes(for user: UserID, after: Int64, upTo: Int64) throws -> [Presence] {
        guard after < upTo else { return [] }
        return try connection.query(
            Self.columns
                + """
                WHERE p.position > \(after) AND p.position <= \(upTo)
                AND (p.user_id = \(user.text) OR \(SharedRooms.exist("p.user_id", with: user))) ORDER BY p.position
                """
        ).compactMap(Self.presence)
    }

    private static let columns: SQL = "SELECT p.user_id, p.state, p.status_msg, p.last_active FROM presence p "

    private static func presence(_ row: SQLRow) throws -> Presence? {
        guard let user = try? UserID(row.text(0)) else { return nil }
        return Presence(
            user: user, state: try row.text(1), statusMessage: try row.optionalText(2),
            lastActive: try row.integer(3))
    }
}
