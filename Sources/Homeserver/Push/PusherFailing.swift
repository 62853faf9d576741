internal import Cryptography
internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// What becomes of a pusher that fails: it waits, longer each time, and in the end what it did not tell is given up.
struct PusherFailing: Sendable {
    enum Prospect: Sendable {
        case again, hopeless
    }

    /// Where the failure is this server's own, pushers wait no longer than this, in milliseconds.
    private static let longestOfOurs: Int64 = 60_000

    let environment: Environment

    /// Notes that a pusher failed.
    /// - Parameters:
    ///   - position: everything up to it was looked at, and is given up when there is no hope.
    ///   - retryAfter: the milliseconds for which the other side wants to be left alone.
    /// - Throws: `DatabaseError`.
    func note(_ pusher: Pusher, upTo position: Int64, retryAfter: Int64 = 0) async throws -> Prospect {
        let timeouts = environment.configuration.timeouts
        let now = environment.clock.now()
        let maximum = timeouts.pushBackoffMaximum
        let dueAt = now + max(pause(failures: pusher.failures, maximum: maximum), min(retryAfter, maximum))
        let isHopeless = pusher.failingSince.map { now - $0 > timeouts.pushGiveUp } ?? false
        try await environment.database.groupedWrite { connection in
            let store = PusherStore(connection)
            if isHopeless {
                try store.gaveUp(pusher.nid, upTo: position, dueAt: dueAt)
            } else {
                try store.failed(pusher.nid, now: now, dueAt: dueAt)
            }
        }
        return isHopeless ? .hopeless : .again
    }

    /// How long to wait where this server could not do its own part, in milliseconds.
    func pauseOfOurs(failures: Int) -> Int64 { pause(failures: failures, maximum: Self.longestOfOurs) }

    private func pause(failures: Int, maximum: Int64) -> Int64 {
        Backoff(maximum: maximum, grows: true).pause(
            failures: failures, chance: environment.random.bytes(1).first ?? 128)
    }
}
