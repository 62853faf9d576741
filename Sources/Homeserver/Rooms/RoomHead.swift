internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// What the next event of a room builds on: its newest events and as much of its state as authorization asked for.
struct RoomHead: Sendable {
    var record: RoomRecord
    /// The state before the next event, which `prev` alone decide: the room's state, but where its extremities are more than
    /// an event may name.
    var base: StateRoot
    /// The events of the forward extremities, at most as many as an event may name.
    var prev: [StoredEvent] = []
    /// The create event; nil only before it is made.
    var create: PDU?
    /// The servers with a joined member; nil where not asked for yet.
    var servers: [ServerName]?
    private var known: [StateKey: StoredEvent] = [:]
    private var absent: Set<StateKey> = []
    /// Whether what is not known is absent: a room that is being made.
    var isComplete = false

    init(record: RoomRecord) {
        self.record = record
        base = record.state
    }

    /// The policy server that must sign the next event, if the room uses one.
    var policy: RoomPolicy? {
        guard let policy = RoomPolicy(event(.policy, "")), servers?.contains(policy.server) == true else { return nil }
        return policy
    }

    /// Whether the extremities are more than the next event can name.
    var isForked: Bool { record.extremities.count > RoomLimits.prevEvents }

    /// Those of `keys` that must be read before they are asked for.
    func missing(_ keys: some Sequence<StateKey>) -> [StateKey] {
        isComplete ? [] : keys.filter { known[$0] == nil && !absent.contains($0) }
    }

    subscript(_ key: StateKey) -> StoredEvent? { known[key] }

    /// Takes note of what `keys` are set to.
    mutating func learn(_ keys: [StateKey], _ events: [StateKey: StoredEvent]) {
        for key in keys {
            if let event = events[key] { known[key] = event } else { absent.insert(key) }
        }
        if let event = known[StateKey(.create, "")] { create = event.pdu }
    }

    /// Moves past an event that was added.
    mutating func advance(past event: StoredEvent) {
        prev = [event]
        record.depth = event.pdu.depth
        guard let key = StateKey(of: event.pdu) else { return }
        known[key] = event
        absent.remove(key)
        if key.type == .create, key.stateKey.isEmpty { create = event.pdu }
        if key.type == .member { servers = nil }
    }

    /// Forgets what is asked for seldom, when it has become much.
    mutating func trim() {
        guard known.count + absent.count > RoomLimits.eventsKeptWithHead else { return }
        let kept = [StateKey(.create, ""), StateKey(.powerLevels, ""), StateKey(.joinRules, "")]
        known = known.filter { kept.contains($0.key) }
        absent = absent.filter { kept.contains($0) }
    }
}

extension RoomHead: RoomStateView {
    func event(_ type: EventType, _ stateKey: String) -> PDU? { known[StateKey(type, stateKey)]?.pdu }
}
