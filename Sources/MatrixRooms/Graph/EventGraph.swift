public import MatrixModel

/// Events by id, with their `auth_events` as edges. It never waits: who resolves state gathers the events first.
public protocol EventGraph: Sendable {
    /// The event; `nil` if it is not at hand.
    func event(_ id: EventID) -> PDU?

    /// Whether the event was rejected: such an auth event gives no permission.
    func isRejected(_ id: EventID) -> Bool

    /// The events that lie on paths of auth events between two of these, with these themselves.
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#definitions>, "Conflicted state subgraph"
    func conflictedStateSubgraph(_ conflicted: Set<EventID>) throws(ResolutionFailure) -> Set<EventID>
}

extension EventGraph {
    /// Nothing is, where a graph does not know.
    public func isRejected(_ id: EventID) -> Bool { false }

    /// Walks the auth chains. An index of auth chains may know better. Edges to events not at hand lead nowhere.
    public func conflictedStateSubgraph(_ conflicted: Set<EventID>) throws(ResolutionFailure) -> Set<EventID> {
        // An event is on such a path if it can be reached from a conflicted event, as all that is visited here can, and
        // reaches one. Depth first with a stack of our own; an event is settled after those it names.
        var reaches: [EventID: Bool] = [:]
        var stack: [(id: EventID, isLeaving: Bool)] = conflicted.map { ($0, false) }
        while let (id, isLeaving) = stack.popLast() {
            guard let event = event(id) else { continue }
            if isLeaving {
                reaches[id] = conflicted.contains(id) || event.authEvents.contains { reaches[$0] ?? false }
                continue
            }
            guard reaches[id] == nil else { continue }
            guard reaches.count < ResolutionLimits.visitedEvents else { throw .tooLarge }
            reaches[id] = conflicted.contains(id)
            stack.append((id, true))
            for next in event.authEvents where reaches[next] == nil { stack.append((next, false)) }
        }
        return conflicted.union(reaches.lazy.filter(\.value).map(\.key))
    }

    /// The full auth chain of a state: its events, those they name, which those name, and so on. The specification's words
    /// leave the state's own events out; all servers count them, and where one did not its auth difference would be larger.
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#definitions>, "Auth difference"
    public func fullAuthChain(of state: some Sequence<EventID>) throws(ResolutionFailure) -> Set<EventID> {
        var chain = Set(state)
        var open = Array(chain)
        while let id = open.popLast() {
            for next in event(id)?.authEvents ?? [] where chain.insert(next).inserted { open.append(next) }
            guard chain.count <= ResolutionLimits.visitedEvents else { throw .tooLarge }
        }
        return chain
    }
}

/// The events that are not in all of the full auth chains of the forks' states.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#definitions>, "Auth difference"
/// - Parameter chains: for each fork its state's `fullAuthChain`.
public func authDifference(of chains: [Set<EventID>]) -> Set<EventID> {
    var occurrences: [EventID: Int] = [:]
    for chain in chains {
        for id in chain { occurrences[id, default: 0] += 1 }
    }
    return Set(occurrences.lazy.filter { $0.value < chains.count }.map(\.key))
}

extension Dictionary: EventGraph where Key == EventID, Value == PDU {
    public func event(_ id: EventID) -> PDU? { self[id] }
}
