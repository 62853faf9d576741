import MatrixModel

/// The reverse topological power ordering: auth events before those that name them, and of those that could come next the
/// one whose sender has most power.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#definitions>
struct PowerOrdering<Graph: EventGraph> {
    let graph: Graph
    let create: PDU

    /// An event that could come next. The least comes first.
    private struct Candidate: Comparable {
        let power: PowerLevel
        let event: PDU

        static func < (left: Candidate, right: Candidate) -> Bool {
            // 1. "x's sender has greater power level than y's sender."
            if left.power != right.power { return left.power > right.power }
            return left.event.isEarlier(than: right.event)
        }

        static func == (left: Candidate, right: Candidate) -> Bool { left.event.id == right.event.id }
    }

    /// Kahn's algorithm. Events that name each other in a circle, which only ids chosen by a server can bring about, never
    /// come up and are left out.
    func sort(_ events: [EventID: PDU]) -> [PDU] {
        var openAuthEvents: [EventID: Int] = [:]
        var followers: [EventID: [PDU]] = [:]
        var candidates = PriorityQueue<Candidate>()
        for event in events.values {
            let within = Set(event.authEvents).filter { events[$0] != nil }
            openAuthEvents[event.id] = within.count
            for id in within { followers[id, default: []].append(event) }
            if within.isEmpty { candidates.insert(Candidate(power: senderPower(event), event: event)) }
        }
        var sorted: [PDU] = []
        sorted.reserveCapacity(events.count)
        while let next = candidates.popMin() {
            sorted.append(next.event)
            for follower in followers[next.event.id] ?? [] {
                let open = (openAuthEvents[follower.id] ?? 0) - 1
                openAuthEvents[follower.id] = open
                if open == 0 { candidates.insert(Candidate(power: senderPower(follower), event: follower)) }
            }
        }
        return sorted
    }

    /// The power of the event's sender by the power levels among its own auth events. A level that cannot be read is 0.
    private func senderPower(_ event: PDU) -> PowerLevel {
        let levels = PowerLevels(graph.powerLevels(among: event.authEvents), create: create)
        return (try? levels.level(of: event.sender)) ?? .level(0)
    }
}

extension EventGraph {
    /// The first power levels among some auth events.
    func powerLevels(among ids: [EventID]) -> PDU? {
        for id in ids {
            if let event = event(id), event.type == .powerLevels, event.stateKey == "" { return event }
        }
        return nil
    }
}

extension PDU {
    /// Both orderings end so: the lesser `origin_server_ts`, then the lesser id.
    func isEarlier(than other: PDU) -> Bool {
        originServerTimestamp == other.originServerTimestamp
            ? id < other.id : originServerTimestamp < other.originServerTimestamp
    }
}
