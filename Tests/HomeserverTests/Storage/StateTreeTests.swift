import Testing

@testable import HomeserverStorage

@Suite("State tries") struct StateTreeTests {
    /// Nodes in memory; counts how often it is asked.
    final class Memory: StateNodeSource {
        var stored: [StateRoot: [UInt8]] = [:]
        var questions = 0
        var read = 0

        func nodes(_ roots: [StateRoot]) throws -> [StateRoot: StateNode] {
            questions += 1
            var found: [StateRoot: StateNode] = [:]
            for root in roots {
                if let body = stored[root] {
                    found[root] = try StateNode(decoding: body)
                    read += 1
                }
            }
            return found
        }

        func apply(_ changes: [Int64: Int64?], to root: StateRoot) throws -> StateRoot {
            let (new, nodes) = try StateTree.applying(changes, to: root, from: self)
            stored.merge(nodes) { first, _ in first }
            return new
        }
    }

    private func state(_ entries: [Int64: Int64], _ memory: Memory) throws -> StateRoot {
        try memory.apply(entries.mapValues { $0 }, to: .empty)
    }

    @Test func `the empty state has no nodes and no entries`() throws {
        let memory = Memory()
        #expect(try memory.apply([:], to: .empty) == .empty)
        #expect(try memory.apply([5: nil], to: .empty) == .empty)
        #expect(try StateTree.entries(at: .empty, from: memory).isEmpty)
        #expect(memory.stored.isEmpty)
    }

    @Test(arguments: [1, 64, 65, 200, 1_025, 20_000])
    func `a state of any size is found again, all and by key`(count: Int) throws {
        let memory = Memory()
        let entries = Dictionary(uniqueKeysWithValues: (1...Int64(count)).map { ($0, $0 * 7) })
        let root = try state(entries, memory)

        let read = try StateTree.entries(at: root, from: memory)
        #expect(Dictionary(uniqueKeysWithValues: read.map { ($0.key, $0.event) }) == entries)
        #expect(try StateTree.values(of: [1, Int64(count), Int64(count) + 1], at: root, from: memory)[1] == 7)
        #expect(try StateTree.values(of: [Int64(count) + 1], at: root, from: memory).isEmpty)
    }

    @Test func `one change in a large state writes few small nodes and asks once a level`() throws {
        let memory = Memory()
        let root = try state(Dictionary(uniqueKeysWithValues: (1...Int64(10_000)).map { ($0, $0) }), memory)
        memory.questions = 0

        let (_, nodes) = try StateTree.applying([77: 20_000], to: root, from: memory)

        #expect(nodes.count <= 4)
        #expect(nodes.values.reduce(0) { $0 + $1.count } < 2_000)
        #expect(memory.questions <= 4)
    }

    @Test func `a comparison walks only what differs`() throws {
        let memory = Memory()
        let old = try state(Dictionary(uniqueKeysWithValues: (1...Int64(10_000)).map { ($0, $0) }), memory)
        let new = try memory.apply([77: 20_000, 10_001: 5, 9: nil], to: old)
        memory.read = 0

        let difference = try StateTree.difference(from: old, to: new, source: memory)

        #expect(
            Set(difference) == [
                .init(key: 77, old: 77, new: 20_000), .init(key: 10_001, old: nil, new: 5),
                .init(key: 9, old: 9, new: nil),
            ])
        #expect(memory.read < 40)
    }

    @Test(arguments: 1...30)
    func `random edits agree with a dictionary, and the shape depends on the contents only`(seed: UInt64) throws {
        var random = Seeded(seed)
        let memory = Memory()
        var model: [Int64: Int64] = [:]
        var root = StateRoot.empty
        var history: [(StateRoot, [Int64: Int64])] = [(root, model)]
        let keys = Int64(random.next(300) + 1)

        for _ in 0..<60 {
            var changes: [Int64: Int64?] = [:]
            for _ in 0..<random.next(40) {
                let key = Int64(random.next(Int(keys)))
                changes.updateValue(random.next(3) == 0 ? nil : Int64(random.next(1_000_000)), forKey: key)
            }
            root = try memory.apply(changes, to: root)
            for (key, event) in changes { model[key] = event }
            history.append((root, model))
        }

        for (root, model) in history {
            #expect(try state(model, memory) == root)
            let read = try StateTree.entries(at: root, from: memory)
            #expect(Dictionary(uniqueKeysWithValues: read.map { ($0.key, $0.event) }) == model)
        }
        for _ in 0..<20 {
            let (from, before) = history[random.next(history.count)]
            let (to, after) = history[random.next(history.count)]
            let expected = Set(before.keys).union(after.keys).filter { before[$0] != after[$0] }
            let difference = try StateTree.difference(from: from, to: to, source: memory)
            #expect(Set(difference.map(\.key)) == expected)
            #expect(difference.allSatisfy { $0.old == before[$0.key] && $0.new == after[$0.key] })
            #expect(difference.count == expected.count)
        }
    }

    @Test func `damaged nodes are refused, never read past`() throws {
        let memory = Memory()
        let root = try state(Dictionary(uniqueKeysWithValues: (1...Int64(100)).map { ($0, $0 << 20) }), memory)
        for (name, body) in memory.stored {
            for length in 0..<body.count {
                #expect(throws: CorruptState.self) { try StateNode(decoding: Array(body.prefix(length))) }
            }
            memory.stored[name] = nil
        }
        #expect(throws: CorruptState.self) { try StateTree.entries(at: root, from: memory) }
        #expect(throws: CorruptState.self) { try StateTree.values(of: [1], at: root, from: memory) }
        #expect(throws: CorruptState.self) { try StateTree.applying([1: 2], to: root, from: memory) }
    }

    @Test func `a root survives its bytes`() throws {
        let memory = Memory()
        let root = try state([1: 2], memory)
        #expect(StateRoot(root.bytes) == root)
        #expect(StateRoot([1, 2, 3]) == nil)
        #expect(root.bytes.count == 16 && root.description.count == 32)
    }
}

/// A small generator with a seed.
struct Seeded {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next(_ bound: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(max(1, bound)))
    }
}
