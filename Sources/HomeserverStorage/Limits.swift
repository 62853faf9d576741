/// The limits of this target.
enum Limits {
    /// Values in one `IN` list; longer lists are asked for in parts.
    static let bindsPerStatement = 512
    /// Statements of an append sent at once; a room that is imported has many.
    static let statementsPerRoundTrip = 1_000
    /// Redactions of a room that wait for their target to arrive; more are not applied.
    static let pendingRedactionsPerRoom = 1_000
    /// State keys whose numbers are kept in memory, in bytes.
    static let stateKeyCacheBytes = 16 << 20
    /// Auth events of state events kept in memory, in bytes.
    static let authEdgeCacheBytes = 16 << 20
    /// Users named in one notification; more, and everybody looks.
    static let usersPerNotification = 50
    /// One-time keys of a device that were given out and are remembered, in case their upload is repeated.
    static let claimedKeysPerDevice = 200
    /// Devices kept of one user of another server.
    static let remoteDevicesPerUser = 1_000
    /// Users named when messages to their devices arrive: PostgreSQL bounds a notification to 8,000 bytes.
    static let usersPerToDeviceNotification = 25
}
