import Cryptography
import MatrixModel

/// State resolution of room version 1. It may bring back old state: that is why version 2 exists.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v1/#state-resolution>
struct StateResolutionV1<Graph: EventGraph> {
    let graph: Graph
    let rules: RoomVersionRules

    func resolve(_ forks: [StateMap]) throws(ResolutionFailure) -> StateMap {
        let create = try graph.createEvent(of: forks)
        // "Start by setting R to the union of the states to be resolved, excluding any conflicting events." A conflict is
        // between different events; a key that only some states have is none.
        var candidates: [StateKey: Set<EventID>] = [:]
        for fork in forks {
            for (key, id) in fork { candidates[key, default: []].insert(id) }
        }
        var resolved: StateMap = [:]
        var conflicts: [StateKey: [PDU]] = [:]
        for (key, ids) in candidates {
            if ids.count == 1, let id = ids.first {
                resolved[key] = id
            } else {
                var events: [PDU] = []
                for id in ids { events.append(try graph.required(id)) }
                conflicts[key] = events
            }
        }

        // "First we resolve conflicts between m.room.power_levels events", then join rules, then members. The conflicts of
        // one type are judged by the state before any of them is settled.
        for type in [EventType.powerLevels, .joinRules, .member] {
            var settled: StateMap = [:]
            for (key, events) in conflicts where key.type == type {
                settled[key] = try newestInUnbrokenLine(events, at: key, in: resolved, create: create)
            }
            resolved.merge(settled) { _, new in new }
        }
        // "For all other conflicts, just pick the event with the highest depth and lowest sha1(event_id) that passes."
        var settled: StateMap = [:]
        for (key, events) in conflicts where ![.powerLevels, .joinRules, .member].contains(key.type) {
            settled[key] = try deepestAllowed(events, in: resolved, create: create)
        }
        return resolved.merging(settled) { _, new in new }
    }

    /// "Add the first event in the list to R. For each subsequent event check that the event would be allowed for a room in
    /// state R. If it would be allowed, then update R with the event. If it would not be allowed, stop."
    private func newestInUnbrokenLine(
        _ events: [PDU], at key: StateKey, in resolved: StateMap, create: PDU
    ) throws(ResolutionFailure) -> EventID? {
        // "Sort the list by ascending depth then descending sha1(event_id)."
        let line = Array(deepestFirst(events).reversed())
        guard var newest = line.first else { return nil }
        var state = resolved
        for event in line.dropFirst() {
            state[key] = newest.id
            guard try isAllowed(event, in: state, create: create) else { break }
            newest = event
        }
        return newest.id
    }

    /// Where none passes the shallowest one stays: the specification does not say, but all servers do so.
    private func deepestAllowed(
        _ events: [PDU], in resolved: StateMap, create: PDU
    ) throws(ResolutionFailure) -> EventID? {
        let line = deepestFirst(events)
        for event in line where try isAllowed(event, in: resolved, create: create) { return event.id }
        return line.last?.id
    }

    private func isAllowed(_ event: PDU, in state: StateMap, create: PDU) throws(ResolutionFailure) -> Bool {
        var view = RoomState()
        for key in authEventKeys(for: event) {
            if let id = state[key] { view.events[key] = try graph.required(id) }
        }
        return (try? authorize(event, given: view, by: rules, create: create)) != nil
    }

    /// Descending depth, then ascending SHA-1 of the id.
    private func deepestFirst(_ events: [PDU]) -> [PDU] {
        events.map { (event: $0, hash: SHA1.hash(Array($0.id.text.utf8))) }
            .sorted { left, right in
                left.event.depth == right.event.depth
                    ? left.hash.lexicographicallyPrecedes(right.hash) : left.event.depth > right.event.depth
            }
            .map(\.event)
    }
}
