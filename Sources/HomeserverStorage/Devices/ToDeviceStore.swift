public import MatrixModel
public import SQLDatabase

/// Messages to devices, kept until the device has asked for what comes after them.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging>
public struct ToDeviceStore {
    /// A message that waits: its JSON object with `sender`, `type` and `content`.
    public struct Message: Sendable {
        public var position: Int64
        public var body: [UInt8]
    }

    private let connection: any SQLConnection
    private let sealer: StorageSealer

    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        self.connection = connection
        self.sealer = sealer
    }

    /// Adds messages. Of a device that never asks, the oldest beyond `limit` are dropped.
    /// Returns the newest position; `nil` when there was nothing to add.
    public func add(
        _ messages: [(user: UserID, device: DeviceID, body: [UInt8])], limit: Int
    ) throws -> Int64? {
        guard !messages.isEmpty else { return nil }
        let last = try StreamPositions(connection).advance("to_device", by: messages.count)
        var position = last - Int64(messages.count)
        var statements: [SQL] = []
        for message in messages {
            position += 1
            let sealed = try sealer.seal(message.body, context: "to-device")
            statements.append(
                """
                INSERT INTO to_device_messages (user_id, device_id, position, body)
                VALUES (\(message.user.text), \(message.device.text), \(position), \(sealed))
                """)
        }
        _ = try connection.executeAll(statements)
        struct Recipient: Hashable {
            var user: String
            var device: String
        }
        for recipient in Set(messages.map { Recipient(user: $0.user.text, device: $0.device.text) }) {
            let (user, device) = (recipient.user, recipient.device)
            _ = try connection.execute(
                """
                DELETE FROM to_device_messages WHERE user_id = \(user) AND device_id = \(device) AND position <= COALESCE((
                    SELECT position FROM to_device_messages WHERE user_id = \(user) AND device_id = \(device)
                    ORDER BY position DESC LIMIT 1 OFFSET \(limit)), 0)
                """)
        }
        // Few users are named; without any, everybody looks.
        let names = Set(messages.map(\.user.text))
        let users = names.count < Limits.usersPerToDeviceNotification ? names.sorted().joined(separator: " ") : ""
        try connection.notify("to_device \(last) \(users)")
        return last
    }

    /// What waits for a device between two positions, oldest first.
    public func messages(
        user: UserID, device: DeviceID, after: Int64, upTo: Int64, limit: Int
    ) throws -> [Message] {
        try connection.query(
            """
            SELECT position, body FROM to_device_messages
            WHERE user_id = \(user.text) AND device_id = \(device.text) AND position > \(after) AND position <= \(upTo)
            ORDER BY position LIMIT \(limit)
            """
        ).map { Message(position: try $0.integer(0), body: try sealer.open($0.bytes(1), context: "to-device")) }
    }

    /// Drops what a device has received.
    public func acknowledge(user: UserID, device: DeviceID, upTo position: Int64) throws {
        _ = try connection.execute(
            """
            DELETE FROM to_device_messages
            WHERE user_id = \(user.text) AND device_id = \(device.text) AND position <= \(position)
            """)
    }

    /// Whether a message of another server is new; it is noted.
    public func isNew(origin: ServerName, messageID: String, now: Int64) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO to_device_received (origin, message_id, received)
            VALUES (\(origin.text), \(messageID), \(now)) ON CONFLICT (origin, message_id) DO NOTHING
            """) == 1
    }

    public func forgetReceived(before time: Int64) throws {
        _ = try connection.execute("DELETE FROM to_device_received WHERE received < \(time)")
    }
}
