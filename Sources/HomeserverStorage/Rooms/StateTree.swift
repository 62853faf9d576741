/// Where a trie's nodes come from: the database behind a cache, or memory.
protocol StateNodeSource {
    /// The nodes named, all of them.
    /// - Throws: `CorruptState` when one is missing, and what the database throws.
    func nodes(_ roots: [StateRoot]) throws -> [StateRoot: StateNode]
}

/// Room states as persistent hash tries, content-addressed: `key_nid → event_nid`. A change of one key writes as many
/// small nodes as the trie is deep; two states share every subtree that is equal, so a comparison walks only what differs.
/// Each level is read from the source by one question.
enum StateTree {
    /// Entries a leaf holds before it splits.
    static let leafCapacity = 64
    /// Children of a branch: four bits of the hash a level, sixteen levels at most.
    static let fanOut = 16

    /// What one key changed from and to.
    struct Change: Sendable, Hashable {
        var key: Int64
        var old: Int64?
        var new: Int64?
    }

    /// The state that follows when `changes` (nil removes the key) are made to the state `root`, and the nodes it
    /// needs that `root` did not have.
    static func applying(
        _ changes: [Int64: Int64?], to root: StateRoot, from source: some StateNodeSource
    ) throws -> (root: StateRoot, nodes: [StateRoot: [UInt8]]) {
        guard !changes.isEmpty else { return (root, [:]) }
        var touched: [StateRoot: StateNode] = [:]
        try walk(Array(changes.keys), under: root, from: source) { name, node, _ in touched[name] = node }
        var edit = StateEdit(touched, source)
        let child = try edit.apply(changes.map { ($0.key, $0.value) }, to: root, level: 0)
        return (child.root, edit.written)
    }

    /// The events that hold `keys` in the state `root`; a key that is not set is absent.
    static func values(
        of keys: [Int64], at root: StateRoot, from source: some StateNodeSource
    ) throws -> [Int64: Int64] {
        var found: [Int64: Int64] = [:]
        try walk(keys, under: root, from: source) { _, node, keys in
            guard case .leaf(let entries) = node else { return }
            let wanted = Set(keys)
            for entry in entries where wanted.contains(entry.key) { found[entry.key] = entry.event }
        }
        return found
    }

    /// Every entry of the state `root`, in no particular order.
    static func entries(at root: StateRoot, from source: some StateNodeSource) throws -> [StateEntry] {
        var result: [StateEntry] = []
        var level = root == .empty ? [] : [root]
        while !level.isEmpty {
            let nodes = try source.nodes(level)
            var below: [StateRoot] = []
            for name in level {
                switch nodes[name] {
                case nil: throw CorruptState()
                case .leaf(let entries): result.append(contentsOf: entries)
                case .branch(let children): below.append(contentsOf: children.filter { $0.count > 0 }.map(\.root))
                }
            }
            level = below
        }
        return result
    }

    /// The keys whose events differ between two states.
    static func difference(
        from old: StateRoot, to new: StateRoot, source: some StateNodeSource
    ) throws -> [Change] {
        var result: [Change] = []
        var pairs: [(Side, Side)] = [(.subtree(old), .subtree(new))]
        var level = 0
        while !pairs.isEmpty {
            pairs.removeAll { $0.0 == $0.1 }
            let names = Set(pairs.flatMap { [$0.0.name, $0.1.name].compactMap(\.self) })
            let nodes = try source.nodes(Array(names))
            var below: [(Side, Side)] = []
            for pair in pairs {
                let (left, right) = (try pair.0.node(among: nodes), try pair.1.node(among: nodes))
                if case .leaf(let before) = left, case .leaf(let after) = right {
                    compare(before, after, into: &result)
                } else {
                    below.append(contentsOf: zip(split(left, at: level), split(right, at: level)))
                }
            }
            pairs = below
            level += 1
        }
        return result
    }

    /// The four bits of a key that choose the child at `level`. The mixing is a bijection, so sixteen levels always
    /// tell two keys apart.
    static func slot(of key: Int64, at level: Int) -> Int {
        var hash = UInt64(bitPattern: key) &+ 0x9e37_79b9_7f4a_7c15
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        hash ^= hash >> 31
        return Int((hash >> UInt64(clamping: 60 - 4 * level)) & 15)
    }

    // MARK: Walking

    /// One side of a comparison: a stored subtree, or the part of a leaf that faces a branch.
    private enum Side: Equatable {
        case subtree(StateRoot)
        case entries([StateEntry])

        var name: StateRoot? {
            if case .subtree(let root) = self, root != .empty { root } else { nil }
        }

        func node(among nodes: [StateRoot: StateNode]) throws(CorruptState) -> StateNode {
            switch self {
            case .entries(let entries): return .leaf(entries)
            case .subtree(.empty): return .leaf([])
            case .subtree(let root):
                guard let node = nodes[root] else { throw CorruptState() }
                return node
            }
        }
    }

    private static func split(_ node: StateNode, at level: Int) -> [Side] {
        switch node {
        case .branch(let children): return children.map { .subtree($0.root) }
        case .leaf(let entries):
            var parts = [[StateEntry]](repeating: [], count: fanOut)
            for entry in entries { parts[slot(of: entry.key, at: level)].append(entry) }
            return parts.map { $0.isEmpty ? .subtree(.empty) : .entries($0) }
        }
    }

    private static func compare(_ old: [StateEntry], _ new: [StateEntry], into result: inout [Change]) {
        var left = old[...]
        var right = new[...]
        while let before = left.first, let after = right.first {
            if before.key == after.key {
                if before.event != after.event {
                    result.append(Change(key: before.key, old: before.event, new: after.event))
                }
                left = left.dropFirst()
                right = right.dropFirst()
            } else if before.key < after.key {
                result.append(Change(key: before.key, old: before.event, new: nil))
                left = left.dropFirst()
            } else {
                result.append(Change(key: after.key, old: nil, new: after.event))
                right = right.dropFirst()
            }
        }
        result.append(contentsOf: left.map { Change(key: $0.key, old: $0.event, new: nil) })
        result.append(contentsOf: right.map { Change(key: $0.key, old: nil, new: $0.event) })
    }

    private static func walk(
        _ keys: [Int64], under root: StateRoot, from source: some StateNodeSource,
        visit: (StateRoot, StateNode, [Int64]) -> Void
    ) throws {
        var groups = root == .empty ? [] : [(root: root, keys: keys)]
        var level = 0
        while !groups.isEmpty {
            let nodes = try source.nodes(groups.map(\.root))
            var below: [(root: StateRoot, keys: [Int64])] = []
            for group in groups {
                guard let node = nodes[group.root] else { throw CorruptState() }
                visit(group.root, node, group.keys)
                guard case .branch(let children) = node else { continue }
                for (slot, keys) in Dictionary(grouping: group.keys, by: { slot(of: $0, at: level) }) {
                    let child = children[slot]
                    if child.count > 0 { below.append((child.root, keys)) }
                }
            }
            groups = below
            level += 1
        }
    }
}
