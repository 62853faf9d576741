import MatrixModel
import Synchronization

/// How soon a message that is sent is in the syncs that wait for it.
enum Listening {
    private struct Counts {
        var sent: [String: ContinuousClock.Instant] = [:]
        var received: [Duration] = []
        var ready = 0
        var isOver = false
    }

    /// What the sender and the listeners tell each other.
    private final class Arrivals: Sendable {
        private let counts = Mutex(Counts())

        func withLock<Result: Sendable>(_ body: (inout Counts) -> Result) -> Result {
            counts.withLock { body(&$0) }
        }
    }

    /// From the request to send until the sync of each listener has come back with the message.
    /// - Parameter listening: the server of the listeners, where that is another one.
    static func measure(
        _ name: String, _ target: Target, room: String, sender: Target.User, listeners: [Target.User], messages: Int,
        on listening: Target? = nil
    ) async throws -> [Measurement] {
        let arrivals = Arrivals()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for listener in listeners {
                group.addTask { try await listen(listening ?? target, listener, room, arrivals) }
            }
            group.addTask {
                while arrivals.withLock({ $0.ready }) < listeners.count { try await Task.sleep(for: .milliseconds(10)) }
                try await Task.sleep(for: .milliseconds(300))
                let run = "\(ContinuousClock.now)".hashValue
                for number in 0..<messages {
                    let text = "listen \(run) \(number)"
                    arrivals.withLock { $0.sent[text] = .now }
                    try await target.send(text, to: room, by: sender, transaction: "l\(run)-\(number)")
                    try await waitForAll(arrivals, (number + 1) * listeners.count)
                    // The listeners begin their next sync.
                    try await Task.sleep(for: .milliseconds(listeners.count > 1 ? 100 : 20))
                }
                arrivals.withLock { $0.isOver = true }
                // One message more ends the syncs that wait.
                try await target.send("end", to: room, by: sender, transaction: "l\(run)-end")
            }
            try await group.waitForAll()
        }
        return Measurement.latencies(name, arrivals.withLock { $0.received })
    }

    private static func waitForAll(_ arrivals: Arrivals, _ count: Int) async throws {
        let deadline = ContinuousClock.now + BenchLimits.arrival
        while arrivals.withLock({ $0.received.count }) < count {
            guard ContinuousClock.now < deadline else { throw BenchFailure("a message did not arrive") }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private static func listen(
        _ target: Target, _ listener: Target.User, _ room: String, _ arrivals: Arrivals
    ) async throws {
        var since = try await target.sync(listener, since: nil, timeout: 0).next
        // What is still on its way of the preparations comes first.
        since = try await target.sync(listener, since: since, timeout: 0).next
        arrivals.withLock { $0.ready += 1 }
        while !arrivals.withLock({ $0.isOver }) {
            let (next, answer) = try await target.sync(listener, since: since, timeout: 30_000)
            let now = ContinuousClock.now
            since = next
            for event in answer["rooms"]?["join"]?[room]?["timeline"]?["events"]?.elements ?? [] {
                guard let text = event["content"]?["body"]?.string else { continue }
                arrivals.withLock { arrivals in
                    if let sent = arrivals.sent[text] { arrivals.received.append(now - sent) }
                }
            }
        }
    }
}
