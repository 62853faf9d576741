internal import Synchronization

/// How many notifications are on their way to a gateway at once, so that one that is slow keeps no others waiting.
final class GatewayTurns: Sendable {
    private struct State {
        var active: [String: Int] = [:]
        var waiting: [String: [Int64]] = [:]
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = max(1, limit) }

    /// Asks for a place. Where there is none, the pusher is named by `end` when one is free.
    func begin(_ gateway: String, _ pusher: Int64) -> Bool {
        state.withLock { state in
            let active = state.active[gateway] ?? 0
            guard active >= limit else {
                state.active[gateway] = active + 1
                return true
            }
            // Who is not kept here is found by looking through all.
            let waiting = state.waiting[gateway] ?? []
            if state.waiting.count < PushLimits.gatewaysKept, waiting.count < PushLimits.page,
                !waiting.contains(pusher)
            {
                state.waiting[gateway] = waiting + [pusher]
            }
            return false
        }
    }

    /// Gives a place back. Returns the pusher to try now.
    func end(_ gateway: String) -> Int64? {
        state.withLock { state in
            let active = (state.active[gateway] ?? 1) - 1
            state.active[gateway] = active > 0 ? active : nil
            guard var waiting = state.waiting[gateway], !waiting.isEmpty else { return nil }
            let next = waiting.removeFirst()
            state.waiting[gateway] = waiting.isEmpty ? nil : waiting
            return next
        }
    }
}
