import MatrixModel
import MatrixRooms

/// State resolution 2 and 2.1 once more, word for word and without any thought of speed: what `resolve` is held to.
/// It shares the authorization rules with it, and nothing else.
struct LiteralResolution {
    let graph: [EventID: PDU]
    let version: RoomVersion
    let create: PDU
    var rejected: Set<EventID> = []

    private var isRevised: Bool { version.rules.stateResolution == .v2_1 }

    func resolve(_ forks: [StateMap]) -> StateMap {
        let keys = Set(forks.flatMap(\.keys))
        var unconflicted: StateMap = [:]
        var conflicted: Set<EventID> = []
        for key in keys {
            let values = Set(forks.map { $0[key] })
            if values.count == 1, let id = values.first.flatMap(\.self) {
                unconflicted[key] = id
            } else {
                conflicted.formUnion(values.compactMap(\.self))
            }
        }

        // As all servers do, the state's own events count as part of its chain.
        let chains = forks.map { fork in fork.values.reduce(into: Set(fork.values)) { $0.formUnion(authChain(of: $1)) }
        }
        let union = chains.reduce(into: Set<EventID>()) { $0.formUnion($1) }
        let difference = union.filter { id in !chains.allSatisfy { $0.contains(id) } }
        var full = conflicted.union(difference)
        if isRevised { full.formUnion(subgraph(of: conflicted)) }

        // 1.
        var selected = full.filter { isPowerEvent($0) }
        for event in selected { selected.formUnion(reachable(from: event, within: full)) }
        let sorted = reverseTopologicalPowerOrdering(selected)
        // 2.
        var state = iterativeAuthChecks(sorted, from: isRevised ? [:] : unconflicted)
        // 3.
        let rest = mainlineOrdering(full.subtracting(selected), by: state[StateKey(.powerLevels, "")])
        // 4.
        state = iterativeAuthChecks(rest, from: state)
        // 5.
        for (key, id) in unconflicted { state[key] = id }
        return state
    }

    private func authEvents(_ id: EventID) -> [EventID] { (graph[id]?.authEvents ?? []).filter { graph[$0] != nil } }

    private func authChain(of id: EventID) -> Set<EventID> {
        reachable(from: id, within: Set(graph.keys))
    }

    /// What can be reached by auth events that are all in `allowed`.
    private func reachable(from id: EventID, within allowed: Set<EventID>) -> Set<EventID> {
        var found: Set<EventID> = []
        var isGrowing = true
        while isGrowing {
            let next = Set(found.union([id]).flatMap(authEvents)).intersection(allowed)
            isGrowing = !next.isSubset(of: found)
            found.formUnion(next)
        }
        return found
    }

    /// All that lies on a path between two conflicted events, with its ends.
    private func subgraph(of conflicted: Set<EventID>) -> Set<EventID> {
        let below = conflicted.reduce(into: conflicted) { $0.formUnion(authChain(of: $1)) }
        return below.filter { id in conflicted.contains(id) || !authChain(of: id).isDisjoint(with: conflicted) }
    }

    private func isPowerEvent(_ id: EventID) -> Bool {
        guard let event = graph[id] else { return false }
        if event.stateKey == "" {
            return ["m.room.power_levels", "m.room.join_rules", "m.room.create"].contains(event.type.text)
        }
        guard event.type.text == "m.room.member", let stateKey = event.stateKey else { return false }
        return ["leave", "ban"].contains(event.content["membership"]?.string) && stateKey != event.sender.text
    }

    private func powerLevels(of id: EventID) -> EventID? {
        authEvents(id).first { graph[$0]?.type == .powerLevels && graph[$0]?.stateKey == "" }
    }

    private func senderPower(_ id: EventID) -> PowerLevel {
        guard let event = graph[id] else { return .level(0) }
        let levels = PowerLevels(powerLevels(of: id).flatMap { graph[$0] }, create: create)
        return (try? levels.level(of: event.sender)) ?? .level(0)
    }

    private func isEarlier(_ left: EventID, _ right: EventID) -> Bool {
        let (leftTime, rightTime) = (graph[left]?.originServerTimestamp ?? 0, graph[right]?.originServerTimestamp ?? 0)
        return leftTime != rightTime ? leftTime < rightTime : left < right
    }

    private func reverseTopologicalPowerOrdering(_ events: Set<EventID>) -> [EventID] {
        var open = events
        var sorted: [EventID] = []
        while !open.isEmpty {
            let candidates = open.filter { id in !authEvents(id).contains { open.contains($0) } }
            let next = candidates.min { left, right in
                let (leftPower, rightPower) = (senderPower(left), senderPower(right))
                return leftPower != rightPower ? leftPower > rightPower : isEarlier(left, right)
            }
            guard let next else { break }
            sorted.append(next)
            open.remove(next)
        }
        return sorted
    }

    private func line(from id: EventID?) -> [EventID] {
        var line: [EventID] = []
        var next = id
        while let levels = next, !line.contains(levels) {
            line.append(levels)
            next = powerLevels(of: levels)
        }
        return line
    }

    private func mainlineOrdering(_ events: Set<EventID>, by levels: EventID?) -> [EventID] {
        let mainline = line(from: levels)
        let position: [EventID: Int] = Dictionary(
            uniqueKeysWithValues: events.map { id in
                let first = line(from: powerLevels(of: id)).first { mainline.contains($0) }
                return (id, first.flatMap { mainline.firstIndex(of: $0) } ?? Int.max)
            })
        return events.sorted { left, right in
            let (leftPosition, rightPosition) = (position[left] ?? .max, position[right] ?? .max)
            return leftPosition != rightPosition ? leftPosition > rightPosition : isEarlier(left, right)
        }
    }

    private func iterativeAuthChecks(_ events: [EventID], from initial: StateMap) -> StateMap {
        var state = initial
        for id in events {
            guard let event = graph[id], let place = StateKey(of: event) else { continue }
            var view = RoomState()
            for key in authEventKeys(for: event) {
                let own = authEvents(id).last { other in
                    !rejected.contains(other) && graph[other].flatMap { StateKey(of: $0) } == key
                }
                view.events[key] = (state[key] ?? own).flatMap { graph[$0] }
            }
            if (try? authorize(event, given: view, by: version.rules, create: create)) != nil { state[place] = id }
        }
        return state
    }
}
