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

    /// The pushers that have hints.
    var waiting: [Int64] { state.withLock { Array($0.hints.keys) } }

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
