import MatrixModel

/// The power levels of a room and those before them, by which other events are ordered.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#definitions>, "Mainline ordering"
struct Mainline<Graph: EventGraph> {
    private let graph: Graph
    /// The index *i* of each P*i*: the room's own power levels have 0.
    private let indices: [EventID: Int]

    /// - Parameter powerLevels: P0; without it the mainline is empty.
    init(of powerLevels: EventID?, in graph: Graph) {
        self.graph = graph
        var indices: [EventID: Int] = [:]
        var next = powerLevels.flatMap { graph.event($0) }
        // An event that comes again would be a circle.
        while let event = next, indices[event.id] == nil {
            indices[event.id] = indices.count
            next = graph.powerLevels(among: event.authEvents)
        }
        self.indices = indices
    }

    /// The greatest position first, then the earliest, then the least id.
    func sort(_ events: some Sequence<PDU>) -> [PDU] {
        var known = indices
        return events.map { (event: $0, position: position(of: $0, known: &known)) }
            .sorted { left, right in
                left.position == right.position
                    ? left.event.isEarlier(than: right.event) : left.position > right.position
            }
            .map(\.event)
    }

    /// The index of the first event of the mainline among the power levels that `event` rests on; `.max`, for infinity,
    /// where there is none.
    /// - Parameter known: the positions found so far, so that each power levels event is walked through once.
    private func position(of event: PDU, known: inout [EventID: Int]) -> Int {
        var passed: [EventID] = []
        var seen: Set<EventID> = []
        var position = Int.max
        var next = graph.powerLevels(among: event.authEvents)
        while let levels = next, seen.insert(levels.id).inserted {
            if let found = known[levels.id] {
                position = found
                break
            }
            passed.append(levels.id)
            next = graph.powerLevels(among: levels.authEvents)
        }
        for id in passed { known[id] = position }
        return position
    }
}
