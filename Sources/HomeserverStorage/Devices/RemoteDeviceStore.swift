public import MatrixModel
public import SQLDatabase

/// What is known of the devices of users on other servers.
public struct RemoteDeviceStore {
    public struct Device: Sendable {
        public var id: String
        /// The device keys object; `nil` for a device without keys.
        public var keys: [UInt8]?
        public var displayName: String?

        public init(id: String, keys: [UInt8]?, displayName: String?) {
            self.id = id
            self.keys = keys
            self.displayName = displayName
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

    public func devices(of user: UserID) throws -> [Device] {
        try connection.query(
            "SELECT device_id, body, display_name FROM remote_devices WHERE user_id = \(user.text) ORDER BY device_id"
        ).map { Device(id: try $0.text(0), keys: try $0.optionalBytes(1), displayName: try $0.optionalText(2)) }
    }

    /// Puts a whole list in the place of what was known.
    public func replace(_ devices: [Device], of user: UserID, streamID: Int64, now: Int64) throws {
        _ = try connection.execute("DELETE FROM remote_devices WHERE user_id = \(user.text)")
        for device in devices { try insert(device, of: user) }
        _ = try connection.execute(
            """
            INSERT INTO remote_device_lists (user_id, stream_id, stale, fetched)
            VALUES (\(user.text), \(streamID), 0, \(now))
            ON CONFLICT (user_id) DO UPDATE SET stream_id = excluded.stream_id, stale = 0, fetched = excluded.fetched
            """)
    }

    /// Takes one device's change in, which follows on what is known.
    public func update(_ device: Device, deleted: Bool, of user: UserID, streamID: Int64) throws {
        _ = try connection.execute(
            "DELETE FROM remote_devices WHERE user_id = \(user.text) AND device_id = \(device.id)")
        if !deleted { try insert(device, of: user) }
        _ = try connection.execute(
            "UPDATE remote_device_lists SET stream_id = \(streamID) WHERE user_id = \(user.text)")
    }

    public func markStale(_ user: UserID) throws {
        _ = try connection.execute("UPDATE remote_device_lists SET stale = 1 WHERE user_id = \(user.text)")
    }

    /// Forgets a user with whom no room is shared anymore.
    public func forget(_ user: UserID) throws {
        _ = try connection.execute("DELETE FROM remote_devices WHERE user_id = \(user.text)")
        _ = try connection.execute("DELETE FROM remote_device_lists WHERE user_id = \(user.text)")
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
