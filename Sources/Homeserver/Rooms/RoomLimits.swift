internal import MatrixModel

/// The limits of writing rooms.
enum RoomLimits {
    /// Sends to one room that share a commit.
    static let draftsPerAppend = 100
    /// How often an append is worked out anew when others change the room meanwhile.
    static let appendAttempts = 30
    /// State events kept with a room's head, beside its create event, power levels and join rules.
    static let eventsKeptWithHead = 256
    /// Joined servers by state.
    static let serverCacheBytes = 8 << 20
    /// Access lists that were read, by their events.
    static let accessListCacheBytes = 8 << 20
    /// Event numbers taken at once.
    static let numbersPerBlock = 512
    /// State events a client may give to `createRoom`.
    static let initialStateEvents = 100
    /// Users invited by `createRoom`.
    static let initialInvites = 100
    /// Servers tried for one join.
    static let serversPerJoin = 20
    /// Greatest number of previous events of an event.
    static let prevEvents = EventLimits.prevEvents
    /// Forward extremities of a room. An event that would add one more is taken, but nothing of ours will follow it.
    static let extremities = 5_000
    /// Different states after a room's extremities that are resolved all at once.
    static let statesResolved = 40
    /// Withheld events, one behind the other, that are looked through for what an event follows.
    static let withheldSteps = 100
}
