/// The limits of this target.
enum Limits {
    /// Values in one `IN` list; longer lists are asked for in parts.
    static let bindsPerStatement = 512
    /// Rooms whose timelines are read by one statement.
    static let stretchesPerStatement = 128
    /// Statements of an append sent at once; a room that is imported has many.
    static let statementsPerRoundTrip = 1_000
    /// Redactions of a room that wait for their target to arrive; more are not applied.
    static let pendingRedactionsPerRoom = 1_000
    /// Joins of a room of which it is kept what state they lacked.
    static let lackingJoins = 8
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
    /// Reports that are kept, in all and of one user's.
    static let reports = 10_000
    static let reportsPerUser = 200
    /// Words of one text that can be searched for, and characters of each.
    static let wordsPerText = 5_000
    static let charactersPerWord = 64
    /// Places of one word in one text: PostgreSQL keeps 255.
    static let placesPerWord = 255
    /// What one search may ask for: pieces, and words of each.
    static let clausesPerTerm = 20
    static let wordsPerClause = 50
    /// Pages of the index of words that are written anew at once.
    static let pagesPerClearing = 500
    /// Words that a search tells to be marked.
    static let highlights = 200
    /// Rooms named in a full-text query; of more, the rooms of what was found are looked at.
    static let roomFacets = 100
    /// Numbers of state keys that are looked at when unused ones are collected: a bit of memory each.
    static let keysCollected: Int64 = 1 << 30
    /// Threads of which it is kept whether one user follows them.
    static let threadSubscriptionsPerUser = 10_000
}
