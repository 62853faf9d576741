public import MatrixModel

/// Merges the states of a room's forks into one. Every server gets the same from the same forks, in whatever order they
/// come.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#room-state-resolution>
/// - Parameters:
///   - forks: the state after each event whose states are to be merged. What all agree on may be left out of all of them,
///     and is then left out of the result, save the create event and the keys that `authEventKeys` names for events of the
///     full conflicted set.
///   - authDifference: the events that are not in the auth chains of all forks, as `authDifference(of:)` finds them from the
///     whole states. State resolution version 1 has no use for it.
///   - graph: holds the events of the forks that differ, the auth difference, the auth events of both, and the create
///     event; for version 2.1 their whole auth chains, or an index.
public func resolve(
    _ forks: [StateMap], authDifference: Set<EventID>, in graph: some EventGraph, by rules: RoomVersionRules
) throws(ResolutionFailure) -> StateMap {
    guard forks.count <= ResolutionLimits.forks else { throw .tooLarge }
    guard let first = forks.first else { return [:] }
    if forks.count == 1 || forks.dropFirst().allSatisfy({ $0 == first }) { return first }
    switch rules.stateResolution {
    case .v1:
        return try StateResolutionV1(graph: graph, rules: rules).resolve(forks)
    case .v2:
        return try StateResolutionV2(graph: graph, rules: rules, forks: forks, withSubgraph: false)
            .resolve(forks, authDifference)
    case .v2_1:
        return try StateResolutionV2(graph: graph, rules: rules, forks: forks, withSubgraph: true)
            .resolve(forks, authDifference)
    }
}

extension EventGraph {
    /// An event that must be there.
    func required(_ id: EventID) throws(ResolutionFailure) -> PDU {
        guard let event = event(id) else { throw .missingEvent(id) }
        return event
    }

    /// The room's create event: that which the forks have, or else that which the room of their events is named after.
    func createEvent(of forks: [StateMap]) throws(ResolutionFailure) -> PDU {
        let key = StateKey(.create, "")
        let ids = Set(forks.compactMap { $0[key] })
        guard ids.count <= 1 else { throw .differentCreateEvents }
        if let id = ids.first { return try required(id) }
        guard let any = forks.lazy.compactMap(\.values.first).first, let room = event(any)?.roomID,
            let id = EventID(createOf: room), let create = event(id)
        else { throw .missingCreateEvent }
        return create
    }
}
