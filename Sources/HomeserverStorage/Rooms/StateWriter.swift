internal import MatrixModel
public import MatrixRooms
public import SQLDatabase

/// A state made from another, with the trie nodes that are not stored yet.
public struct StateChange: Sendable {
    /// The new state.
    public var root: StateRoot
    var nodes: [StateRoot: [UInt8]]

    /// Whether the state needs no node that is not stored.
    public var isStored: Bool { nodes.isEmpty }

    /// No change.
    public init(_ root: StateRoot) {
        self.root = root
        nodes = [:]
    }

    /// Adds the nodes of another change, so that its states are stored too.
    public mutating func merge(_ other: StateChange) { nodes.merge(other.nodes) { first, _ in first } }
}

/// Makes states. Nothing is stored until `store`, or an append that the nodes are given to.
public struct StateWriter {
    private let connection: any SQLConnection
    private let cache: StateCache

    /// States as this transaction sees them.
    public init(_ connection: any SQLConnection, _ cache: StateCache) {
        self.connection = connection
        self.cache = cache
    }

    /// Gives numbers to the keys that have none, and keeps those that no state had from being collected. Keep the answer with
    /// `StateCache.remember` after the commit only.
    /// - Throws: `DatabaseError`.
    public func number(_ keys: [StateKey]) throws -> [StateKey: Int64] {
        let known = try cache.numbers(of: keys, connection)
        var found: [StateKey: Int64] = [:]
        for key in keys where found[key] == nil {
            // What is remembered is not marked as unused: `LeftoverCollection`.
            if let number = known[key], cache.number(of: key) == number {
                found[key] = number
                continue
            }
            let (type, stateKey) = (StoredText.stored(key.type.text), StoredText.stored(key.stateKey))
            try connection.execute(
                """
                INSERT INTO state_keys (type, state_key) VALUES (\(type), \(stateKey))
                ON CONFLICT (type, state_key) DO UPDATE SET unused_since = NULL
                """)
            let row = try connection.query(
                "SELECT key_nid FROM state_keys WHERE type = \(type) AND state_key = \(stateKey)"
            ).first
            guard let row else { throw DatabaseError(.corrupt, "a state key has no number") }
            found[key] = try row.integer(0)
        }
        return found
    }

    /// The state that follows when keys (by number) are set to events or removed.
    /// - Parameter base: the state to change, perhaps with nodes that are not stored yet.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func applying(_ changes: [Int64: Int64?], to base: StateChange) throws -> StateChange {
        let source = PendingNodes(pending: base.nodes, stored: DatabaseNodes(connection: connection, cache: cache))
        let (root, nodes) = try StateTree.applying(changes, to: base.root, from: source)
        var result = base
        result.root = root
        result.nodes.merge(nodes) { first, _ in first }
        return result
    }

    /// Stores the nodes of a change.
    /// - Throws: `DatabaseError`.
    public func store(_ change: StateChange, room: Int64) throws {
        try connection.executeAll(Self.storing(change.nodes, room: room))
    }

    static func storing(_ nodes: [StateRoot: [UInt8]], room: Int64) -> [SQL] {
        nodes.map { root, body in
            """
            INSERT INTO state_nodes (hash, room_nid, body) VALUES (\(root.bytes), \(room), \(body))
            ON CONFLICT (hash) DO NOTHING
            """
        }
    }
}

/// Nodes that are not stored yet, before those that are.
struct PendingNodes: StateNodeSource {
    let pending: [StateRoot: [UInt8]]
    let stored: DatabaseNodes

    func nodes(_ roots: [StateRoot]) throws -> [StateRoot: StateNode] {
        guard !pending.isEmpty else { return try stored.nodes(roots) }
        var found: [StateRoot: StateNode] = [:]
        var rest: [StateRoot] = []
        for root in roots {
            if let body = pending[root] { found[root] = try StateNode(decoding: body) } else { rest.append(root) }
        }
        return found.merging(try stored.nodes(rest)) { first, _ in first }
    }
}
