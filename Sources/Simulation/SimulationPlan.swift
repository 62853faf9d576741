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
        /// A server stores another content of an event than the one that was sent.
        case changedContent = "changed-content"
        /// Syncs tell another content of a message than the server stores.
        case untrueSync = "untrue-sync"
        /// Pages tell another content of a message than the server stores.
        case untruePage = "untrue-page"
        /// A server shows redactions, and does not carry them out.
        case lostRedaction = "lost-redaction"
    }

    /// Something that a hostile server does in a room.
    public enum Attack: String, Sendable, Hashable, CaseIterable {
        /// An event as it should be.
        case talk
        /// Two events at one old place, one to each half of the others.
        case fork
        /// Memberships and power levels of long ago for auth events.
        case staleAuth = "stale-auth"
        /// A content of its own that is not what was hashed.
        case wrongHash = "wrong-hash"
        case wrongSignature = "wrong-signature"
        /// An event that is larger than any may be.
        case oversize
        /// Two values for one place in the state, one to each of two others.
        case contradiction
        /// Power that it does not have.
        case usurpation
        /// An event in the name of another server's user.
        case forgery
        /// Predecessors that exist nowhere.
        case dangling
        /// Auth events that have no business there.
        case oddAuth = "odd-auth"
        /// Depths as no server counts them.
        case depths
        case secondBeginning = "second-beginning"
        /// Different events under one transaction id.
        case repeatedTransaction = "repeated-transaction"
        /// What is no event at all.
        case garbage
        /// Leaves, and comes back by an event of its own.
        case comingAndGoing = "coming-and-going"
        /// Another server's event, passed on with another content.
        case tamperedRelay = "tampered-relay"
        /// An invite in another's name that is not signed by it, and lacks what lets it be so once it is redacted.
        case forgedInvite = "forged-invite"
        /// Room versions 1 and 2: one id for two events of one room.
        case oneIDTwoContents = "one-id-two-contents"
        /// Room versions 1 and 2: one id for two events of two rooms.
        case oneIDTwoRooms = "one-id-two-rooms"
        /// Events beside an auth chain that is asked for.
        case strayAuth = "stray-auth"
        /// A state before its own event that is one forged membership and no more.
        case forgedState = "forged-state"
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
    /// The versions that rooms may have; one that is named twice is chosen more often: the newest, and those where rules
    /// changed.
    public var roomVersions = ["12", "12", "11", "10", "6", "1"]
    /// All that hostile servers do, instead of what the seed chooses.
    public var attack: Attack?
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
