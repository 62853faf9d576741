import Cryptography

/// One immutable node of a state trie: up to 64 entries sorted by key, or 16 children by the next four bits of the
/// key's mixed hash. Which of the two a subtree is depends on its number of entries only, so its shape is canonical.
enum StateNode: Sendable, Equatable {
    case leaf([StateEntry])
    case branch([Child])

    /// A subtree: its name and how many entries it holds. Absent children have the empty root and no entries.
    struct Child: Sendable, Equatable {
        var root: StateRoot
        var count: Int

        static let none = Child(root: .empty, count: 0)
    }

    /// How many entries the subtree holds.
    var count: Int {
        switch self {
        case .leaf(let entries): entries.count
        case .branch(let children): children.reduce(0) { $0 + $1.count }
        }
    }

    /// The bytes that are stored and hashed.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .leaf(let entries):
            bytes.reserveCapacity(2 + entries.count * 6)
            bytes.append(0)
            Varint.append(UInt64(entries.count), to: &bytes)
            var previous: Int64 = 0
            for entry in entries {
                Varint.append(UInt64(bitPattern: entry.key &- previous), to: &bytes)
                Varint.append(UInt64(bitPattern: entry.event), to: &bytes)
                previous = entry.key
            }
        case .branch(let children):
            bytes.reserveCapacity(1 + children.count * 18)
            bytes.append(1)
            for child in children {
                Varint.append(UInt64(clamping: child.count), to: &bytes)
                if child.count > 0 { bytes.append(contentsOf: child.root.bytes) }
            }
        }
        return bytes
    }

    /// Reads what `encoded` wrote.
    /// - Throws: `CorruptState` when the bytes are no node.
    init(decoding bytes: [UInt8]) throws(CorruptState) {
        var reader = Varint.Reader(bytes)
        switch reader.byte() {
        case 0:
            guard let count = reader.next(), count <= UInt64(StateTree.leafCapacity) else { throw CorruptState() }
            var entries: [StateEntry] = []
            entries.reserveCapacity(Int(count))
            var key: Int64 = 0
            for _ in 0..<count {
                guard let delta = reader.next(), let event = reader.next() else { throw CorruptState() }
                key = key &+ Int64(bitPattern: delta)
                entries.append(StateEntry(key: key, event: Int64(bitPattern: event)))
            }
            self = .leaf(entries)
        case 1:
            var children: [Child] = []
            children.reserveCapacity(StateTree.fanOut)
            for _ in 0..<StateTree.fanOut {
                guard let count = reader.next(), count <= UInt64(Int32.max) else { throw CorruptState() }
                guard count > 0 else {
                    children.append(.none)
                    continue
                }
                guard let name = reader.take(16), let root = StateRoot(name) else { throw CorruptState() }
                children.append(Child(root: root, count: Int(count)))
            }
            self = .branch(children)
        default:
            throw CorruptState()
        }
        guard reader.isAtEnd else { throw CorruptState() }
    }

    /// The name that follows from a node's bytes.
    static func root(of encoded: [UInt8]) -> StateRoot {
        StateRoot(SHA256.hash(encoded).prefix(16)) ?? .empty
    }
}

/// A state key's number and the number of the event that holds it.
public struct StateEntry: Sendable, Hashable {
    /// `key_nid`
    public var key: Int64
    /// `event_nid`
    public var event: Int64

    /// Makes an entry.
    public init(key: Int64, event: Int64) {
        self.key = key
        self.event = event
    }
}

/// A state node is missing or unreadable: the database was damaged.
public struct CorruptState: Error, Sendable, Equatable {
    /// Makes the error.
    public init() {}
}
