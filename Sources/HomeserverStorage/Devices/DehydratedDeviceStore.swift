public import MatrixModel
public import SQLDatabase

/// Dehydrated devices: at most one of a user. The device itself, with its keys and messages, is as any other.
///
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
public struct DehydratedDeviceStore {
    /// A device that waits.
    public struct Device: Sendable, Hashable {
        public let id: DeviceID
        /// The JSON object that its maker gave: what is secret in it only clients can read.
        public let data: [UInt8]
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// The user's dehydrated device.
    /// - Throws: `DatabaseError`.
    public func device(of user: UserID) throws -> Device? {
        try connection.query("SELECT device_id, data FROM dehydrated_devices WHERE user_id = \(user.text)").first
            .map { Device(id: try DeviceID($0.text(0)), data: try $0.bytes(1)) }
    }

    /// Puts a device in the place of the one before, whose keys and messages the caller removes.
    /// - Throws: `DatabaseError`.
    public func save(_ id: DeviceID, data: [UInt8], of user: UserID) throws {
        try connection.execute(
            """
            INSERT INTO dehydrated_devices (user_id, device_id, data) VALUES (\(user.text), \(id.text), \(data))
            ON CONFLICT (user_id) DO UPDATE SET device_id = excluded.device_id, data = excluded.data
            """)
    }
}
