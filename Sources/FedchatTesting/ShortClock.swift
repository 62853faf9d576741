/// A clock whose pauses are a hundredth of what is asked. Deadlines of whole operations stay: they are long enough for a slow
/// machine.
public struct ShortClock: Clock {
    public typealias Duration = Swift.Duration

    private let clock = ContinuousClock()

    public init() {}

    public var now: ContinuousClock.Instant { clock.now }
    public var minimumResolution: Duration { clock.minimumResolution }

    public func sleep(until deadline: ContinuousClock.Instant, tolerance: Duration?) async throws {
        let wait = clock.now.duration(to: deadline)
        try await clock.sleep(for: wait >= .seconds(14) ? wait : wait / 100)
    }
}
