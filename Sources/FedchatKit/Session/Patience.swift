/// What was tried in vain, and when it may be tried again: after 15 seconds, twice as long each time, up to an hour.
struct Patience<Key: Hashable & Sendable>: Sendable {
    private var tried: [Key: (failures: Int, due: ContinuousClock.Instant)] = [:]

    /// Whether it may be tried now; then the next time comes later.
    mutating func allows(_ key: Key, at now: ContinuousClock.Instant = .now) -> Bool {
        let failures = tried[key]?.failures ?? 0
        if let due = tried[key]?.due, due > now { return false }
        if tried.count >= ClientLimits.triedKeys { tried = [:] }
        let pause = min(ClientLimits.keyPause * (1 << min(failures, 10)), ClientLimits.longestKeyPause)
        tried[key] = (failures + 1, now + pause)
        return true
    }

    /// It has been found.
    mutating func forget(_ key: Key) { tried[key] = nil }
}
