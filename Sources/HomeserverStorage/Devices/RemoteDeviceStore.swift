public import MatrixModel
public import SQLDatabase

/// What is known of the devices of users on other servers.
public struct RemoteDeviceStore {
    public struct Device: Sendable {
        public var id: String
        /// The device keys object; `nil` for a device without keys.
        public var keys: [UInt8]?
        public var displayName: String?

        /// A name with U+0000 in it, which PostgreSQL cannot hold, is left out.
        public init(id: String, keys: [UInt8]?, displayName: String?) {
            self.id = id
            self.keys = keys
            self.displayName = displayName.flatMap { $0.utf8.contains(0) ? nil : $0 }
        }
    }

    public struct List: Sendable {
        public var streamID: Int64
        public var isStale: Bool
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    public func list(of user: UserID) throws -> List? {
        try connection.query(
            "SELECT stream_id, stale FROM remote_device_lists WHERE user_id = \(user.text)"
        ).first.map { List(streamID: try $0.integer(0), isStale: try $0.integer(1) != 0) }
    }

    /// The devices of those of `users` whose list is current: not stale, and their server has told us of every change since
    /// it was fetched, because a room was shared all the time.
    /// - Parameter server: ours.
    public func currentDevices(
        of users: some Sequence<UserID>, sharingWith server: ServerName
    ) throws -> [UserID: [Device]] {
        var found: [UserID: [Device]] = [:]
        for chunk in users.map(\.self).chunks(of: Limits.bindsPerStatement) {
            var byName: [String: [Device]] = [:]
            for row in try connection.query(
                """
                SELECT l.user_id FROM remote_device_lists l
                WHERE l.user_id IN \(list: chunk.map(\.text)) AND l.stale = 0 AND EXISTS (
                    SELECT 1 FROM room_members r JOIN room_members o ON o.room_nid = r.room_nid
                        AND o.server = \(server.text) AND o.membership = 'join' AND o.position <= l.as_of
                    WHERE r.user_id = l.user_id AND r.membership = 'join' AND r.position <= l.as_of)
                """)
            {
                byName[try row.text(0)] = []
            }
            guard !byName.isEmpty else { continue }
            for row in try connection.query(
                """
                SELECT user_id, device_id, body, display_name FROM remote_devices
                WHERE user_id IN \(list: Array(byName.keys))
                """)
            {
                byName[try row.text(0)]?.append(
                    Device(id: try row.text(1), keys: try row.optionalBytes(2), displayName: try row.optionalText(3)))
            }
            for user in chunk { found[user] = byName[user.text] }
        }
        return found
    }

    /// Whether a user's server tells us of changes: the user shares a room with one of ours.
    public func isTracked(_ user: UserID, sharingWith server: ServerName) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM room_members r JOIN room_members o ON o.room_nid = r.room_nid
                AND o.server = \(server.text) AND o.membership = 'join'
            WHERE r.user_id = \(user.text) AND r.membership = 'join' LIMIT 1
            """
        ).isEmpty
    }

    /// All that is known, current or not.
    public func devices(of user: UserID) throws -> [Device] {
        try connection.query(
            "SELECT device_id, body, display_name FROM remote_devices WHERE user_id = \(user.text) ORDER BY device_id"
        ).map { Device(id: try $0.text(0), keys: try $0.optionalBytes(1), displayName: try $0.optionalText(2)) }
    }

    /// Notes that a user's list is about to be asked for, so that what is told of it meanwhile is not lost.
    /// - Returns: what `replace` is to know.
    /// - Throws: `DatabaseError`.
    public func beginAsking(_ user: UserID) throws -> Int64 {
        _ = try connection.execute(
            """
            INSERT INTO remote_device_lists (user_id, stream_id, stale, as_of) VALUES (\(user.text), 0, 1, 0)
            ON CONFLICT (user_id) DO NOTHING
            """)
        let row = try connection.query("SELECT stale FROM remote_device_lists WHERE user_id = \(user.text)").first
        return try row?.integer(0) ?? 0
    }

    /// Puts a whole list in the place of what was known. One that has become stale since it was asked for stays so.
    /// - Parameters:
    ///   - asOf: the position of the stream `events` before the list was asked for.
    ///   - asked: what `beginAsking` gave.
    public func replace(_ devices: [Device], of user: UserID, streamID: Int64, asOf: Int64, asked: Int64) throws {
        _ = try connection.execute("DELETE FROM remote_devices WHERE user_id = \(user.text)")
        for device in devices { try insert(device, of: user) }
        _ = try connection.execute(
            """
            INSERT INTO remote_device_lists (user_id, stream_id, stale, as_of)
            VALUES (\(user.text), \(streamID), 0, \(asOf))
            ON CONFLICT (user_id) DO UPDATE SET stream_id = excluded.stream_id, as_of = excluded.as_of,
                stale = CASE WHEN remote_device_lists.stale = \(asked) THEN 0 ELSE remote_device_lists.stale END
            """)
    }

    /// Takes one device's change in, which follows on what is known. A list that would grow too long becomes stale.
    public func update(_ device: Device, deleted: Bool, of user: UserID, streamID: Int64) throws {
        _ = try connection.execute(
            "DELETE FROM remote_devices WHERE user_id = \(user.text) AND device_id = \(device.id)")
        if !deleted {
            let count = try connection.query(
                "SELECT COUNT(*) FROM remote_devices WHERE user_id = \(user.text)"
            ).first?.int(0)
            guard (count ?? 0) < Limits.remoteDevicesPerUser else { return try markStale(user) }
            try insert(device, of: user)
        }
        _ = try connection.execute(
            "UPDATE remote_device_lists SET stream_id = \(streamID) WHERE user_id = \(user.text)")
    }

    /// The list is to be asked for anew. What is stale is counted up, so that whoever is asking just now can tell.
    public func markStale(_ user: UserID) throws {
        _ = try connection.execute("UPDATE remote_device_lists SET stale = stale + 1 WHERE user_id = \(user.text)")
    }

    private func insert(_ device: Device, of user: UserID) throws {
        _ = try connection.execute(
            """
            INSERT INTO remote_devices (user_id, device_id, body, display_name)
            VALUES (\(user.text), \(device.id), \(device.keys), \(device.displayName))
            ON CONFLICT (user_id, device_id) DO UPDATE SET body = excluded.body, display_name = excluded.display_name
            """)
    }
}
