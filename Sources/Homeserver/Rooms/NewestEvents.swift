internal import HomeserverStorage

/// A room's newest events while its events are gone through as they came.
struct NewestEvents {
    private var newest: [Int64: (depth: Int64, state: StateRoot)] = [:]
    /// How many of them each state comes after.
    private var counts: [StateRoot: Int] = [:]
    private var followed: Set<Int64> = []

    /// Takes in the next event.
    /// - Parameters:
    ///   - state: that after it; one that is not known counts for nothing.
    ///   - behind: the numbers of the events that it follows, also by way of withheld ones.
    mutating func take(_ nid: Int64, depth: Int64, state: StateRoot?, following behind: Set<Int64>) {
        for earlier in behind { remove(earlier) }
        followed.formUnion(behind)
        guard let state, newest[nid] == nil, !followed.contains(nid) else { return }
        newest[nid] = (depth, state)
        counts[state, default: 0] += 1
    }

    /// Lets go of all but some.
    mutating func forget(allBut kept: Set<Int64>) {
        for nid in newest.keys where !kept.contains(nid) { remove(nid) }
    }

    private mutating func remove(_ nid: Int64) {
        guard let state = newest.removeValue(forKey: nid)?.state else { return }
        let count = (counts[state] ?? 1) - 1
        counts[state] = count > 0 ? count : nil
    }

    /// The different states after them: where these are more than `limit`, those after the deepest so many events.
    func states(limit: Int) -> Set<StateRoot> {
        guard counts.count > limit else { return Set(counts.keys) }
        let deepest = newest.sorted { ($0.value.depth, $0.key) > ($1.value.depth, $1.key) }
        return Set(deepest.prefix(limit).map(\.value.state))
    }
}
