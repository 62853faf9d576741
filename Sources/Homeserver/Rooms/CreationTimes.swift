internal import Synchronization

/// The times of create events. A room of version 12 is named by its create event's hash: two rooms that one user makes alike
/// within one millisecond would be one room, so no time is given out twice on this node.
final class CreationTimes: Sendable {
    private let last = Mutex<Int64>(0)

    /// Now, or the next millisecond that nobody had. Milliseconds since 1970.
    func next(now: Int64) -> Int64 {
        last.withLock { last in
            last = max(now, last + 1)
            return last
        }
    }
}
