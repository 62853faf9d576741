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
    /// Rows of one statement that inserts many.
    static let rowsPerInsert = 200
    /// Events whose namers are asked for at once, and namers of each, when auth chains are gone up.
    static let authEventsAtOnce = 64
    static let authNamersAtOnce = 64
    /// Events seen when the auth difference of states is worked out.
    static let authEventsVisited = 2_000_000
    /// Events before a power levels event that are read with it: what others rest on is mostly a power levels event too.
    static let powerLevelsAtOnce: Int64 = 50
    /// Users named in one notification; more, and everybody looks.
    static let usersPerNotification = 50
    /// One-time keys of a device that were given out and are remembered, in case their upload is repeated.
    static let claimedKeysPerDevice = 200
    /// Devices kept of one user of another server.
    static let remoteDevicesPerUser = 1_000
    /// Users named when messages to their devices arrive: PostgreSQL bounds a notification to 8,000 bytes.
    static let usersPerToDeviceNotification = 25
}
