/// What is simulated. The same plan gives the same run, event for event.
public struct SimulationPlan: Sendable, Hashable {
    /// Something that is done wrong on purpose, which a run must find.
    public enum Sabotage: String, Sendable, Hashable, CaseIterable {
        /// Rows of an outbox vanish.
        case lostOutbox = "lost-outbox"
        /// Commits are not synced to disk.
        case unsyncedWrites = "unsynced-writes"
        /// A server's current state changes behind its back.
        case changedState = "changed-state"
        /// An event that was rejected is shown.
        case shownRejected = "shown-rejected"
        /// An acknowledged event vanishes from its server.
        case lostEvent = "lost-event"
        /// What should go with time stays.
        case keptRows = "kept-rows"
        /// What a server was made of stays in memory when it crashed.
        case keptServer = "kept-server"
        /// A message is left out of a sync's timeline.
        case untoldEvent = "untold-event"
        /// An event stands in a sync's timeline twice.
        case repeatedEvent = "repeated-event"
        /// Syncs tell no state beside timelines.
        case untoldState = "untold-state"
        /// Syncs tell of no joined rooms.
        case untoldJoining = "untold-joining"
        /// Syncs tell of no rooms that were left.
        case untoldLeaving = "untold-leaving"
    }

    /// All that happens follows from this.
    public var seed: UInt64
    /// Homeservers.
    public var servers: Int
    /// Users of each.
    public var users: Int
    /// Servers that mean harm.
    public var byzantine: Int
    /// Rooms, of versions that the seed chooses.
    public var rooms: Int
    /// What the users do, all together.
    public var steps: Int
    /// Whether the network is bad, and servers crash.
    public var hasFaults = true
    /// Whether some of the users have clients that sync. Without, seeds do what they did before there were any.
    public var syncs = true
    public var sabotage: Sabotage?
    /// Whether the lines of the trace are kept, not just their hash.
    public var keepsTrace = false

    /// A plan of a size that the seed chooses: two to four servers, mostly one that means harm.
    public init(seed: UInt64) {
        self.seed = seed
        let chance = Chance(seed: ~seed)
        servers = chance.within(2...4)
        users = chance.within(1...3)
        byzantine = chance.happens(700) ? 1 : 0
        rooms = chance.within(1...3)
        steps = chance.within(60...240)
    }
}
