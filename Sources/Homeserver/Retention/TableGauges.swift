internal import HomeserverStorage
internal import Logging
internal import Metrics
internal import SQLDatabase

/// Keeps the metric `fedchat_table_rows`: about how many rows each table has. PostgreSQL knows that; on SQLite tables are
/// counted, the large ones seldom. Never while metrics are asked for.
struct TableGauges: Sendable {
    static let interval = Duration.seconds(300)
    /// A table on SQLite that is too large to be counted each time is counted so often.
    static let largeInterval = Duration.seconds(6 * 3_600)
    /// Between two tables, so that those who read get their turn.
    static let pause = Duration.milliseconds(20)

    let environment: Environment

    /// Runs until the task is cancelled.
    func run() async {
        var large: [String: Duration] = [:]
        while !Task.isCancelled {
            do {
                for (table, count) in try await look(&large) {
                    Meter(label: "fedchat_table_rows", dimensions: [("table", table)]).set(count)
                }
            } catch is CancellationError { return } catch {
                environment.logger.info("tables not counted", metadata: ["cause": "\(error)"])
            }
            do { try await environment.clock.sleep(for: Self.interval) } catch { return }
        }
    }

    /// Counts once. Tables that were counted lately, and are large, are absent from the answer.
    /// - Parameter large: when tables that are large were counted.
    func look(_ large: inout [String: Duration]) async throws -> [String: Int64] {
        var counts: [String: Int64] = [:]
        let database = environment.database
        let (names, estimates) = try await database.read { connection in
            let rows = TableRows(connection)
            return (try rows.names(), try rows.estimates())
        }
        for name in names {
            if let estimate = estimates[name] {
                counts[name] = estimate
                continue
            }
            let now = environment.clock.monotonic()
            if let counted = large[name], now - counted < Self.largeInterval { continue }
            var count = try await database.read { try TableRows($0).count(name, upTo: TableRows.countedAlways) }
            if count >= Int64(TableRows.countedAlways), database.dialect == .sqlite {
                large[name] = now
                count = try await database.read { try TableRows($0).count(name, upTo: nil) }
            } else {
                large[name] = nil
            }
            counts[name] = count
            try await environment.clock.sleep(for: Self.pause)
        }
        return counts
    }
}
