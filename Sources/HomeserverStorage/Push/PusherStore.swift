public import MatrixModel
public import SQLDatabase

/// The pushers of this server's users, and how far each has come.
public struct PusherStore {
    let connection: any SQLConnection

    /// The pushers as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    private static let columns: SQL =
        """
        pusher_nid, user_id, device_id, kind, app_id, pushkey, app_display_name, device_display_name, profile_tag, lang,
        options, enabled, confirmed, set_ts, position, told, failures, failing_since, due_at, waiting_since
        """

    // MARK: What users do

    /// A user's pushers, the oldest first.
    /// - Throws: `DatabaseError`.
    public func pushers(of user: UserID) throws -> [Pusher] {
        try connection.query(
            "SELECT \(Self.columns) FROM pushers WHERE user_id = \(user.text) ORDER BY pusher_nid"
        ).map(Self.pusher)
    }

    /// A user's pusher by its app and key.
    /// - Throws: `DatabaseError`.
    public func pusher(of user: UserID, appID: String, pushkey: String) throws -> Pusher? {
        try connection.query(
            """
            SELECT \(Self.columns) FROM pushers
            WHERE user_id = \(user.text) AND app_id = \(appID) AND pushkey = \(pushkey)
            """
        ).first.map(Self.pusher)
    }

    /// The pusher of a number.
    /// - Throws: `DatabaseError`.
    public func pusher(nid: Int64) throws -> Pusher? {
        try connection.query("SELECT \(Self.columns) FROM pushers WHERE pusher_nid = \(nid)").first.map(Self.pusher)
    }

    /// Keeps a pusher, new or changed, and tells the senders. It begins with what comes next; a changed one goes on where it
    /// was, unless it was not in use.
    /// - Throws: `DatabaseError`.
    public func set(_ pusher: Pusher) throws {
        let position = try StreamPositions(connection).current("events")
        let options = pusher.options
        try connection.execute(
            """
            INSERT INTO pushers (user_id, device_id, kind, app_id, pushkey, app_display_name, device_display_name,
            profile_tag, lang, options, enabled, confirmed, set_ts, shard, position)
            VALUES (\(pusher.user.text), \(pusher.device?.text ?? ""), \(pusher.kind), \(pusher.appID),
            \(pusher.pushkey), \(pusher.appDisplayName), \(pusher.deviceDisplayName), \(pusher.profileTag),
            \(pusher.lang), \(options), \(pusher.isEnabled), \(pusher.isConfirmed), \(pusher.setAt),
            \(Pusher.shard(of: pusher.user)), \(position))
            ON CONFLICT (user_id, app_id, pushkey) DO UPDATE SET kind = excluded.kind,
            app_display_name = excluded.app_display_name, device_display_name = excluded.device_display_name,
            profile_tag = excluded.profile_tag, lang = excluded.lang, options = excluded.options,
            position = CASE WHEN pushers.enabled = 1 AND pushers.confirmed = 1 THEN pushers.position
                ELSE excluded.position END,
            enabled = excluded.enabled, confirmed = excluded.confirmed, set_ts = excluded.set_ts, failures = 0,
            failing_since = NULL, due_at = 0, waiting_since = NULL
            """)
        try connection.notify("pushers \(pusher.user.text)")
    }

    /// Removes a user's pusher. Returns whether there was one.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func remove(of user: UserID, appID: String, pushkey: String) throws -> Bool {
        try connection.execute(
            "DELETE FROM pushers WHERE user_id = \(user.text) AND app_id = \(appID) AND pushkey = \(pushkey)") > 0
    }

    /// Removes the pushers of other users with this app and key: a device has a new owner.
    /// - Throws: `DatabaseError`.
    public func removeOthers(than user: UserID, appID: String, pushkey: String) throws {
        try connection.execute(
            "DELETE FROM pushers WHERE app_id = \(appID) AND pushkey = \(pushkey) AND user_id <> \(user.text)")
    }

    /// Removes the pushers that a device's session made.
    /// - Throws: `DatabaseError`.
    public func removeAll(of user: UserID, device: DeviceID) throws {
        try connection.execute(
            "DELETE FROM pushers WHERE user_id = \(user.text) AND device_id = \(device.text)")
    }

    /// Removes all pushers of a user.
    /// - Throws: `DatabaseError`.
    public func removeAll(of user: UserID) throws {
        try connection.execute("DELETE FROM pushers WHERE user_id = \(user.text)")
    }

    /// The owner of a mail address agreed, and is told of what comes next. Returns whether there is such a pusher.
    /// - Throws: `DatabaseError`.
    public func confirm(of user: UserID, appID: String, pushkey: String) throws -> Bool {
        guard let pusher = try pusher(of: user, appID: appID, pushkey: pushkey) else { return false }
        guard !pusher.isConfirmed else { return true }
        let position = try StreamPositions(connection).current("events")
        return try connection.execute(
            "UPDATE pushers SET confirmed = 1, position = \(position) WHERE pusher_nid = \(pusher.nid)") == 1
    }

    // MARK: Whom something concerns

    /// Whether there is any pusher at all.
    /// - Throws: `DatabaseError`.
    public func isEmpty() throws -> Bool { try connection.query("SELECT 1 FROM pushers LIMIT 1").isEmpty }

    /// The pushers of the users of `server` who are joined to a room, each with its room.
    /// - Throws: `DatabaseError`.
    public func audience(of rooms: [Int64]) throws -> [(pusher: PusherReference, room: Int64)] {
        var found: [(PusherReference, Int64)] = []
        for chunk in rooms.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT p.pusher_nid, p.shard, m.room_nid FROM pushers p
                JOIN room_members m ON m.user_id = p.user_id AND m.membership = 'join'
                WHERE m.room_nid IN \(list: chunk) AND p.enabled = 1 AND p.confirmed = 1
                """)
            {
                found.append((try Self.reference(row), try row.integer(2)))
            }
        }
        return found
    }

    /// The pushers of users.
    /// - Throws: `DatabaseError`.
    public func references(of users: [String]) throws -> [PusherReference] {
        try users.chunks(of: Limits.bindsPerStatement).flatMap { chunk in
            try connection.query("SELECT pusher_nid, shard FROM pushers WHERE user_id IN \(list: chunk)")
                .map(Self.reference)
        }
    }

    /// The pushers of users who have read something between two positions of the stream `receipts`, each with its room.
    /// - Throws: `DatabaseError`.
    public func readers(after: Int64, upTo: Int64) throws -> [(pusher: PusherReference, room: Int64)] {
        try connection.query(
            """
            SELECT p.pusher_nid, p.shard, r.room_nid FROM receipts r JOIN pushers p ON p.user_id = r.user_id
            WHERE r.position > \(after) AND r.position <= \(upTo) AND p.enabled = 1 AND p.confirmed = 1
            """
        ).map { (try Self.reference($0), try $0.integer(2)) }
    }

    /// The pushers of some shards, in the order of their numbers after `after`, with whether each was told of something
    /// unread.
    /// - Throws: `DatabaseError`.
    public func page(
        of shards: some Collection<Int>, after: Int64, limit: Int
    ) throws -> [(pusher: PusherReference, hasTold: Bool)] {
        try connection.query(
            """
            SELECT pusher_nid, shard, COALESCE(told, 0) FROM pushers
            WHERE shard IN \(list: shards) AND pusher_nid > \(after) AND enabled = 1 AND confirmed = 1
            ORDER BY pusher_nid LIMIT \(limit)
            """
        ).map { (try Self.reference($0), try $0.integer(2) > 0) }
    }

    /// The pushers whose time has come.
    /// - Throws: `DatabaseError`.
    public func due(now: Int64, limit: Int) throws -> [PusherReference] {
        try connection.query(
            "SELECT pusher_nid, shard FROM pushers WHERE due_at > 0 AND due_at <= \(now) ORDER BY due_at LIMIT \(limit)"
        ).map(Self.reference)
    }

    // MARK: How far they have come

    /// Notes that everything up to a position was sent, and which count with it.
    /// - Throws: `DatabaseError`.
    public func sent(_ nid: Int64, upTo position: Int64, told: Int?) throws {
        try connection.execute(
            """
            UPDATE pushers SET position = \(raw: connection.dialect.greatest)(position, \(position)),
            told = COALESCE(\(told), told), failures = 0, failing_since = NULL, due_at = 0, waiting_since = NULL
            WHERE pusher_nid = \(nid)
            """)
    }

    /// Notes that there was nothing to be sent up to positions.
    /// - Throws: `DatabaseError`.
    public func looked(_ positions: [(nid: Int64, position: Int64)]) throws {
        for chunk in positions.sorted(by: { $0.nid < $1.nid }).chunks(of: Limits.rowsPerInsert) {
            try connection.executeAll(
                chunk.map {
                    "UPDATE pushers SET position = \($0.position) WHERE pusher_nid = \($0.nid) AND position < \($0.position)"
                })
        }
    }

    /// Notes a failure.
    /// - Throws: `DatabaseError`.
    public func failed(_ nid: Int64, now: Int64, dueAt: Int64) throws {
        try connection.execute(
            """
            UPDATE pushers SET failures = failures + 1, failing_since = COALESCE(failing_since, \(now)),
            due_at = \(dueAt) WHERE pusher_nid = \(nid)
            """)
    }

    /// Drops what waits up to a position, after failures for too long. The pauses between attempts stay long.
    /// - Throws: `DatabaseError`.
    public func gaveUp(_ nid: Int64, upTo position: Int64, dueAt: Int64) throws {
        try connection.execute(
            """
            UPDATE pushers SET position = \(raw: connection.dialect.greatest)(position, \(position)),
            failing_since = NULL, due_at = \(dueAt), waiting_since = NULL WHERE pusher_nid = \(nid)
            """)
    }

    /// Notes when a mail is due, and since when something waits for it; 0 and nil where nothing does.
    /// - Throws: `DatabaseError`.
    public func schedule(_ nid: Int64, dueAt: Int64, waitingSince: Int64?) throws {
        try connection.execute(
            """
            UPDATE pushers SET due_at = \(dueAt), waiting_since = \(waitingSince) WHERE pusher_nid = \(nid)
            """)
    }

    /// Removes a pusher.
    /// - Throws: `DatabaseError`.
    public func remove(nid: Int64) throws {
        try connection.execute("DELETE FROM pushers WHERE pusher_nid = \(nid)")
    }

    private static func reference(_ row: SQLRow) throws -> PusherReference {
        PusherReference(nid: try row.integer(0), shard: try row.int(1))
    }

    private static func pusher(_ row: SQLRow) throws -> Pusher {
        guard let user = try? UserID(row.text(1)), let kind = Pusher.Kind(rawValue: try row.text(3)) else {
            throw DatabaseError(.corrupt, "a pusher's row cannot be read")
        }
        let device = try row.text(2)
        var pusher = Pusher(
            user: user, device: device.isEmpty ? nil : try DeviceID(device), kind: kind, appID: try row.text(4),
            pushkey: try row.text(5), appDisplayName: try row.text(6), deviceDisplayName: try row.text(7),
            profileTag: try row.optionalText(8), lang: try row.text(9), options: try row.bytes(10),
            setAt: try row.integer(13))
        pusher.nid = try row.integer(0)
        pusher.isEnabled = try row.bool(11)
        pusher.isConfirmed = try row.bool(12)
        pusher.position = try row.integer(14)
        pusher.told = try row.optionalInteger(15).flatMap { Int(exactly: $0) }
        pusher.failures = try row.int(16)
        pusher.failingSince = try row.optionalInteger(17)
        pusher.dueAt = try row.integer(18)
        pusher.waitingSince = try row.optionalInteger(19)
        return pusher
    }
}
