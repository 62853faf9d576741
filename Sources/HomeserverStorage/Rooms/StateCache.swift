internal import MatrixModel
public import MatrixRooms
public import SQLDatabase

/// What never changes about states: the nodes of their tries and the numbers of their keys. Bounded in bytes; shared by all
/// readers of a process.
public final class StateCache: Sendable {
    let nodes: BoundedCache<StateRoot, StateNode>
    private let numbers: BoundedCache<StateKey, Int64>
    private let keys: BoundedCache<Int64, StateKey>
    let authEdges: BoundedCache<Int64, [Int64]>

    /// A cache of nodes of at most `bytes`, and of keys as the limits have it.
    public init(bytes: Int) {
        nodes = BoundedCache(budget: bytes)
        numbers = BoundedCache(budget: Limits.stateKeyCacheBytes / 2)
        keys = BoundedCache(budget: Limits.stateKeyCacheBytes / 2)
        authEdges = BoundedCache(budget: Limits.authEdgeCacheBytes)
    }

    /// Keeps the numbers of keys that are committed.
    public func remember(_ found: [StateKey: Int64]) {
        for (key, number) in found {
            let cost = key.stateKey.utf8.count + key.type.text.utf8.count + 64
            numbers.put(key, number, cost: cost)
            keys.put(number, key, cost: cost)
        }
    }

    /// Takes note of a notification of the database: `state_keys <key_nid>…` names keys that no state has, and whose numbers
    /// may go; `redacted <event_nid>…` events that may name more than they did. The empty one says that some may have been
    /// missed.
    public func received(_ notification: String) {
        guard !notification.isEmpty else {
            authEdges.removeAll()
            return numbers.removeAll()
        }
        if notification.hasPrefix("redacted ") {
            return forgetAuthEvents(of: notification.split(separator: " ").dropFirst().compactMap { Int64($0) })
        }
        guard notification.hasPrefix("state_keys ") else { return }
        for number in notification.split(separator: " ").dropFirst().compactMap({ Int64($0) }) {
            if let key = keys.value(number) { numbers.remove(key) }
        }
    }

    /// Drops what events name.
    public func forgetAuthEvents(of nids: some Sequence<Int64>) { for nid in nids { authEdges.remove(nid) } }

    /// The number of a key, if it is here.
    public func number(of key: StateKey) -> Int64? { numbers.value(key) }

    /// The numbers of those of `wanted` that have one.
    /// - Throws: `DatabaseError`.
    public func numbers(of wanted: some Sequence<StateKey>, _ connection: any SQLConnection) throws -> [StateKey: Int64]
    {
        var found: [StateKey: Int64] = [:]
        var missing: [StateKey] = []
        for key in wanted {
            if let number = numbers.value(key) { found[key] = number } else { missing.append(key) }
        }
        // By type, so that an index serves each question.
        for (type, keys) in Dictionary(grouping: missing, by: \.type) {
            for chunk in keys.chunks(of: Limits.bindsPerStatement) {
                var read: [StateKey: Int64] = [:]
                for row in try connection.query(
                    """
                    SELECT state_key, key_nid, unused_since FROM state_keys
                    WHERE type = \(StoredText.stored(type.text))
                    AND state_key IN \(list: chunk.map { StoredText.stored($0.stateKey) })
                    """)
                {
                    let (key, number) = (StateKey(type, StoredText.original(try row.text(0))), try row.integer(1))
                    // What no state has may go; so it is not remembered.
                    if try row.isNull(2) { read[key] = number }
                    found[key] = number
                }
                remember(read)
            }
        }
        return found
    }

    /// The keys of numbers.
    /// - Throws: `CorruptState` when one is not there.
    func keys(of wanted: some Collection<Int64>, _ connection: any SQLConnection) throws -> [Int64: StateKey] {
        var found: [Int64: StateKey] = [:]
        var missing: [Int64] = []
        for number in wanted {
            if let key = keys.value(number) { found[number] = key } else { missing.append(number) }
        }
        for chunk in missing.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT key_nid, type, state_key FROM state_keys WHERE key_nid IN \(list: chunk)")
            {
                guard let type = try? EventType(StoredText.original(row.text(1))) else { throw CorruptState() }
                let key = StateKey(type, StoredText.original(try row.text(2)))
                let number = try row.integer(0)
                found[number] = key
                keys.put(number, key, cost: key.stateKey.utf8.count + key.type.text.utf8.count + 64)
            }
        }
        guard found.count == Set(wanted).count else { throw CorruptState() }
        return found
    }
}

/// The nodes of the database behind the cache.
struct DatabaseNodes: StateNodeSource {
    let connection: any SQLConnection
    let cache: StateCache

    func nodes(_ roots: [StateRoot]) throws -> [StateRoot: StateNode] {
        var found: [StateRoot: StateNode] = [:]
        var missing: [StateRoot] = []
        for root in roots where root != .empty {
            if let node = cache.nodes.value(root) { found[root] = node } else { missing.append(root) }
        }
        for chunk in missing.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT hash, body FROM state_nodes WHERE hash IN \(list: chunk.map(\.bytes))")
            {
                let body = try row.bytes(1)
                guard let root = StateRoot(try row.bytes(0)) else { throw CorruptState() }
                // A node is named by its content, so damage is seen here.
                guard StateNode.root(of: body) == root else { throw CorruptState() }
                let node = try StateNode(decoding: body)
                found[root] = node
                cache.nodes.put(root, node, cost: body.count * 4 + 128)
            }
        }
        return found
    }
}
