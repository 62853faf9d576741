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

        let conflictedEvents = Set(values.flatMap(\.values))
        let difference = try authDifference(of: values, base: base, reader: reader, unstored)
        // The conflicted events, what judges them by the state all agree on, and the auth chains of both.
        var events = try gather(conflictedEvents.union(difference), unstored)
        var keys: Set<StateKey> = [StateKey(.create, ""), StateKey(.powerLevels, ""), StateKey(.joinRules, "")]
        for event in events.values { keys.formUnion(authEventKeys(for: event.pdu)) }
        let agreed = try reader.events(at: base, keys: keys.subtracting(conflicted))
        let chains = try chain(of: conflictedEvents.union(agreed.values), unstored)
        events.merge(try gather(chains.union(agreed.values), unstored)) { first, _ in first }

        let forks = values.map { fork in
            fork.merging(agreed) { own, _ in own }.compactMapValues { events[$0]?.id }
        }
        let graph = GatheredEvents(events.values)
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

    /// The events that are not in the auth chains of all forks. What all forks share adds the same to each chain, so only
    /// what is in some fork's own chain, and not in that of the shared state, can be in the difference.
    private func authDifference(
        of forks: [[StateKey: Int64]], base: StateRoot, reader: StateReader, _ unstored: [Int64: StoredEvent]
    ) throws -> Set<Int64> {
        let chains = try forks.map { try chain(of: Set($0.values), unstored) }
        guard var common = chains.first else { return [] }
        var all = common
        for chain in chains.dropFirst() {
            common.formIntersection(chain)
            all.formUnion(chain)
        }
        let candidates = all.subtracting(common)
        guard !candidates.isEmpty else { return [] }
        let conflicted = Set(forks.flatMap(\.values))
        let shared = try reader.allEvents(at: base).filter { !conflicted.contains($0) }
        return candidates.subtracting(try chain(of: Set(shared), unstored))
    }

    private func gather(_ nids: Set<Int64>, _ unstored: [Int64: StoredEvent]) throws -> [Int64: StoredEvent] {
        var found = try cache.events(nids.subtracting(unstored.keys), from: log)
        for nid in nids { if let event = unstored[nid] { found[nid] = event } }
        return found
    }

    /// The auth chain of events, without themselves unless another leads to them.
    private func chain(of nids: Set<Int64>, _ unstored: [Int64: StoredEvent]) throws -> Set<Int64> {
        var chain: Set<Int64> = []
        var expanded: Set<Int64> = []
        var level = nids
        while !level.isEmpty {
            expanded.formUnion(level)
            var missing: [Int64] = []
            var above: Set<Int64> = []
            for nid in level {
                if let event = unstored[nid] {
                    let own = Dictionary(unstored.values.map { ($0.id, $0.nid) }) { first, _ in first }
                    above.formUnion(event.pdu.authEvents.compactMap { own[$0] })
                    above.formUnion(try log.nids(event.pdu.authEvents).values)
                } else if let edges = states.authEdges.value(nid) {
                    above.formUnion(edges)
                } else {
                    missing.append(nid)
                }
            }
            let read = try log.authEdges(of: missing)
            for nid in missing {
                let edges = read[nid] ?? []
                states.authEdges.put(nid, edges, cost: edges.count * 8 + 64)
                above.formUnion(edges)
            }
            chain.formUnion(above)
            level = above.subtracting(expanded)
        }
        return chain
    }
}

/// Events gathered for a resolution.
private struct GatheredEvents: EventGraph {
    let events: [EventID: PDU]
    let rejected: Set<EventID>
    let numbers: [EventID: Int64]

    init(_ stored: some Collection<StoredEvent>) {
        var events: [EventID: PDU] = [:]
        var rejected: Set<EventID> = []
        var numbers: [EventID: Int64] = [:]
        for event in stored {
            events[event.id] = event.pdu
            numbers[event.id] = event.nid
            if event.flags.contains(.rejected) { rejected.insert(event.id) }
        }
        (self.events, self.rejected, self.numbers) = (events, rejected, numbers)
    }

    func event(_ id: EventID) -> PDU? { events[id] }
    func isRejected(_ id: EventID) -> Bool { rejected.contains(id) }
}
