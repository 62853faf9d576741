private import Glibc

/// Time as the server sees it. Deadlines use `monotonic`, so that a jump of the wall clock does no harm.
public protocol ServerClock: Sendable {
    /// The wall clock: milliseconds since 1970, UTC.
    func now() -> Int64
    /// Time since some fixed moment; never goes back.
    func monotonic() -> Duration
    /// Waits. Throws `CancellationError` when the task is cancelled.
    func sleep(for duration: Duration) async throws
}

extension ServerClock {
    /// Does the work at once and after every pause, until the task is cancelled.
    func every(_ pause: Duration, _ work: () async -> Void) async {
        while !Task.isCancelled {
            await work()
            do { try await sleep(for: pause) } catch { return }
        }
    }
}

/// The machine's clocks.
public struct SystemClock: ServerClock {
    private static let start = ContinuousClock.now

    public init() { _ = Self.start }

    public func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    public func monotonic() -> Duration { Self.start.duration(to: .now) }

    public func sleep(for duration: Duration) async throws { try await ContinuousClock().sleep(for: duration) }
}
