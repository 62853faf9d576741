internal import Synchronization

/// Who is being worked for: each name once at a time, at most so many at once. Who asks while at work gets another turn
/// afterwards, who finds no place waits for one, so no request is lost. Names that are known to be slow get at most half of
/// the places: a thousand dead servers do not keep the living ones waiting.
final class WorkTurns: Sendable {
    private struct State {
        var active: Set<String> = []
        var activeSlow: Set<String> = []
        /// Active names that were asked for again.
        var again: Set<String> = []
        var slow: Set<String> = []
        var waiting: [String] = []
        var waitingSlow: [String] = []
        var isWaiting: Set<String> = []
    }

    /// Names that wait or are known to be slow; what is dropped is found again by looking in the database.
    private static let maximumNames = 20_000

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = max(2, limit) }

    /// Asks for a turn. `true`: it begins now, and ends with `end`.
    func begin(_ name: String) -> Bool {
        state.withLock { state in
            if state.active.contains(name) {
                state.again.insert(name)
                return false
            }
            let isSlow = state.slow.contains(name)
            guard state.active.count < limit, !isSlow || state.activeSlow.count < limit / 2 else {
                guard state.isWaiting.count < Self.maximumNames, state.isWaiting.insert(name).inserted else {
                    return false
                }
                if isSlow { state.waitingSlow.append(name) } else { state.waiting.append(name) }
                return false
            }
            state.active.insert(name)
            if isSlow { state.activeSlow.insert(name) }
            return true
        }
    }

    /// Ends a turn. Returns who is to ask for one now.
    func end(_ name: String) -> [String] {
        state.withLock { state in
            state.active.remove(name)
            state.activeSlow.remove(name)
            var next = state.again.remove(name).map { [$0] } ?? []
            if !state.waiting.isEmpty { next.append(state.waiting.removeFirst()) }
            if !state.waitingSlow.isEmpty, state.activeSlow.count < limit / 2 {
                next.append(state.waitingSlow.removeFirst())
            }
            state.isWaiting.subtract(next)
            return next
        }
    }

    /// The names that have their turn now.
    var active: [String] { state.withLock { Array($0.active) } }

    /// Notes whether a name is slow.
    func note(_ name: String, isSlow: Bool) {
        state.withLock { state in
            guard isSlow else {
                state.slow.remove(name)
                return
            }
            if state.slow.count >= Self.maximumNames { state.slow.removeAll() }
            state.slow.insert(name)
        }
    }
}
