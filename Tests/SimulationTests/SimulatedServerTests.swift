import FedchatTesting
import MatrixModel
import SQLDatabase
import Testing

@testable import Simulation

/// A server of the simulation, as it lives and crashes.
@Suite("Simulated servers") struct SimulatedServerTests {
    private struct Outcome: Sendable {
        var findings: [String] = []
        var crashes = 0
        /// Tables seen before the crash.
        var tables: Int64?
        var isClosed = false
    }

    /// Seed 1079504390153 once found a server "still in memory" that crashed while a check which had looked at it spoke with it.
    @Test func `who looks at a server does not keep it in memory when it crashes`() async throws {
        let outcome = try await onOwnThread { Result { try Self.lookBeyondACrash() } }.get()
        #expect(outcome.findings == [])
        #expect(outcome.crashes == 1)
        #expect(outcome.tables ?? 0 > 10)
        #expect(outcome.isClosed)
    }

    /// Keeps what is looked at from before a crash until after the next start.
    private static func lookBeyondACrash() throws -> Outcome {
        var plan = SimulationPlan(seed: 1)
        plan.hasFaults = false
        let clock = ManualClock()
        let chance = Chance(seed: plan.seed)
        let world = World(plan, clock: clock, chance: chance)
        let server = try SimulatedServer(ServerName("a.test"), in: world, chance: chance.fork())
        server.calm()
        var outcome = try SeededExecutor(seed: plan.seed, clock: clock).run {
            await withTaskGroup(of: Void.self) { group in
                var outcome = Outcome()
                group.addTask { await server.run() }
                while !server.isUp { await world.sleep(.milliseconds(10)) }
                let database = server.database
                outcome.tables = await tables(of: database)
                server.crash()
                while server.isUp { await world.sleep(.milliseconds(10)) }
                while !server.isUp { await world.sleep(.milliseconds(10)) }
                outcome.isClosed = await tables(of: database) == nil
                server.stop()
                await group.waitForAll()
                return outcome
            }
        }
        outcome.findings = world.records.findings
        outcome.crashes = world.records.counts.crashes
        return outcome
    }

    /// `nil` when it does not answer.
    private static func tables(of database: (any Database)?) async -> Int64? {
        try? await database?.read { connection in
            try connection.query("SELECT COUNT(*) FROM sqlite_master WHERE type = 'table'").first?.integer(0)
        }
    }
}
