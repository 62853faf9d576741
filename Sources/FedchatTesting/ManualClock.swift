import Synchronization

/// A clock that stands still until a test moves it. Whoever sleeps wakes when its hour has come.
public final class ManualClock: Clock {
    /// A point in time, as the time since the clock was made.
    public struct Instant: InstantProtocol {
        /// Since the clock was made.
        public let offset: Duration

        public func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
        public func duration(to other: Instant) -> Duration { other.offset - offset }
        public static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
    }

    private struct Sleeper {
        let deadline: Instant
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now = Instant(offset: .zero)
        var nextID = 0
        var sleepers: [Int: Sleeper] = [:]
        /// Sleepers that were canceled before they lay down.
        var canceled: Set<Int> = []
    }

    private let state = Mutex(State())
    /// What `milliseconds` says at the start.
    private let startMilliseconds: Int64

    /// - Parameter startMilliseconds: the time of day at the start, in milliseconds since 1970.
    public init(startMilliseconds: Int64 = 1_700_000_000_000) { self.startMilliseconds = startMilliseconds }

    /// Where the clock stands.
    public var now: Instant { state.withLock { $0.now } }
    public var minimumResolution: Duration { .nanoseconds(1) }

    /// The time of day, in milliseconds since 1970.
    public var milliseconds: Int64 {
        let (seconds, attoseconds) = now.offset.components
        return startMilliseconds + seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }

    /// How many sleep.
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// Moves the clock, and wakes those whose hour has come, the earliest first.
    public func advance(by duration: Duration) {
        let woken = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let due = state.sleepers.filter { $0.value.deadline <= state.now }
            for id in due.keys { state.sleepers[id] = nil }
            return due.sorted { ($0.value.deadline.offset, $0.key) < ($1.value.deadline.offset, $1.key) }
        }
        for (_, sleeper) in woken { sleeper.continuation.resume() }
    }

    /// Moves the clock to the earliest hour that somebody sleeps for, and wakes who sleeps for it. False when nobody sleeps.
    public func advanceToNextSleeper() -> Bool {
        let left = state.withLock { state in
            state.sleepers.values.map(\.deadline).min().map { max(.zero, state.now.duration(to: $0)) }
        }
        guard let left else { return false }
        advance(by: left)
        return true
    }

    /// Waits until a test has moved the clock so far. Throws `CancellationError`.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Void, any Error>? = state.withLock { state in
                    if state.canceled.remove(id) != nil { return .failure(CancellationError()) }
                    if deadline <= state.now { return .success(()) }
                    state.sleepers[id] = Sleeper(deadline: deadline, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                let sleeper = state.sleepers.removeValue(forKey: id)
                if sleeper == nil { state.canceled.insert(id) }
                return sleeper
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }
}
