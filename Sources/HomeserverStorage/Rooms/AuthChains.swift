internal import SQLDatabase

/// Auth chains as one transaction sees them, by the index that `AuthPlacing` keeps. Events without a place in it (those that
/// nobody named when they were stored) are walked.
final class AuthChains {
    typealias Position = AuthPlacing.Position

    /// A set of events that holds with each event its auth chain.
    struct Reach {
        /// How far up each chain.
        var places: [Int64: Int64] = [:]
        /// Events without a place.
        var loose: Set<Int64> = []
    }

    private struct Link {
        let place: Int64
        let target: Position
    }

    private let connection: any SQLConnection
    private let log: EventLog
    private let cache: StateCache
    /// The auth events of events that are not in the log yet.
    private let unstored: [Int64: [Int64]]
    private var links: [Int64: [Link]] = [:]
    private var loose: Set<Int64>
    private var positions: [Int64: Position] = [:]

    /// - Parameter unstored: events that are not in the log yet, with the numbers of their auth events.
    init(_ log: EventLog, _ cache: StateCache, unstored: [Int64: [Int64]] = [:]) {
        self.log = log
        self.cache = cache
        self.unstored = unstored
        connection = log.connection
        loose = Set(unstored.keys)
    }

    // MARK: What state resolution asks

    /// The events that are not in the full auth chains of all forks, save what the forks do not have in common: that is in
    /// conflict itself.
    /// - Parameters:
    ///   - forks: what they do not have in common.
    ///   - shared: what they do.
    func difference(of forks: [Set<Int64>], shared: () throws -> Set<Int64>) throws -> Set<Int64> {
        let span = try span(of: forks[...], from: Reach())
        let ranges = span.highest.filter { $0.value > span.lowest[$0.key] ?? 0 }
            .map { (chain: $0.key, from: (span.lowest[$0.key] ?? 0) + 1, to: $0.value) }
        // From the top of each chain: what is reached there is reached below.
        let candidates = span.all.subtracting(span.common).sorted(by: >) + (try events(ranges).reversed())
        guard !candidates.isEmpty else { return [] }
        var descent = AuthDescent(self, shared: try shared())
        return try descent.unreached(candidates)
    }

    /// How far several forks reach.
    private struct Span {
        /// The highest place of each chain; the lowest, where all forks reach the chain.
        var highest: [Int64: Int64]
        var lowest: [Int64: Int64]
        /// Events without a place: those that any fork reaches, and those that all do.
        var all: Set<Int64>
        var common: Set<Int64>

        init(_ reach: Reach) {
            (highest, lowest) = (reach.places, reach.places)
            (all, common) = (reach.loose, reach.loose)
        }

        mutating func add(_ other: Span) {
            highest.merge(other.highest) { max($0, $1) }
            for (chain, place) in lowest {
                if let least = other.lowest[chain] {
                    if least < place { lowest[chain] = least }
                } else {
                    lowest[chain] = nil
                }
            }
            all.formUnion(other.all)
            common.formIntersection(other.common)
        }
    }

    /// Forks have most in common. So what all of them have is followed once, then the two halves of them are looked at in the
    /// same way.
    /// - Parameter reach: how far what they have beside `forks` reaches.
    private func span(of forks: ArraySlice<Set<Int64>>, from reach: Reach) throws -> Span {
        guard let first = forks.first else { return Span(reach) }
        let common = forks.dropFirst().reduce(first) { $0.intersection($1) }
        var reach = reach
        try extend(&reach, by: common)
        guard forks.count > 1 else { return Span(reach) }
        let rest = common.isEmpty ? Array(forks) : forks.map { $0.subtracting(common) }
        var span = try self.span(of: rest[..<(rest.count / 2)], from: reach)
        span.add(try self.span(of: rest[(rest.count / 2)...], from: reach))
        return span
    }

    /// The events on paths of auth events between two of `ends`, with these.
    func between(_ ends: Set<Int64>) throws -> Set<Int64> {
        var reach = try reach(of: ends)
        // How far down each chain one of them is reached, or stands.
        var lowest: [Int64: Int64] = [:]
        for position in try place(ends).values {
            reach.places[position.chain] = max(reach.places[position.chain] ?? 0, position.place)
            lowest[position.chain] = min(lowest[position.chain] ?? .max, position.place)
        }
        try load(linksOf: reach.places.keys)
        var incoming: [Int64: [(from: Position, to: Int64)]] = [:]
        for (chain, highest) in reach.places {
            for link in links[chain] ?? [] where link.place <= highest {
                incoming[link.target.chain, default: []]
                    .append((Position(chain: chain, place: link.place), link.target.place))
            }
        }
        var open = Array(lowest.keys)
        while let chain = open.popLast() {
            guard let low = lowest[chain] else { continue }
            for (from, to) in incoming[chain] ?? [] where to >= low && from.place < lowest[from.chain] ?? .max {
                lowest[from.chain] = from.place
                open.append(from.chain)
            }
        }
        let ranges = lowest.compactMap { chain, low in
            reach.places[chain].map { (chain: chain, from: low, to: $0) }
        }
        return try ends.union(events(ranges)).union(looseEvents(in: reach, above: ends, lowest))
    }

    /// Those of the events without a place that lead to one of `ends`.
    private func looseEvents(
        in reach: Reach, above ends: Set<Int64>, _ lowest: [Int64: Int64]
    ) throws -> Set<Int64> {
        let edges = try edges(of: reach.loose)
        let positions = try place(Set(edges.values.joined()))
        var named: [Int64: [Int64]] = [:]
        var open: [Int64] = []
        for (nid, auth) in edges {
            for below in auth { named[below, default: []].append(nid) }
            let leads = auth.contains { below in
                ends.contains(below) || positions[below].map { $0.place >= lowest[$0.chain] ?? .max } ?? false
            }
            if leads { open.append(nid) }
        }
        var found = Set(open)
        while let nid = open.popLast() {
            for above in named[nid] ?? [] where found.insert(above).inserted { open.append(above) }
        }
        return found
    }

    // MARK: Walking chains

    /// The auth chain of events: without themselves, unless another leads to them.
    func reach(of nids: some Collection<Int64>) throws -> Reach {
        var reach = Reach()
        try extend(&reach, by: nids)
        return reach
    }

    private func extend(_ reach: inout Reach, by nids: some Collection<Int64>) throws {
        var raised: [Int64: Int64] = [:]
        var level = Set(nids)
        while !level.isEmpty {
            let named = Set(try edges(of: level).values.joined())
            let positions = try place(named)
            level = []
            for nid in named {
                if let position = positions[nid] {
                    raised[position.chain] = max(raised[position.chain] ?? 0, position.place)
                } else if reach.loose.insert(nid).inserted {
                    level.insert(nid)
                }
            }
        }
        // From chain to chain: what a place adds is the links between it and the place known before.
        while !raised.isEmpty {
            try load(linksOf: raised.keys)
            var next: [Int64: Int64] = [:]
            for (chain, place) in raised {
                let known = reach.places[chain] ?? 0
                guard place > known else { continue }
                reach.places[chain] = place
                for link in links[chain] ?? [] where link.place > known && link.place <= place {
                    let (target, end) = (link.target.chain, link.target.place)
                    if end > reach.places[target] ?? 0 { next[target] = max(next[target] ?? 0, end) }
                }
            }
            raised = next
        }
    }

    /// Where those of `nids` stand that have a place.
    func place(_ nids: some Collection<Int64>) throws -> [Int64: Position] {
        let unknown = nids.filter { positions[$0] == nil && !loose.contains($0) }
        if !unknown.isEmpty {
            let found = try AuthPlacing.positions(of: unknown, connection)
            positions.merge(found) { first, _ in first }
            loose.formUnion(unknown.filter { found[$0] == nil })
        }
        var found: [Int64: Position] = [:]
        for nid in nids { if let position = positions[nid] { found[nid] = position } }
        return found
    }

    /// The auth events of events.
    func edges(of nids: some Collection<Int64>) throws -> [Int64: [Int64]] {
        var found: [Int64: [Int64]] = [:]
        var missing: [Int64] = []
        for nid in nids {
            if let edges = unstored[nid] ?? cache.authEdges.value(nid) {
                found[nid] = edges
            } else {
                missing.append(nid)
            }
        }
        guard !missing.isEmpty else { return found }
        let read = try log.authEdges(of: missing)
        for nid in missing {
            let edges = read[nid] ?? []
            cache.authEdges.put(nid, edges, cost: edges.count * 8 + 64)
            found[nid] = edges
        }
        return found
    }

    /// The `count` events before each of `nids` in its chain.
    func eventsBelow(_ nids: some Collection<Int64>, count: Int64) throws -> [Int64] {
        var ranges: [Int64: (from: Int64, to: Int64)] = [:]
        for position in try place(nids).values where position.place > 1 {
            let to = position.place - 1
            let (from, end) = ranges[position.chain] ?? (to, to)
            ranges[position.chain] = (min(from, max(1, position.place - count)), max(end, to))
        }
        return try events(ranges.map { ($0.key, $0.value.from, $0.value.to) })
    }

    /// The events that name one of `nids`, from the newest: those with numbers below `before`, and not all where there are
    /// more than `limit`.
    func namers(of nids: [(nid: Int64, before: Int64)], limit: Int) throws -> [[Int64]] {
        var found: [[Int64]] = []
        for start in stride(from: 0, to: nids.count, by: Limits.statementsPerRoundTrip) {
            let part = nids[start..<min(start + Limits.statementsPerRoundTrip, nids.count)]
            found += try connection.executeAll(
                part.map { nid, before in
                    """
                    SELECT event_nid FROM auth_edges WHERE auth_nid = \(nid) AND event_nid < \(before)
                    ORDER BY event_nid DESC LIMIT \(limit)
                    """
                }
            ).map { try $0.map { try $0.integer(0) } }
        }
        return found
    }

    /// The events not in the log that name others, by what they name.
    private(set) lazy var unstoredNamers: [Int64: [Int64]] = {
        var namers: [Int64: [Int64]] = [:]
        for (nid, edges) in unstored { for auth in edges { namers[auth, default: []].append(nid) } }
        return namers
    }()

    private func load(linksOf chains: some Collection<Int64>) throws {
        let missing = chains.filter { links[$0] == nil }
        for chain in missing { links[chain] = [] }
        for chunk in missing.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT chain, place, target_chain, target_place FROM auth_links WHERE chain IN \(list: chunk)
                """)
            {
                let target = Position(chain: try row.integer(2), place: try row.integer(3))
                links[try row.integer(0)]?.append(Link(place: try row.integer(1), target: target))
            }
        }
    }

    /// The events of parts of chains, each from its lowest.
    private func events(_ ranges: [(chain: Int64, from: Int64, to: Int64)]) throws -> [Int64] {
        var found: [Int64] = []
        for start in stride(from: 0, to: ranges.count, by: Limits.statementsPerRoundTrip) {
            let part = ranges[start..<min(start + Limits.statementsPerRoundTrip, ranges.count)]
            let rows = try connection.executeAll(
                part.map { chain, from, to in
                    """
                    SELECT event_nid, place FROM auth_positions WHERE chain = \(chain) AND place >= \(from)
                    AND place <= \(to) ORDER BY place
                    """
                })
            for (range, rows) in zip(part, rows) {
                for row in rows {
                    let nid = try row.integer(0)
                    positions[nid] = Position(chain: range.chain, place: try row.integer(1))
                    found.append(nid)
                }
            }
        }
        return found
    }
}
