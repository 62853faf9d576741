public import SQLDatabase

/// Collects what the states of rooms that are gone were made of: nodes of tries, and keys that no state has any more.
///
/// A node names events, and an event is of one room; so a node is of one room, and goes when that has no row. (Nodes are
/// stored with or after their room's row, whose number is never given out again.)
///
/// A key is shared by all rooms. One walk over all nodes says which are in use; the others are marked, and nodes' memories
/// forget their numbers. Who uses such a key from then on takes the mark away (`StateWriter.number`). After a while, longer
/// than anybody works on an append, the memories are told again, and after another a second walk follows; what is still
/// marked and unused goes.
///
/// A walk reads; only what goes is written, some rows at a time. Its memory is a bit a key, so a node that dies begins anew.
public struct LeftoverCollection: Sendable {
    /// Nodes, and keys, looked at in a step.
    public static let rowsPerStep = 1_000

    private enum Part: Sendable { case nodes, keys }

    /// Whether marked keys go (the second walk), or are marked (the first).
    public let removesKeys: Bool
    /// Milliseconds since 1970 at its beginning.
    private let started: Int64
    private var part = Part.nodes
    private var hash: [UInt8] = []
    private var key: Int64 = 0
    private var used = NumberSet()
    /// Keys that were there at the beginning: of later ones the walk may have missed the nodes.
    private var lastKey: Int64?
    /// Nodes and keys that went.
    public private(set) var removed = 0

    /// A walk from the beginning.
    public init(removesKeys: Bool, now: Int64) {
        self.removesKeys = removesKeys
        started = now
    }

    /// Tells all nodes' memories again which keys are marked.
    /// - Throws: `DatabaseError`.
    public static func tellMarked(_ connection: any SQLConnection) throws {
        let nids = try connection.query("SELECT key_nid FROM state_keys WHERE unused_since IS NOT NULL")
            .map { try $0.integer(0) }
        for start in stride(from: 0, to: nids.count, by: Limits.bindsPerStatement) {
            let part = nids[start..<min(start + Limits.bindsPerStatement, nids.count)]
            try connection.notify("state_keys " + part.map { String($0) }.joined(separator: " "))
        }
    }

    /// Does the next step. Returns whether there is more.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public mutating func step(_ database: any Database) async throws -> Bool {
        switch part {
        case .nodes:
            if lastKey == nil {
                lastKey = try await database.read {
                    try $0.query("SELECT MAX(key_nid) FROM state_keys").first?.optionalInteger(0) ?? 0
                }
            }
            if try await !nodes(database) { part = .keys }
            return true
        case .keys: return try await keys(database)
        }
    }

    private mutating func nodes(_ database: any Database) async throws -> Bool {
        let hash = hash
        let (rows, here) = try await database.read { connection in
            let rows = try connection.query(
                """
                SELECT hash, room_nid, body FROM state_nodes WHERE hash > \(hash) ORDER BY hash LIMIT \(Self.rowsPerStep)
                """)
            let rooms = Set(try rows.map { try $0.integer(1) })
            var here: Set<Int64> = []
            for chunk in rooms.sorted().chunks(of: Limits.bindsPerStatement) {
                for row in try connection.query("SELECT room_nid FROM rooms WHERE room_nid IN \(list: chunk)") {
                    here.insert(try row.integer(0))
                }
            }
            return (rows, here)
        }
        var gone: [[UInt8]] = []
        for row in rows {
            guard here.contains(try row.integer(1)) else {
                gone.append(try row.bytes(0))
                continue
            }
            guard case .leaf(let entries) = try StateNode(decoding: row.bytes(2)) else { continue }
            for entry in entries { used.insert(entry.key) }
        }
        if !gone.isEmpty {
            let going = gone
            removed += try await database.write { connection in
                var removed = 0
                for start in stride(from: 0, to: going.count, by: Limits.bindsPerStatement) {
                    let part = Array(going[start..<min(start + Limits.bindsPerStatement, going.count)])
                    removed += try connection.execute(
                        """
                        DELETE FROM state_nodes WHERE hash IN \(list: part)
                        AND NOT EXISTS (SELECT 1 FROM rooms r WHERE r.room_nid = state_nodes.room_nid)
                        """)
                }
                return removed
            }
        }
        guard let last = rows.last else { return false }
        self.hash = try last.bytes(0)
        return rows.count == Self.rowsPerStep
    }

    private mutating func keys(_ database: any Database) async throws -> Bool {
        let (after, last, used) = (key, lastKey ?? 0, used)
        let (removes, started) = (removesKeys, started)
        let (reached, removed) = try await database.write { connection -> (Int64?, Int) in
            let rows = try connection.query(
                """
                SELECT key_nid, unused_since FROM state_keys WHERE key_nid > \(after) AND key_nid <= \(last)
                ORDER BY key_nid LIMIT \(Self.rowsPerStep)
                """)
            var (marked, wanted, unused): ([Int64], [Int64], [Int64]) = ([], [], [])
            for row in rows {
                let (nid, since) = (try row.integer(0), try row.optionalInteger(1))
                switch (used.contains(nid), since) {
                case (true, _?): wanted.append(nid)
                case (true, nil): break
                case (false, nil): unused.append(nid)
                case (false, _?): marked.append(nid)
                }
            }
            for chunk in wanted.chunks(of: Limits.bindsPerStatement) {
                try connection.execute("UPDATE state_keys SET unused_since = NULL WHERE key_nid IN \(list: chunk)")
            }
            var removed = 0
            if removes {
                for chunk in marked.chunks(of: Limits.bindsPerStatement) {
                    removed += try connection.execute(
                        "DELETE FROM state_keys WHERE key_nid IN \(list: chunk) AND unused_since IS NOT NULL")
                }
            } else {
                for chunk in unused.chunks(of: Limits.bindsPerStatement) {
                    try connection.execute(
                        "UPDATE state_keys SET unused_since = \(started) WHERE key_nid IN \(list: chunk)")
                    try connection.notify("state_keys " + Set(chunk).map { String($0) }.joined(separator: " "))
                }
            }
            return (rows.count == Self.rowsPerStep ? try rows.last?.integer(0) : nil, removed)
        }
        self.removed += removed
        guard let reached else { return false }
        key = reached
        return true
    }
}
