internal import Synchronization

/// Immutable values by key, bounded by their cost in bytes. Two generations: what is used moves to the young one; when
/// that has half of the budget the old one is dropped.
public final class BoundedCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Generations {
        var young: [Key: (value: Value, cost: Int)] = [:]
        var old: [Key: (value: Value, cost: Int)] = [:]
        var youngCost = 0

        mutating func put(_ key: Key, _ value: Value, cost: Int, half: Int) {
            if let previous = young.updateValue((value, cost), forKey: key) { youngCost -= previous.cost }
            youngCost += cost
            guard youngCost > half else { return }
            old = young
            young = [:]
            youngCost = 0
        }
    }

    private let half: Int
    private let generations = Mutex(Generations())

    /// A cache of at most `budget` bytes, as the costs say.
    public init(budget: Int) { half = budget / 2 }

    /// What is kept for a key.
    public func value(_ key: Key) -> Value? {
        generations.withLock { generations in
            if let entry = generations.young[key] { return entry.value }
            guard let entry = generations.old.removeValue(forKey: key) else { return nil }
            generations.put(key, entry.value, cost: entry.cost, half: half)
            return entry.value
        }
    }

    /// Keeps a value of `cost` bytes.
    public func put(_ key: Key, _ value: Value, cost: Int) {
        guard cost <= half else { return }
        generations.withLock { $0.put(key, value, cost: cost, half: half) }
    }

    /// Forgets a key.
    public func remove(_ key: Key) {
        generations.withLock { generations in
            if let entry = generations.young.removeValue(forKey: key) { generations.youngCost -= entry.cost }
            generations.old[key] = nil
        }
    }

    /// Forgets all.
    public func removeAll() { generations.withLock { $0 = Generations() } }
}
