/// One edit of a state trie: the nodes it starts from, those it reads on the way, those it makes.
struct StateEdit<Source: StateNodeSource> {
    private var known: [StateRoot: StateNode]
    private let source: Source
    /// The new nodes, encoded.
    private(set) var written: [StateRoot: [UInt8]] = [:]

    init(_ known: [StateRoot: StateNode], _ source: Source) {
        self.known = known
        self.source = source
    }

    /// Makes `changes` to the subtree `root` at `level` and answers what it became.
    mutating func apply(
        _ changes: [(key: Int64, event: Int64?)], to root: StateRoot, level: Int
    ) throws -> StateNode.Child {
        guard root != .empty else { return build(merge(changes, into: []), level: level) }
        let node = try node(root)
        guard case .branch(var children) = node else {
            guard case .leaf(let entries) = node else { return .none }
            let merged = merge(changes, into: entries)
            return merged == entries
                ? StateNode.Child(root: root, count: entries.count) : build(merged, level: level)
        }
        for (slot, part) in Dictionary(grouping: changes, by: { StateTree.slot(of: $0.key, at: level) }) {
            children[slot] = try apply(part, to: children[slot].root, level: level + 1)
        }
        let count = children.reduce(0) { $0 + $1.count }
        guard count > StateTree.leafCapacity else { return write(.leaf(try entries(of: children)), count: count) }
        return write(.branch(children), count: count)
    }

    private mutating func node(_ root: StateRoot) throws -> StateNode {
        if let node = known[root] { return node }
        guard let node = try source.nodes([root])[root] else { throw CorruptState() }
        known[root] = node
        return node
    }

    private func merge(_ changes: [(key: Int64, event: Int64?)], into entries: [StateEntry]) -> [StateEntry] {
        var byKey = Dictionary(entries.map { ($0.key, $0.event) }, uniquingKeysWith: { _, last in last })
        for change in changes { byKey[change.key] = change.event }
        return byKey.map { StateEntry(key: $0.key, event: $0.value) }.sorted { $0.key < $1.key }
    }

    private mutating func build(_ entries: [StateEntry], level: Int) -> StateNode.Child {
        guard !entries.isEmpty else { return .none }
        guard entries.count > StateTree.leafCapacity else { return write(.leaf(entries), count: entries.count) }
        var parts = [[StateEntry]](repeating: [], count: StateTree.fanOut)
        for entry in entries { parts[StateTree.slot(of: entry.key, at: level)].append(entry) }
        var children: [StateNode.Child] = []
        for part in parts { children.append(build(part, level: level + 1)) }
        return write(.branch(children), count: entries.count)
    }

    private mutating func entries(of children: [StateNode.Child]) throws -> [StateEntry] {
        var result: [StateEntry] = []
        var pending = children.filter { $0.count > 0 }.map(\.root)
        while let root = pending.popLast() {
            switch try node(root) {
            case .leaf(let entries): result.append(contentsOf: entries)
            case .branch(let children): pending.append(contentsOf: children.filter { $0.count > 0 }.map(\.root))
            }
        }
        return result.sorted { $0.key < $1.key }
    }

    private mutating func write(_ node: StateNode, count: Int) -> StateNode.Child {
        guard count > 0 else { return .none }
        let encoded = node.encoded()
        let root = StateNode.root(of: encoded)
        if known[root] == nil {
            known[root] = node
            written[root] = encoded
        }
        return StateNode.Child(root: root, count: count)
    }
}
