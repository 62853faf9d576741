internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// A room worked out again from its events alone: whole states in memory, the pure rules of `MatrixRooms`, and nothing of how a
/// server stores, caches or fetches.
struct RoomModel {
    enum Verdict: Sendable, Hashable {
        case allowed
        case rejected(String)
    }

    /// What is judged: every event whose way back to the create event is here.
    private(set) var verdicts: [EventID: Verdict] = [:]
    private(set) var states: [EventID: StateMap] = [:]
    private let events: [EventID: PDU]
    private let rules: RoomVersionRules

    /// - Parameter events: all of a room's events that any server has, rejected ones too.
    init(_ events: [EventID: PDU], version: RoomVersion) throws {
        self.events = events
        rules = version.rules
        let creates = events.values.filter { $0.type == .create && $0.stateKey == "" && $0.prevEvents.isEmpty }
        guard let create = creates.min(by: { $0.id < $1.id }), creates.count == 1 else { return }
        for event in Self.ordered(events) { try judge(event, create) }
    }

    /// Earlier events first, by what they refer to.
    private static func ordered(_ events: [EventID: PDU]) -> [PDU] {
        var ordered: [PDU] = []
        var seen: Set<EventID> = []
        for start in events.values.sorted(by: { ($0.depth, $0.id) < ($1.depth, $1.id) }) {
            var stack: [(event: PDU, isLeaving: Bool)] = [(start, false)]
            while let (event, isLeaving) = stack.popLast() {
                if isLeaving {
                    ordered.append(event)
                    continue
                }
                guard seen.insert(event.id).inserted else { continue }
                stack.append((event, true))
                for id in event.prevEvents + event.authEvents where !seen.contains(id) {
                    if let earlier = events[id] { stack.append((earlier, false)) }
                }
            }
        }
        return ordered
    }

    private mutating func judge(_ event: PDU, _ create: PDU) throws {
        guard event.id != create.id else {
            verdicts[event.id] = .allowed
            states[event.id] = [StateKey(.create, ""): event.id]
            return
        }
        // What hangs in the air is not judged.
        guard !event.prevEvents.isEmpty, event.prevEvents.allSatisfy({ states[$0] != nil }),
            event.authEvents.allSatisfy({ verdicts[$0] != nil })
        else { return }
        let before = try resolved(event.prevEvents.compactMap { states[$0] })
        states[event.id] = before
        do throws(Rejection) {
            let auth = event.authEvents.compactMap { events[$0] }
            try checkAuthEvents(
                event, authEvents: auth, by: rules,
                isRejected: { if case .rejected = verdicts[$0] { true } else { false } })
            let allowing = auth + (rules.roomIDIsCreateEventHash ? [create] : [])
            try authorize(event, given: RoomState(allowing), by: rules, create: create)
            let state = RoomState(before.compactMapValues { events[$0] })
            try authorize(event, given: state, by: rules, create: create)
            verdicts[event.id] = .allowed
            if let key = StateKey(of: event) { states[event.id]?[key] = event.id }
        } catch {
            verdicts[event.id] = .rejected("\(error.clause): \(error.reason)")
        }
    }

    /// What several states resolve to.
    func resolved(_ forks: [StateMap]) throws -> StateMap {
        let distinct = Set(forks)
        if distinct.count == 1, let only = distinct.first { return only }
        // With the events themselves, as servers have it: spec/events-and-rooms.md.
        let chains = forks.map { authChain(of: $0.values).union($0.values) }
        return try resolve(forks, authDifference: authDifference(of: chains), in: Judged(model: self), by: rules)
    }

    /// All that events lead to by their auth events.
    private func authChain(of ids: some Sequence<EventID>) -> Set<EventID> {
        var chain: Set<EventID> = []
        var open = Array(ids)
        while let id = open.popLast() {
            for next in events[id]?.authEvents ?? [] where chain.insert(next).inserted { open.append(next) }
        }
        return chain
    }

    private struct Judged: EventGraph {
        let events: [EventID: PDU]
        let rejected: Set<EventID>

        init(model: RoomModel) {
            events = model.events
            rejected = Set(model.verdicts.filter { if case .rejected = $0.value { true } else { false } }.keys)
        }

        func event(_ id: EventID) -> PDU? { events[id] }
        func isRejected(_ id: EventID) -> Bool { rejected.contains(id) }
    }
}
