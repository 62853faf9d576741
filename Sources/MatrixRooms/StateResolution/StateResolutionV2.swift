import MatrixModel

/// State resolution of room versions 2 to 11, and from 12 on its revision 2.1.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#state-resolution>
struct StateResolutionV2<Graph: EventGraph> {
    let graph: Graph
    let rules: RoomVersionRules
    let create: PDU
    /// Version 2.1: the full conflicted set has the conflicted state subgraph, and the first checks start from nothing.
    let withSubgraph: Bool

    init(graph: Graph, rules: RoomVersionRules, forks: [StateMap], withSubgraph: Bool) throws(ResolutionFailure) {
        self.graph = graph
        self.rules = rules
        self.withSubgraph = withSubgraph
        create = try graph.createEvent(of: forks)
    }

    func resolve(_ forks: [StateMap], _ authDifference: Set<EventID>) throws(ResolutionFailure) -> StateMap {
        let (unconflicted, conflicted) = Self.divide(forks)
        var fullConflictedSet = conflicted.union(authDifference)
        if withSubgraph { fullConflictedSet.formUnion(try graph.conflictedStateSubgraph(conflicted)) }
        guard fullConflictedSet.count <= ResolutionLimits.conflictedEvents else { throw .tooLarge }
        var events: [EventID: PDU] = [:]
        for id in fullConflictedSet { events[id] = try graph.required(id) }

        // 1. Select all power events, enlarge the set by the events of their auth chains that are in the full conflicted set,
        // and sort it by the reverse topological power ordering.
        let power = powerEvents(with: events)
        let sortedPower = PowerOrdering(graph: graph, create: create).sort(power)
        // 2. Apply the iterative auth checks to them, starting from the unconflicted state map, or in 2.1 from an empty one.
        var checks = IterativeAuthChecks(
            graph: graph, rules: rules, create: create, state: withSubgraph ? [:] : unconflicted)
        for event in sortedPower { try checks.apply(event) }

        // 3. Order the remaining events by the mainline of the power levels in the partially resolved state.
        let remaining = events.values.filter { power[$0.id] == nil }
        let mainline = Mainline(of: checks.state[StateKey(.powerLevels, "")], in: graph)
        // 4. Apply the iterative auth checks to them.
        for event in mainline.sort(remaining) { try checks.apply(event) }

        // 5. Events of the unconflicted state map take the place of those with the same key.
        return checks.state.merging(unconflicted) { _, unconflicted in unconflicted }
    }

    /// "If a given key K is present in every S with the same value V in each state map, then the pair (K, V) belongs to the
    /// unconflicted state map. Otherwise, V belongs to the conflicted state set."
    static func divide(_ forks: [StateMap]) -> (unconflicted: StateMap, conflicted: Set<EventID>) {
        guard let first = forks.first else { return ([:], []) }
        let unconflicted = first.filter { key, id in forks.dropFirst().allSatisfy { $0[key] == id } }
        var conflicted: Set<EventID> = []
        for fork in forks {
            for (key, id) in fork where unconflicted[key] == nil { conflicted.insert(id) }
        }
        return (unconflicted, conflicted)
    }

    /// The power events of the full conflicted set, and what of it can be reached from them within it. (A path that leaves
    /// the set comes back to it only in version 2, where no server follows such a path.)
    private func powerEvents(with events: [EventID: PDU]) -> [EventID: PDU] {
        var selected = events.filter { Self.isPowerEvent($0.value) }
        var open = Array(selected.values)
        while let event = open.popLast() {
            for id in event.authEvents where selected[id] == nil {
                guard let authEvent = events[id] else { continue }
                selected[id] = authEvent
                open.append(authEvent)
            }
        }
        return selected
    }

    /// "A state event with type m.room.power_levels or m.room.join_rules, or a state event with type m.room.member where the
    /// membership is leave or ban and the sender does not match the state_key."
    static func isPowerEvent(_ event: PDU) -> Bool {
        guard let stateKey = event.stateKey else { return false }
        switch event.type {
        // The create event is counted too: all that is in conflict rests on it, and it has no auth events.
        case .create, .powerLevels, .joinRules: return stateKey.isEmpty
        case .member:
            let membership = event.content["membership"]?.string
            return (membership == "leave" || membership == "ban") && !stateKey.isSameText(as: event.sender.text)
        default: return false
        }
    }
}
