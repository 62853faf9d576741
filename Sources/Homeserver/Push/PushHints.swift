internal import Synchronization

/// What is known of pushers that are to be looked at: where something happened.
final class PushHints: Sendable {
    /// Where to look for one pusher.
    struct Hint: Sendable {
        /// The rooms that have something new; nil when that is not known.
        var rooms: Set<Int64>?
        /// Whether the unread count may have changed.
        var checksBadge: Bool
        /// The position of the stream `events` up to which the rooms are known. What lies behind it comes with another hint.
        var upTo: Int64 = 0

        mutating func add(_ other: Hint) {
            checksBadge = checksBadge || other.checksBadge
            upTo = max(upTo, other.upTo)
            guard let own = rooms, let more = other.rooms, own.count + more.count <= PushLimits.roomsPerHint else {
                rooms = nil
                return
            }
            rooms = own.union(more)
        }
    }

    private struct State {
        var hints: [Int64: Hint] = [:]
        /// How far each pusher was looked through in this process, for those that were sent nothing since.
        var looked: [Int64: Int64] = [:]
        /// What of that is not written down.
        var unsaved: Set<Int64> = []
        /// Pushers that could not be looked at, through no fault of a gateway.
        var troubles: [Int64: Trouble] = [:]
    }

    private struct Trouble {
        var failures: Int
        /// Left alone until this monotonic time.
        var until: Duration
    }

    private let state = Mutex(State())

    /// Adds a hint. Returns false when there are too many: then all must be looked through.
    func add(_ hint: Hint, for pusher: Int64) -> Bool {
        state.withLock { state in
            if state.hints[pusher] == nil, state.hints.count >= PushLimits.hints { return false }
            state.hints[pusher, default: .init(rooms: [], checksBadge: false)].add(hint)
            return true
        }
    }

    /// Takes a pusher's hint.
    func take(_ pusher: Int64) -> Hint? { state.withLock { $0.hints.removeValue(forKey: pusher) } }

    /// The pushers that have hints and are not left alone.
    /// - Parameter now: a monotonic time.
    func waiting(at now: Duration) -> [Int64] {
        state.withLock { state in
            guard !state.troubles.isEmpty else { return Array(state.hints.keys) }
            return state.hints.keys.filter { pusher in state.troubles[pusher].map { $0.until <= now } ?? true }
        }
    }

    /// Whether a pusher is left alone.
    func isPaused(_ pusher: Int64, at now: Duration) -> Bool {
        state.withLock { $0.troubles[pusher].map { $0.until > now } ?? false }
    }

    /// Leaves a pusher alone that could not be looked at.
    /// - Parameter pause: how long, in milliseconds, after so many failures before.
    func failed(_ pusher: Int64, now: Duration, pause: (Int) -> Int64) {
        state.withLock { state in
            if state.troubles[pusher] == nil, state.troubles.count >= PushLimits.hints { state.troubles.removeAll() }
            let failures = state.troubles[pusher]?.failures ?? 0
            state.troubles[pusher] = Trouble(failures: failures + 1, until: now + .milliseconds(pause(failures)))
        }
    }

    /// A pusher was looked at.
    func succeeded(_ pusher: Int64) { state.withLock { $0.troubles[pusher] = nil } }

    /// How far a pusher was looked through.
    func looked(_ pusher: Int64) -> Int64? { state.withLock { $0.looked[pusher] } }

    /// Notes how far a pusher was looked through; whether it is known elsewhere already.
    func note(_ pusher: Int64, lookedUpTo position: Int64, isSaved: Bool) {
        state.withLock { state in
            if state.looked.count >= PushLimits.hints { state.looked.removeAll() }
            state.looked[pusher] = position
            if isSaved { state.unsaved.remove(pusher) } else { state.unsaved.insert(pusher) }
        }
    }

    /// A pusher that is gone, or must be looked through anew.
    func forget(_ pusher: Int64) {
        state.withLock { state in
            state.looked[pusher] = nil
            state.unsaved.remove(pusher)
        }
    }

    /// Everything must be looked through anew.
    func forgetAll() {
        state.withLock { state in
            state.looked.removeAll()
            state.unsaved.removeAll()
        }
    }

    /// What is to be written down.
    func takeUnsaved() -> [(nid: Int64, position: Int64)] {
        state.withLock { state in
            defer { state.unsaved.removeAll() }
            return state.unsaved.compactMap { nid in state.looked[nid].map { (nid, $0) } }
        }
    }
}
