import FedchatTesting
import Testing

@Suite("Test support") struct TestSupportTests {
    @Test func `a seed gives the same bytes`() {
        let (one, same, other) = (SeededRandomSource(seed: 1), SeededRandomSource(seed: 1), SeededRandomSource(seed: 2))
        let bytes = one.bytes(37)
        #expect(bytes.count == 37)
        #expect(same.bytes(37) == bytes)
        #expect(other.bytes(37) != bytes)
        #expect(one.bytes(37) != bytes)
    }

    @Test func `a clock moves when it is told to`() async throws {
        let clock = ManualClock(startMilliseconds: 1_000)
        #expect(clock.milliseconds == 1_000)
        async let sleeper: Void = clock.sleep(for: .seconds(5))
        while clock.sleeperCount == 0 { await Task.yield() }
        clock.advance(by: .seconds(4))
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .seconds(1))
        try await sleeper
        #expect(clock.milliseconds == 6_000)
        try await clock.sleep(for: .zero)
    }

    @Test func `a canceled sleeper wakes`() async {
        let clock = ManualClock()
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    try await clock.sleep(for: .seconds(5))
                    return false
                } catch {
                    return error is CancellationError
                }
            }
            group.cancelAll()
            for await wasCanceled in group { #expect(wasCanceled) }
        }
        #expect(clock.sleeperCount == 0)
    }
}
