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
