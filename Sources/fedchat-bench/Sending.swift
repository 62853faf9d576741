import Synchronization

/// Messages a second: each sender sends the next message when the one before is answered.
enum Sending {
    /// What the senders of one measurement have in common.
    private final class Tally: Sendable {
        private let counts = Mutex((sent: 0, failures: [String]()))

        var goesOn: Bool {
            counts.withLock { $0.sent < BenchLimits.messages && $0.failures.count < BenchLimits.failures }
        }
        var failures: [String] { counts.withLock { $0.failures } }

        func sent() { counts.withLock { $0.sent += 1 } }
        func failed(_ cause: String) { counts.withLock { $0.failures.append(cause) } }
    }

    /// Sends for a time. Every sender has a room of its own, or all have the same.
    static func measure(
        _ name: String, _ server: Server, _ senders: [(sender: Target.User, room: String)], for time: Duration
    ) async throws -> [Measurement] {
        let target = server.target
        let processor = server.processorSeconds()
        let start = ContinuousClock.now
        let deadline = start + time
        let tally = Tally()
        let run = "\(start)".hashValue
        let latencies = await withTaskGroup(of: [Duration].self) { group in
            for (number, (sender, room)) in senders.enumerated() {
                group.addTask {
                    var latencies: [Duration] = []
                    var count = 0
                    while ContinuousClock.now < deadline, tally.goesOn {
                        let before = ContinuousClock.now
                        do {
                            try await target.send(
                                "message \(count) of sender \(number)", to: room, by: sender,
                                transaction: "b\(run)-\(number)-\(count)")
                            latencies.append(ContinuousClock.now - before)
                            tally.sent()
                        } catch { tally.failed("\(error)") }
                        count += 1
                    }
                    return latencies
                }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        let failed = tally.failures
        if latencies.isEmpty { throw BenchFailure("no message was sent: \(failed.first ?? "")") }
        var found = [Measurement("\(name)", Double(latencies.count) / elapsed, "messages/s", .more)]
        found += Measurement.latencies(name, latencies)
        if let processor, let now = server.processorSeconds() {
            found.append(
                Measurement("\(name), CPU a message", (now - processor) / Double(latencies.count) * 1_000, "ms", .less))
        }
        if !failed.isEmpty { found.append(Measurement("\(name), failures", Double(failed.count), "", .less)) }
        return found
    }

    /// Sends so many messages, for what they leave on disk.
    static func send(_ count: Int, _ target: Target, _ room: String, by sender: Target.User) async throws {
        let run = "\(ContinuousClock.now)".hashValue
        try await Concurrently.each(count, atOnce: BenchLimits.preparing) { number in
            try await target.send(
                "message \(number), as long as people's messages are", to: room, by: sender,
                transaction: "d\(run)-\(number)")
        }
    }
}
