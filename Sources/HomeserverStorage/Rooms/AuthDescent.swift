internal import MatrixRooms

/// Tells which events are in the auth chain of a state: goes up from them, from event to those that name it, until one of the
/// state is met. So the work grows with what is above the events and not in the state, not with the state.
struct AuthDescent {
    private let chains: AuthChains
    private let shared: Set<Int64>
    /// What the state leads to, as far as it was found.
    private var reached = AuthChains.Reach()
    /// What the state does not lead to.
    private var unreached: Set<Int64> = []
    private var firstPages: [Int64: [Int64]] = [:]

    init(_ chains: AuthChains, shared: Set<Int64>) {
        self.chains = chains
        self.shared = shared
    }

    /// Those of `candidates` that are not in the state, and that no event of it leads to.
    mutating func unreached(_ candidates: [Int64]) throws -> Set<Int64> {
        let pages = try chains.namers(of: candidates.map { ($0, .max) }, limit: Limits.authNamersAtOnce)
        for (nid, page) in zip(candidates, pages) { firstPages[nid] = page }
        _ = try chains.place(candidates)
        var found: Set<Int64> = []
        for nid in candidates {
            if try isReached(nid) { continue }
            found.insert(nid)
        }
        return found
    }

    private mutating func isReached(_ candidate: Int64) throws -> Bool {
        if unreached.contains(candidate) { return false }
        // A state's own events count as part of its full auth chain.
        if shared.contains(candidate) {
            try reach(candidate)
            return true
        }
        if try isKnownReached(candidate) { return true }
        var visited: Set<Int64> = [candidate]
        var open: [(nid: Int64, before: Int64)] = [(candidate, .max)]
        while !open.isEmpty {
            let turn = Array(open.suffix(Limits.authEventsAtOnce))
            open.removeLast(turn.count)
            let asked = turn.filter { $0.before != .max || firstPages[$0.nid] == nil }
            var answers = try chains.namers(of: asked, limit: Limits.authNamersAtOnce).makeIterator()
            let pages = turn.map { nid, before in
                before == .max ? firstPages[nid] ?? answers.next() ?? [] : answers.next() ?? []
            }
            if !reached.places.isEmpty { _ = try chains.place(Set(pages.joined())) }
            for ((nid, before), page) in zip(turn, pages) {
                if page.count == Limits.authNamersAtOnce, let last = page.last { open.append((nid, last)) }
                for namer in page + (before == .max ? chains.unstoredNamers[nid] ?? [] : []) {
                    if try shared.contains(namer) || isKnownReached(namer) {
                        try reach(candidate)
                        return true
                    }
                    if !unreached.contains(namer), visited.insert(namer).inserted { open.append((namer, .max)) }
                }
            }
        }
        unreached.formUnion(visited)
        guard unreached.count <= Limits.authEventsVisited else { throw ResolutionFailure.tooLarge }
        return false
    }

    private func isKnownReached(_ nid: Int64) throws -> Bool {
        if reached.loose.contains(nid) { return true }
        guard !reached.places.isEmpty, let position = try chains.place([nid])[nid] else { return false }
        return position.place <= reached.places[position.chain] ?? 0
    }

    /// The state leads to an event, and so to all below it.
    private mutating func reach(_ nid: Int64) throws {
        let below = try chains.reach(of: [nid])
        reached.places.merge(below.places) { max($0, $1) }
        reached.loose.formUnion(below.loose)
        if let position = try chains.place([nid])[nid] {
            reached.places[position.chain] = max(reached.places[position.chain] ?? 0, position.place)
        } else {
            reached.loose.insert(nid)
        }
    }
}
