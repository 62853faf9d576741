internal import MatrixModel
internal import Synchronization

/// EDUs that may be lost: typing, receipts, presence. Held in memory per destination, a newer one in the place of the
/// older of its key, and bounded.
final class EphemeralEDUs: Sendable {
    struct Waiting: Sendable {
        var key: String
        /// The EDU's JSON object.
        var body: [UInt8]
        /// Monotonic.
        var since: Duration
    }

    static let perDestination = 100
    static let destinations = 5_000
    /// Older ones say nothing anymore.
    static let age = Duration.seconds(60)

    private let waiting = Mutex<[String: [Waiting]]>([:])

    func add(_ body: [UInt8], key: String, to destination: String, at now: Duration) {
        waiting.withLock { waiting in
            if waiting[destination] == nil, waiting.count >= Self.destinations { return }
            var list = waiting[destination] ?? []
            list.removeAll { $0.key == key || now - $0.since > Self.age }
            if list.count >= Self.perDestination { list.removeFirst() }
            list.append(Waiting(key: key, body: body, since: now))
            waiting[destination] = list
        }
    }

    /// Takes the oldest ones out.
    func take(_ destination: String, limit: Int, at now: Duration) -> [Waiting] {
        waiting.withLock { waiting in
            guard let list = waiting.removeValue(forKey: destination) else { return [] }
            let fresh = list.filter { now - $0.since <= Self.age }
            if fresh.count > limit { waiting[destination] = Array(fresh.dropFirst(limit)) }
            return Array(fresh.prefix(limit))
        }
    }

    /// For whom something waits.
    var destinations: [String] { waiting.withLock { Array($0.keys) } }

    func waits(for destination: String) -> Bool { waiting.withLock { $0[destination] != nil } }

    /// Forgets what waits for a destination that does not answer.
    func drop(_ destination: String) { waiting.withLock { _ = $0.removeValue(forKey: destination) } }
}
