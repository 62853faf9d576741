internal import FedchatTesting
internal import MatrixModel
internal import SQLDatabase

/// Whether what servers keep stays within its bounds. Those by time are days, more than a run lasts: so each server starts
/// once more, with short ones, after all else was looked at, and must then take out what is older.
struct TableChecks: Sendable {
    /// How long cleaning may take, in virtual time: also a destination that pauses must have been tried again.
    private static let patience = Duration.seconds(15 * 60)
    private static let look = Duration.seconds(30)
    /// Clocks of servers differ by so much, and what is bounded by time may be so much older, milliseconds.
    private static let slack: Int64 = 10_000

    let world: World
    let cast: Cast

    func run() async {
        let restart = world.clock.milliseconds - Self.slack
        for server in cast.servers { server.tidy() }
        let end = world.clock.now.advanced(by: Self.patience)
        var excess: [String] = []
        repeat {
            await world.sleep(Self.look)
            excess = []
            for server in cast.servers { excess += await self.excess(of: server, olderThan: restart) }
        } while !excess.isEmpty && world.clock.now < end
        for text in excess { world.records.find(text) }
    }

    /// What a server has too much of, in words.
    private func excess(of server: SimulatedServer, olderThan time: Int64) async -> [String] {
        guard let database = server.database else {
            return ["\(server.name) is down, and its tables cannot be looked at"]
        }
        do {
            return try await database.peek { connection in
                try Self.bounds(olderThan: time).compactMap { bound in
                    let count = try connection.query(bound.count).first?.integer(0) ?? 0
                    return count > 0 ? "\(server.name) keeps too much: \(count) \(bound.what)" : nil
                }
            }
        } catch {
            return ["\(server.name): its tables cannot be looked at: \(error)"]
        }
    }

    /// A question that counts what is beyond a bound.
    private struct Bound {
        let what: String
        let count: SQL

        init(_ what: String, _ count: SQL) { (self.what, self.count) = (what, count) }
    }

    /// The bounds of `TableBounds` that a run comes to.
    private static func bounds(olderThan time: Int64) -> [Bound] {
        [
            Bound(
                "destinations with more than \(SimulatedServer.outboxPerDestination) PDUs in outbox",
                """
                SELECT COUNT(*) FROM (SELECT destination FROM outbox GROUP BY destination
                    HAVING COUNT(*) > \(SimulatedServer.outboxPerDestination))
                """),
            Bound(
                "EDUs in outbox_edus of which only the newest counts, and that wait twice",
                """
                SELECT COUNT(*) FROM (SELECT 1 FROM outbox_edus WHERE dedupe_key IS NOT NULL
                    GROUP BY destination, dedupe_key HAVING COUNT(*) > 1)
                """),
            Bound(
                "old EDUs in outbox_edus",
                "SELECT COUNT(*) FROM outbox_edus WHERE dedupe_key IS NULL AND created < \(time)"),
            Bound("events in inbound_staging", "SELECT COUNT(*) FROM inbound_staging"),
            Bound("old answers in reply_log", "SELECT COUNT(*) FROM reply_log WHERE created < \(time)"),
            Bound(
                "old answers in received_transactions",
                "SELECT COUNT(*) FROM received_transactions WHERE received < \(time)"),
            Bound("old ids in to_device_received", "SELECT COUNT(*) FROM to_device_received WHERE received < \(time)"),
            Bound(
                "users in presence who have long gone",
                "SELECT COUNT(*) FROM presence WHERE state = 'offline' AND seen < \(time)"),
            Bound(
                "sessions in uia_sessions that are over", "SELECT COUNT(*) FROM uia_sessions WHERE expires_ts < \(time)"
            ),
            Bound(
                "withheld messages in events",
                """
                SELECT COUNT(*) FROM events WHERE position IS NULL AND state_key IS NULL
                    AND origin_server_ts < \(time)
                """),
            Bound(
                "counts in unread_counts of who is not in the room",
                """
                SELECT COUNT(*) FROM unread_counts u WHERE NOT EXISTS (SELECT 1 FROM room_members m
                    WHERE m.room_nid = u.room_nid AND m.user_id = u.user_id AND m.membership = 'join')
                """),
        ]
    }
}
