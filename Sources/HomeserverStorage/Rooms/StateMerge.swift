public import MatrixModel
internal import MatrixRooms
public import SQLDatabase

/// Merges the states of forks by the room version's state resolution. What the forks agree on is neither read nor written:
/// the work grows with the conflict, not with the room.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution>
public struct StateMerge {
    private let connection: any SQLConnection
    private let states: StateCache
    private let cache: EventCache
    private let log: EventLog

    /// Merges states as this transaction sees them.
    public init(_ connection: any SQLConnection, sealer: StorageSealer, states: StateCache, events: EventCache) {
        self.connection = connection
        self.states = states
        cache = events
        log = EventLog(connection, sealer)
    }

    /// The state that `roots` resolve to.
    /// - Parameters:
    ///   - pending: a change not stored yet, which may hold nodes of `roots`. The answer holds its nodes too.
    ///   - unstored: events of these states that are not in the log yet, by number.
    /// - Throws: `ResolutionFailure`, `DatabaseError`, `CorruptState`.
    public func resolve(
        _ roots: [StateRoot], version: RoomVersion, pending: StateChange = StateChange(.empty),
        unstored: [Int64: StoredEvent] = [:]
    ) throws -> StateChange {
        let distinct = Set(roots).sorted { ($0.high, $0.low) < ($1.high, $1.low) }
        guard let base = distinct.first else { return StateChange(.empty) }
        var result = pending
        result.root = base
        guard distinct.count > 1 else { return result }
        let reader = StateReader(connection, states, pending: pending)

        // What differs, by fork.
        var values: [[StateKey: Int64]] = []
        var baseValues: [StateKey: Int64] = [:]
        var conflicted: Set<StateKey> = []
        let differences = try distinct.dropFirst().map { try reader.difference(from: base, to: $0) }
        for difference in differences.joined() {
            conflicted.insert(difference.key)
            baseValues[difference.key] = difference.old
        }
        values.append(baseValues)
        for difference in differences {
            var fork = baseValues
            for change in difference { fork[change.key] = change.new }
            values.append(fork)
        }

        let chains = AuthChains(log, states, unstored: try authEvents(of: unstored))
        let conflictedEvents = Set(values.flatMap(\.values))
        let difference = try chains.difference(of: values.map { Set($0.values) }) {
            Set(try reader.allEvents(at: base)).subtracting(conflictedEvents)
        }
        let between = version.rules.stateResolution == .v2_1 ? try chains.between(conflictedEvents) : []
        // These, what judges them by the state all agree on, the auth events of both, and the power levels they rest on.
        let conflict = conflictedEvents.union(difference).union(between)
        var events = try gather(conflict, unstored)
        var keys: Set<StateKey> = [StateKey(.create, ""), StateKey(.powerLevels, ""), StateKey(.joinRules, "")]
        for event in events.values { keys.formUnion(authEventKeys(for: event.pdu)) }
        let agreed = try reader.events(at: base, keys: keys.subtracting(conflicted))
        let named = Set(try chains.edges(of: conflict.union(agreed.values)).values.joined())
        events.merge(try gather(named.union(agreed.values), unstored)) { first, _ in first }
        try gatherPowerLevels(into: &events, chains, unstored)

        let ids = events.mapValues(\.id)
        let forks = values.map { fork in
            fork.merging(agreed) { own, _ in own }.compactMapValues { ids[$0] }
        }
        let graph = GatheredEvents(events.values, between: between)
        let resolved = try MatrixRooms.resolve(
            forks, authDifference: Set(difference.compactMap { events[$0]?.id }), in: graph, by: version.rules)

        let numbers = try states.numbers(of: conflicted, connection)
        var changes: [Int64: Int64?] = [:]
        for key in conflicted {
            guard let number = numbers[key] else { throw CorruptState() }
            let winner = resolved[key].flatMap { graph.numbers[$0] }
            if winner != baseValues[key] { changes.updateValue(winner, forKey: number) }
        }
        return try StateWriter(connection, states).applying(changes, to: result)
    }

    private func gather(_ nids: Set<Int64>, _ unstored: [Int64: StoredEvent]) throws -> [Int64: StoredEvent] {
        var found = try cache.events(nids.subtracting(unstored.keys), from: log)
        for nid in nids { if let event = unstored[nid] { found[nid] = event } }
        return found
    }

    /// The numbers of the auth events of events that are not in the log yet.
    private func authEvents(of unstored: [Int64: StoredEvent]) throws -> [Int64: [Int64]] {
        let own = Dictionary(unstored.values.map { ($0.id, $0.nid) }) { first, _ in first }
        let named = Set(unstored.values.lazy.filter(\.pdu.isState).flatMap(\.pdu.authEvents))
        guard let room = unstored.values.first?.roomNID else { return [:] }
        let stored = try log.nids(named.filter { own[$0] == nil }, room: room)
        return unstored.filter(\.value.pdu.isState).mapValues { event in
            event.pdu.authEvents.compactMap { own[$0] ?? stored[$0] }
        }
    }

    /// Adds the power levels that those gathered rest on, and those which these rest on, down to the first: by them the
    /// mainline orders events.
    private func gatherPowerLevels(
        into events: inout [Int64: StoredEvent], _ chains: AuthChains, _ unstored: [Int64: StoredEvent]
    ) throws {
        var seen: Set<Int64> = []
        while true {
            let open = events.values.filter { $0.pdu.type == .powerLevels && !seen.contains($0.nid) }.map(\.nid)
            guard !open.isEmpty else { return }
            seen.formUnion(open)
            var named = Set(try chains.edges(of: open).values.joined()).filter { events[$0] == nil }
            guard !named.isEmpty else { continue }
            named.formUnion(try chains.eventsBelow(open, count: Limits.powerLevelsAtOnce).filter { events[$0] == nil })
            events.merge(try gather(named, unstored)) { first, _ in first }
        }
    }
}

/// Events gathered for a resolution.
private struct GatheredEvents: EventGraph {
    let events: [EventID: PDU]
    let rejected: Set<EventID>
    let numbers: [EventID: Int64]
    /// The events between those in conflict.
    private let between: Set<EventID>

    /// - Parameter between: the numbers of the events on paths between those in conflict.
    init(_ stored: some Collection<StoredEvent>, between: Set<Int64>) {
        var events: [EventID: PDU] = [:]
        var rejected: Set<EventID> = []
        var numbers: [EventID: Int64] = [:]
        for event in stored {
            events[event.id] = event.pdu
            numbers[event.id] = event.nid
            if event.flags.contains(.rejected) { rejected.insert(event.id) }
        }
        (self.events, self.rejected, self.numbers) = (events, rejected, numbers)
        self.between = Set(stored.lazy.filter { between.contains($0.nid) }.map(\.id))
    }

    func event(_ id: EventID) -> PDU? { events[id] }
    func isRejected(_ id: EventID) -> Bool { rejected.contains(id) }

    /// By the index, for the auth chains were not gathered.
    func conflictedStateSubgraph(_ conflicted: Set<EventID>) throws(ResolutionFailure) -> Set<EventID> {
        conflicted.union(between)
    }
}
