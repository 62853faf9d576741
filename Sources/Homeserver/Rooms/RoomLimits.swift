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
    /// State keys that get their numbers in one transaction.
    static let keysNumberedAtOnce = 500
    /// How long a request waits for a room's members to become known, and how often it looks.
    static let wholeStateWait = Duration.seconds(60)
    static let wholeStatePoll = Duration.milliseconds(250)
    /// A room with no more members is told whole to servers that join it.
    static let membersAlwaysTold = 50
    /// Servers that are said to be in a room that is joined without its members.
    static let serversOfPartialRoom = 50_000
    /// How long state events from before a join that could not be had are asked for, milliseconds.
    static let leftOutTime: Int64 = 24 * 3_600_000
    /// Events since a join that are judged again when some of them come.
    static let eventsAmended = 10_000
    /// How long a server may take to make the template of a membership event, milliseconds; then the next is asked.
    static let templateTime: Int64 = 20_000
    /// Servers tried for one join.
    static let serversPerJoin = 20
    /// Greatest number of previous events of an event.
    static let prevEvents = EventLimits.prevEvents
    /// Different states after a room's extremities that are resolved all at once.
    static let statesResolved = 40
    /// Servers that are sent in one write what is newest of a room, at most `prevEvents` events each.
    static let serversToldAtOnce = 50
    /// Users of ours who are out of a room that another comes back to, and are not told so once more.
    static let formerMembers = 10_000
    /// What another server took users out of a room by is sent to theirs once it is so old, milliseconds.
    static let othersRemovalAge: Int64 = 60_000
    /// Withheld events, one behind the other, that are looked through for what an event follows.
    static let withheldSteps = 100
    /// Events of a room that was here before of which the stored bodies are read at once when it is joined again.
    static let copiesCompared = 500
}
