public import MatrixModel
public import SQLDatabase

/// The devices of this server's users. Positions in the device-list stream are told apart from it.
public struct DeviceStore {
    /// The tables with `user_id` and `device_id` whose rows go with the device.
    static let dependentTables: [SQL] = [
        "access_tokens", "device_keys", "one_time_keys", "fallback_keys", "to_device_messages", "reply_log", "pushers",
        "dehydrated_devices",
    ]

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    private static let columns: SQL =
        "user_id, device_id, display_name, created_ts, last_seen_ts, last_seen_ip, hidden"

    /// One device.
    public func device(_ id: DeviceID, of user: UserID) throws -> Device? {
        try connection.query(
            "SELECT \(Self.columns) FROM devices WHERE user_id = \(user.text) AND device_id = \(id.text)"
        ).first.map(read)
    }

    /// Holds the device until the transaction ends: who asks for it meanwhile waits. False when there is none.
    public func lock(_ id: DeviceID, of user: UserID) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM devices WHERE user_id = \(user.text) AND device_id = \(id.text)
            \(raw: connection.dialect.forUpdate)
            """
        ).isEmpty
    }

    /// All devices of a user, the hidden ones only when asked for.
    public func devices(of user: UserID, includingHidden: Bool = false) throws -> [Device] {
        let devices = try connection.query(
            "SELECT \(Self.columns) FROM devices WHERE user_id = \(user.text) ORDER BY device_id"
        ).map(read)
        return includingHidden ? devices : devices.filter { !$0.isHidden }
    }

    /// Whether the text is a public cross-signing key of the user, which no device may be called.
    public func isCrossSigningKey(_ id: DeviceID, of user: UserID) throws -> Bool {
        try !connection.query(
            "SELECT 1 FROM cross_signing_keys WHERE user_id = \(user.text) AND key_id = \(id.text)"
        ).isEmpty
    }

    /// Makes a device. Returns false when it exists; that one is left as it is.
    public func create(_ device: Device) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO devices (user_id, device_id, display_name, created_ts, last_seen_ts, last_seen_ip, hidden)
            VALUES (\(device.user.text), \(device.id.text), \(device.displayName.sqlValue), \(device.created),
                \(device.lastSeen.sqlValue), \(device.lastSeenAddress.sqlValue), \(device.isHidden))
            ON CONFLICT (user_id, device_id) DO NOTHING
            """) == 1
    }

    /// Names a device. Returns false when there is none.
    public func rename(_ id: DeviceID, of user: UserID, to name: String?) throws -> Bool {
        try connection.execute(
            "UPDATE devices SET display_name = \(name.sqlValue) WHERE user_id = \(user.text) AND device_id = \(id.text)"
        ) == 1
    }

    /// Notes when and from where a device was last used.
    public func touch(_ id: DeviceID, of user: UserID, at time: Int64, address: String) throws {
        try connection.execute(
            """
            UPDATE devices SET last_seen_ts = \(time), last_seen_ip = \(address)
            WHERE user_id = \(user.text) AND device_id = \(id.text)
            """)
    }

    /// Removes devices with their tokens, keys and waiting messages. Returns how many there were.
    @discardableResult
    public func delete(_ ids: [DeviceID], of user: UserID) throws -> Int {
        guard !ids.isEmpty else { return 0 }
        let names = ids.map(\.text)
        for table in Self.dependentTables {
            try connection.execute(
                "DELETE FROM \(table) WHERE user_id = \(user.text) AND device_id IN \(list: names)")
        }
        try DeviceKeyStore(connection).removeSignatures(on: names, of: user)
        try SlidingConnectionStore(connection).end(of: user, devices: names)
        return try connection.execute(
            "DELETE FROM devices WHERE user_id = \(user.text) AND device_id IN \(list: names)")
    }

    /// Removes the devices least recently used, so that at most `limit` are left. Returns what was removed.
    public func trim(_ user: UserID, to limit: Int) throws -> [DeviceID] {
        let ids = try connection.query(
            """
            SELECT device_id FROM devices WHERE user_id = \(user.text)
            ORDER BY COALESCE(last_seen_ts, created_ts) DESC, device_id LIMIT 1000 OFFSET \(limit)
            """
        ).map { try DeviceID($0.text(0)) }
        try delete(ids, of: user)
        return ids
    }

    private func read(_ row: SQLRow) throws -> Device {
        Device(
            user: try UserID(row.text(0)), id: try DeviceID(row.text(1)), displayName: try row.optionalText(2),
            created: try row.integer(3), lastSeen: try row.optionalInteger(4),
            lastSeenAddress: try row.optionalText(5), isHidden: try row.bool(6))
    }
}
