public import MatrixModel
public import SQLDatabase

/// Which threads users follow. A change has a position in the stream `thread_subscriptions`.
/// Proposals: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>,
/// <https://github.com/matrix-org/matrix-spec-proposals/pull/4308>
public struct ThreadSubscriptionStore {
    /// A user's subscription to a thread, or the end of one.
    public struct Subscription: Sendable, Hashable {
        public var roomID: RoomID
        /// The thread's root.
        public var root: EventID
        /// Whether the client subscribed by itself, not because the user said so.
        public var isAutomatic: Bool
        /// The newest position of the room when the user ended it; nil while it lasts.
        public var endedAt: Int64?
        /// The position of the stream at which this became so.
        public var position: Int64
    }

    /// What became of a wish to subscribe.
    public enum Outcome: Sendable, Hashable {
        /// At this position of the stream.
        case changed(Int64)
        /// It was so before.
        case unchanged
        /// The user left the thread after the event that was to subscribe.
        case conflict
    }

    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// What is known of a user and a thread; nil for nothing.
    /// - Throws: `DatabaseError`.
    public func subscription(of user: UserID, room: Int64, root: EventID) throws -> Subscription? {
        try connection.query(
            Self.columns
                + "WHERE t.user_id = \(user.text) AND t.room_nid = \(room) AND t.root = \(root.text)"
        ).first.flatMap(Self.subscription)
    }

    /// Subscribes a user to a thread.
    /// - Parameter cause: the place of the event for which the client did so by itself; nil where the user asked for it.
    /// - Throws: `DatabaseError`.
    public func subscribe(_ user: UserID, room: Int64, root: EventID, cause: Int64?) throws -> Outcome {
        if let known = try subscription(of: user, room: room, root: root) {
            // What the user asked for stays, and what came by itself is not made anew.
            if known.endedAt == nil, cause != nil || !known.isAutomatic { return .unchanged }
            if let end = known.endedAt, let cause, cause <= end { return .conflict }
        }
        let position = try StreamPositions(connection).advance("thread_subscriptions")
        try connection.execute(
            """
            INSERT INTO thread_subscriptions (user_id, room_nid, root, automatic, unsubscribed_at, position)
            VALUES (\(user.text), \(room), \(root.text), \(cause == nil ? 0 : 1), NULL, \(position))
            ON CONFLICT (user_id, room_nid, root) DO UPDATE SET automatic = excluded.automatic,
            unsubscribed_at = NULL, position = excluded.position
            """)
        // Of a user with very many the oldest go.
        try connection.execute(
            """
            DELETE FROM thread_subscriptions WHERE user_id = \(user.text) AND position <= COALESCE((
                SELECT position FROM thread_subscriptions WHERE user_id = \(user.text)
                ORDER BY position DESC LIMIT 1 OFFSET \(Limits.threadSubscriptionsPerUser)), -1)
            """)
        try notify(position, user)
        return .changed(position)
    }

    /// Ends a user's subscription to a thread, if there is one.
    /// - Parameter last: the room's newest position.
    /// - Returns: the position of the stream, if that was a change.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func unsubscribe(_ user: UserID, room: Int64, root: EventID, at last: Int64) throws -> Int64? {
        guard let known = try subscription(of: user, room: room, root: root), known.endedAt == nil else { return nil }
        let position = try StreamPositions(connection).advance("thread_subscriptions")
        try connection.execute(
            """
            UPDATE thread_subscriptions SET unsubscribed_at = \(last), position = \(position)
            WHERE user_id = \(user.text) AND room_nid = \(room) AND root = \(root.text)
            """)
        try notify(position, user)
        return position
    }

    /// What changed for a user between two positions of the stream, oldest first; the newest `limit` of it.
    /// - Throws: `DatabaseError`.
    public func changes(of user: UserID, after: Int64, upTo: Int64, limit: Int) throws -> [Subscription] {
        try connection.query(
            Self.columns
                + """
                WHERE t.user_id = \(user.text) AND t.position > \(after) AND t.position <= \(upTo)
                ORDER BY t.position DESC LIMIT \(limit)
                """
        ).compactMap(Self.subscription).reversed()
    }

    /// Those of a room's threads that a user follows.
    /// - Throws: `DatabaseError`.
    public func followed(by user: UserID, room: Int64, of roots: Set<String>) throws -> Set<String> {
        var found: Set<String> = []
        for chunk in roots.sorted().chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT root FROM thread_subscriptions WHERE user_id = \(user.text) AND room_nid = \(room)
                AND root IN \(list: chunk) AND unsubscribed_at IS NULL
                """)
            {
                found.insert(try row.text(0))
            }
        }
        return found
    }

    /// Forgets all of a user's.
    /// - Throws: `DatabaseError`.
    public func deleteAll(of user: UserID) throws {
        try connection.execute("DELETE FROM thread_subscriptions WHERE user_id = \(user.text)")
    }

    private func notify(_ position: Int64, _ user: UserID) throws {
        try connection.notify("thread_subscriptions \(position) \(user.text)")
    }

    private static let columns: SQL =
        """
        SELECT r.room_id, t.root, t.automatic, t.unsubscribed_at, t.position
        FROM thread_subscriptions t JOIN rooms r ON r.room_nid = t.room_nid \("" as SQL)
        """

    private static func subscription(_ row: SQLRow) throws -> Subscription? {
        guard let room = try? RoomID(row.text(0)), let root = try? EventID(row.text(1)) else { return nil }
        return Subscription(
            roomID: room, root: root, isAutomatic: try row.bool(2), endedAt: try row.optionalInteger(3),
            position: try row.integer(4))
    }
}
