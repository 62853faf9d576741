internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Gives events their places in the index of auth chains when others name them as auth events, which most are never.
///
/// A chain holds events of one state key, each of which names the one before it: a member's memberships, say, or the power
/// levels. So one number says how far an event reaches into a chain. What an event with a place names has a place too.
struct AuthPlacing {
    private let connection: any SQLConnection
    private let log: EventLog

    init(_ log: EventLog) {
        self.log = log
        connection = log.connection
    }

    struct Position: Hashable, Sendable {
        var chain: Int64
        var place: Int64
    }

    /// Where those of `nids` stand that have a place.
    static func positions(of nids: some Collection<Int64>, _ connection: any SQLConnection) throws -> [Int64: Position]
    {
        var found: [Int64: Position] = [:]
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT event_nid, chain, place FROM auth_positions WHERE event_nid IN \(list: chunk)")
            {
                found[try row.integer(0)] = Position(chain: try row.integer(1), place: try row.integer(2))
            }
        }
        return found
    }

    /// What is to be written so that all that `events` name has a place, before or after the events' own rows.
    func statements(for events: [EventInsertion]) throws -> [SQL] {
        var new: [Int64: [Int64]] = [:]
        var keys: [Int64: StateKey] = [:]
        for event in events where !event.isKnown {
            guard let key = StateKey(of: event.pdu) else { continue }
            new[event.nid] = event.authNIDs
            keys[event.nid] = key
        }
        return try placing(named: Set(new.values.joined()), by: new, keys).statements
    }

    /// What is to be written so that auth events that came after the events that name them have a place, and these lead to them.
    /// These get a place too, so that nobody gives them one without that.
    /// - Parameter late: the numbers of such auth events, by the event that names them; all are in the log, with the edges.
    func statements(late: [Int64: [Int64]]) throws -> [SQL] {
        var (statements, positions) = try placing(named: Set(late.values.joined()).union(late.keys), by: [:], [:])
        for (nid, from) in try Self.positions(of: late.keys, connection) {
            for target in (late[nid] ?? []).compactMap({ positions[$0] }) where target.chain != from.chain {
                statements.append(
                    """
                    INSERT INTO auth_links (chain, place, target_chain, target_place)
                    VALUES (\(from.chain), \(from.place), \(target.chain), \(target.place))
                    ON CONFLICT (chain, place, target_chain) DO UPDATE SET target_place = excluded.target_place
                    WHERE auth_links.target_place < excluded.target_place
                    """)
            }
        }
        return statements
    }

    /// - Parameters:
    ///   - named: the events that must have a place.
    ///   - new: the auth events of those that are not in the log yet.
    ///   - keys: their state keys.
    /// - Returns: what is to be written, and where those named and what is right below them stand.
    private func placing(
        named: Set<Int64>, by new: [Int64: [Int64]], _ keys: [Int64: StateKey]
    ) throws -> (statements: [SQL], positions: [Int64: Position]) {
        var (edges, keys) = (new, keys)
        var positions = try Self.positions(of: named.filter { new[$0] == nil }, connection)
        // What has no place yet, down to what has.
        var unplaced: Set<Int64> = []
        var level = named.filter { positions[$0] == nil }
        while !level.isEmpty {
            unplaced.formUnion(level)
            let missing = level.filter { edges[$0] == nil }
            if !missing.isEmpty {
                let read = try log.authEdges(of: missing)
                for nid in missing { edges[nid] = read[nid] ?? [] }
            }
            let below = Set(level.flatMap { edges[$0] ?? [] }).filter { positions[$0] == nil && !unplaced.contains($0) }
            positions.merge(try Self.positions(of: below.filter { new[$0] == nil }, connection)) { first, _ in first }
            level = below.filter { positions[$0] == nil }
        }
        guard !unplaced.isEmpty else { return ([], positions) }

        // Each goes to the end of the chain of its key, if it names that, or begins one.
        var ends = try ends(of: Set(positions.values.map(\.chain)))
        let atEnds = positions.filter { ends[$0.value.chain] == $0.value.place }.map(\.key)
        try read(&keys, of: unplaced.union(atEnds))
        var placed: [(nid: Int64, position: Position)] = []
        for nid in Self.fromBelow(unplaced, edges) {
            var position = Position(chain: nid, place: 1)
            for auth in edges[nid] ?? [] where keys[nid] != nil && keys[auth] == keys[nid] {
                guard let last = positions[auth], ends[last.chain] == last.place else { continue }
                position = Position(chain: last.chain, place: last.place + 1)
                break
            }
            positions[nid] = position
            ends[position.chain] = position.place
            placed.append((nid, position))
        }
        var rows = placed.map { "(\($0.nid), \($0.position.chain), \($0.position.place))" as SQL }
        var statements = Self.inserting("auth_positions (event_nid, chain, place)", rows)

        let continued = Set(placed.map(\.position.chain)).subtracting(placed.map(\.nid))
        var furthest = try links(from: continued)
        rows = []
        for (nid, position) in placed {
            var targets: [Int64: Int64] = [:]
            for auth in edges[nid] ?? [] {
                guard let target = positions[auth], target.chain != position.chain else { continue }
                targets[target.chain] = max(targets[target.chain] ?? 0, target.place)
            }
            for (chain, place) in targets where place > furthest[position.chain]?[chain] ?? 0 {
                furthest[position.chain, default: [:]][chain] = place
                rows.append("(\(position.chain), \(position.place), \(chain), \(place))")
            }
        }
        statements += Self.inserting("auth_links (chain, place, target_chain, target_place)", rows)
        return (statements, positions)
    }

    /// Some events, each after those of them that it names.
    private static func fromBelow(_ nids: Set<Int64>, _ edges: [Int64: [Int64]]) -> [Int64] {
        var order: [Int64] = []
        var entered: Set<Int64> = []
        var stack = nids.sorted().reversed().map { (nid: $0, isLeaving: false) }
        while let (nid, isLeaving) = stack.popLast() {
            if isLeaving {
                order.append(nid)
                continue
            }
            guard entered.insert(nid).inserted else { continue }
            stack.append((nid, true))
            for auth in edges[nid] ?? [] where nids.contains(auth) && !entered.contains(auth) {
                stack.append((auth, false))
            }
        }
        return order
    }

    private func read(_ keys: inout [Int64: StateKey], of nids: Set<Int64>) throws {
        for chunk in nids.filter({ keys[$0] == nil }).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT event_nid, type, state_key FROM events WHERE event_nid IN \(list: chunk)")
            {
                guard let type = try? EventType(StoredText.original(row.text(1))) else { continue }
                let stateKey = try row.optionalText(2).map { StoredText.original($0) } ?? ""
                keys[try row.integer(0)] = StateKey(type, stateKey)
            }
        }
    }

    private func ends(of chains: Set<Int64>) throws -> [Int64: Int64] {
        var found: [Int64: Int64] = [:]
        for chunk in Array(chains).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT chain, MAX(place) FROM auth_positions WHERE chain IN \(list: chunk) GROUP BY chain")
            {
                found[try row.integer(0)] = try row.integer(1)
            }
        }
        return found
    }

    private func links(from chains: Set<Int64>) throws -> [Int64: [Int64: Int64]] {
        var found: [Int64: [Int64: Int64]] = [:]
        for chunk in Array(chains).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT chain, target_chain, MAX(target_place) FROM auth_links WHERE chain IN \(list: chunk)
                GROUP BY chain, target_chain
                """)
            {
                found[try row.integer(0), default: [:]][try row.integer(1)] = try row.integer(2)
            }
        }
        return found
    }

    private static func inserting(_ table: String, _ rows: [SQL]) -> [SQL] {
        stride(from: 0, to: rows.count, by: Limits.rowsPerInsert).map { start in
            "INSERT INTO \(raw: table) VALUES "
                + rows[start..<min(start + Limits.rowsPerInsert, rows.count)].joined(separator: ", ")
        }
    }
}
