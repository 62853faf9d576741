import MatrixModel
import MatrixRooms
import Testing

@Suite("State resolution, published cases") struct ResolutionVectorTests {
    @Test func `the cases are there`() {
        #expect(ResolutionVector.all.count == 13)
        #expect(ResolutionVector.all.allSatisfy { !$0.events.isEmpty && !$0.expected.isEmpty })
    }

    @Test(arguments: ResolutionVector.all) func `states resolve as published`(vector: ResolutionVector) throws {
        let graph = Dictionary(vector.events.map { ($0.id, $0) }) { first, _ in first }
        let rules = try #require(vector.events.first).version.rules
        let forks =
            vector.forks.isEmpty
            ? try tips(of: vector.events, in: graph, by: rules)
            : vector.forks.map { RoomState($0.compactMap { graph[$0] }).map }
        for order in [forks, forks.reversed()] {
            #expect(try resolveWithChains(order, in: graph, by: rules) == vector.expected)
        }
    }

    /// The state after each event that no other follows.
    private func tips(
        of events: [PDU], in graph: [EventID: PDU], by rules: RoomVersionRules
    ) throws -> [StateMap] {
        var after: [EventID: StateMap] = [:]
        for event in events {
            let before = try resolveWithChains(event.prevEvents.compactMap { after[$0] }, in: graph, by: rules)
            after[event.id] = before
            if let key = StateKey(of: event) { after[event.id]?[key] = event.id }
        }
        let followed = Set(events.flatMap(\.prevEvents))
        return events.filter { !followed.contains($0.id) }.compactMap { after[$0.id] }
    }
}

/// Resolves with the auth difference that the graph gives.
func resolveWithChains(
    _ forks: [StateMap], in graph: some EventGraph, by rules: RoomVersionRules
) throws(ResolutionFailure) -> StateMap {
    var chains: [Set<EventID>] = []
    for fork in forks { chains.append(try graph.fullAuthChain(of: fork.values)) }
    return try resolve(forks, authDifference: authDifference(of: chains), in: graph, by: rules)
}
