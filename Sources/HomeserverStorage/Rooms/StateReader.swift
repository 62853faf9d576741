public import MatrixModel
public import MatrixRooms
public import SQLDatabase

/// Reads room states by their roots.
public struct StateReader {
    let connection: any SQLConnection
    let cache: StateCache

    private let pending: [StateRoot: [UInt8]]

    /// The states as this transaction sees them.
    /// - Parameter pending: a change that is not stored yet, whose states can be read too.
    public init(_ connection: any SQLConnection, _ cache: StateCache, pending: StateChange? = nil) {
        self.connection = connection
        self.cache = cache
        self.pending = pending?.nodes ?? [:]
    }

    private var nodes: PendingNodes {
        PendingNodes(pending: pending, stored: DatabaseNodes(connection: connection, cache: cache))
    }

    /// A key that is set differently in two states.
    public struct Difference: Sendable, Hashable {
        public var key: StateKey
        /// The event numbers before and after; nil where the key is not set.
        public var old: Int64?
        public var new: Int64?
    }

    /// The event that holds one key.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func event(at root: StateRoot, _ type: EventType, _ stateKey: String = "") throws -> Int64? {
        let key = StateKey(type, stateKey)
        return try events(at: root, keys: [key])[key]
    }

    /// The events that hold `keys`; a key that is not set is absent.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func events(at root: StateRoot, keys: some Collection<StateKey>) throws -> [StateKey: Int64] {
        let numbers = try cache.numbers(of: keys, connection)
        let values = try StateTree.values(of: Array(numbers.values), at: root, from: nodes)
        return numbers.compactMapValues { values[$0] }
    }

    /// The events that hold any of `keys` in several states.
    /// - Parameter roots: the states, by a number of the caller's.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func events(at roots: [Int64: StateRoot], keys: some Collection<StateKey>) throws -> [Int64: [Int64]] {
        // Once for all states: a key that no state has is never in the cache.
        let numbers = Array(try cache.numbers(of: keys, connection).values)
        guard !numbers.isEmpty else { return [:] }
        _ = try nodes.nodes(Array(Set(roots.values)))
        return try roots.mapValues { Array(try StateTree.values(of: numbers, at: $0, from: nodes).values) }
    }

    /// The whole state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func all(at root: StateRoot) throws -> [StateKey: Int64] {
        let entries = try StateTree.entries(at: root, from: nodes)
        let keys = try cache.keys(of: entries.map(\.key), connection)
        var state: [StateKey: Int64] = [:]
        state.reserveCapacity(entries.count)
        for entry in entries { if let key = keys[entry.key] { state[key] = entry.event } }
        return state
    }

    /// Reads the nodes of several states into the cache, each level by one question: what is asked about them afterwards
    /// costs none of its own.
    /// - Parameters:
    ///   - whole: of which everything is read.
    ///   - tops: of which only the uppermost node is read: all of it in small rooms.
    ///   - limit: states with more entries than this are left out.
    /// - Returns: the entries of `whole`, without those of states that are too large.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func load(
        whole: Set<StateRoot>, tops: Set<StateRoot>, limit: Int
    ) throws -> [StateRoot: [(key: StateKey, event: Int64)]] {
        let top = try self.nodes.nodes(Array(whole.union(tops)))
        var level = whole.filter { top[$0].map { $0.count <= limit } ?? false }
        var found: [StateRoot: [(key: StateKey, event: Int64)]] = [:]
        let small = level
        while !level.isEmpty {
            let nodes = try self.nodes.nodes(Array(level))
            var below: Set<StateRoot> = []
            for case .branch(let children) in nodes.values {
                below.formUnion(children.filter { $0.count > 0 }.map(\.root))
            }
            level = below
        }
        let entries = try small.reduce(into: [StateRoot: [StateEntry]]()) { entries, root in
            entries[root] = try StateTree.entries(at: root, from: nodes)
        }
        let keys = try cache.keys(of: Set(entries.values.joined().map(\.key)), connection)
        for (root, list) in entries {
            found[root] = list.compactMap { entry in keys[entry.key].map { ($0, entry.event) } }
        }
        return found
    }

    /// The events of the whole state, without their keys.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func allEvents(at root: StateRoot) throws -> [Int64] {
        try StateTree.entries(at: root, from: nodes).map(\.event)
    }

    /// What differs between two states; walks only what differs.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func difference(from old: StateRoot, to new: StateRoot) throws -> [Difference] {
        guard old != new else { return [] }
        let changes = try StateTree.difference(from: old, to: new, source: nodes)
        let keys = try cache.keys(of: changes.map(\.key), connection)
        return changes.compactMap { change in
            keys[change.key].map { Difference(key: $0, old: change.old, new: change.new) }
        }
    }
}
