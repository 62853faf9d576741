import FedchatTesting
import Foundation
import Simulation
import Testing

/// The simulation itself: it repeats, and it passes where all is well.
@Suite("Simulation", .serialized) struct SimulationTests {
    @Test func `two servers that nothing befalls agree`() async {
        var plan = SimulationPlan.small(1)
        plan.hasFaults = false
        let outcome = await Simulation.runApart(plan)
        #expect(outcome.findings == [])
        #expect(outcome.acknowledged > 20)
        #expect(outcome.crashes == 0 && outcome.partitions == 0)
    }

    /// Seed 3 once found that a server that had fallen behind never learned that its last user was removed.
    @Test func `a federation that much befalls is whole again`() async {
        let outcome = await Simulation.runApart(SimulationPlan(seed: 3))
        #expect(outcome.findings == [])
        #expect(outcome.acknowledged > 20)
        #expect(outcome.disturbed > 0)
        #expect(outcome.syncs > 20)
    }

    /// The program as it is run by hand; it starts itself again with deterministic hashing.
    private static func program(_ arguments: [String]) throws -> (status: Int32, outcome: [String: Any]) {
        let run = try ProgramRun.run(words(arguments + ["--json"]))
        let first = try #require(run.output.split(separator: "\n").first)
        let object = try JSONSerialization.jsonObject(with: Data(first.utf8)) as? [String: Any]
        return (run.status, try #require(object))
    }

    @Test func `a seed does the same again, event for event`() throws {
        let arguments = ["--seed", "11", "--steps", "60"]
        let first = try Self.program(arguments)
        let second = try Self.program(arguments)
        #expect(first.status == 0 && second.status == 0)
        #expect(first.outcome["trace_hash"] as? String == second.outcome["trace_hash"] as? String)
        #expect(first.outcome["crashes"] as? Int ?? 0 > 0)
        let other = try Self.program(["--seed", "12", "--steps", "60"])
        #expect(other.outcome["trace_hash"] as? String != first.outcome["trace_hash"] as? String)
    }

    @Test func `an attack does the same again, event for event`() throws {
        let arguments = [
            "--seed", "2", "--servers", "2", "--users", "1", "--steps", "15", "--byzantine", "1", "--attack",
            "one-id-two-rooms", "--rooms", "2", "--room-versions", "1,2",
        ]
        let (first, second) = (try Self.program(arguments), try Self.program(arguments))
        #expect(first.outcome["byzantine"] as? Int ?? 0 > 0)
        #expect(first.outcome["trace_hash"] as? String == second.outcome["trace_hash"] as? String)
        #expect(first.outcome["findings"] as? [String] == second.outcome["findings"] as? [String])
    }

    @Test func `fresh seeds are others each time, and each does the same again`() throws {
        let size = [
            "--servers", "1", "--users", "1", "--rooms", "1", "--steps", "5", "--byzantine", "0", "--no-faults",
        ]
        let (first, second) = (try Self.program(["--for", "1s"] + size), try Self.program(["--for", "1s"] + size))
        let seed = try #require(first.outcome["seed"] as? Int)
        #expect(second.outcome["seed"] as? Int != seed)
        let again = try Self.program(["--seed", String(seed)] + size)
        #expect(again.outcome["trace_hash"] as? String == first.outcome["trace_hash"] as? String)
        let told = try ProgramRun.run(Self.words(["--for", "1s", "--from", "77"] + size))
        #expect(told.output.hasPrefix("seeds from 77 on\nseed 77: "))
    }

    @Test func `the verdict does not hang on the order of dictionaries`() throws {
        let run = try Self.program(["--seed", "11", "--steps", "60", "--random-hashing"])
        #expect(run.status == 0 && run.outcome["good"] as? Bool == true)
        let broken = ["--seed", "2", "--steps", "40", "--no-faults", "--sabotage", "lost-outbox"]
        #expect(try Self.program(broken).status == 1)
        #expect(try Self.program(broken + ["--random-hashing"]).status == 1)
    }

    @Test func `tables beyond their bounds are found, each for itself`() async {
        var plan = SimulationPlan.small(1)
        plan.hasFaults = false
        plan.sabotage = .keptRows
        let found = await Simulation.runApart(plan).findings
        #expect(found.count == 2)
        #expect(found.contains { $0.hasPrefix("a.test keeps too much") && $0.hasSuffix("PDUs in outbox") })
        #expect(found.contains { $0.hasPrefix("a.test keeps too much") && $0.hasSuffix("answers in reply_log") })
    }

    @Test func `a seed that takes more memory than it may fails, and says so`() throws {
        let arguments = ["--seed", "1", "--servers", "2", "--steps", "20", "--no-faults"]
        let small = try Self.program(arguments + ["--memory", "8"])
        #expect(small.status == 1 && small.outcome["good"] as? Bool == false)
        #expect((small.outcome["findings"] as? [String])?.contains { $0.contains("MiB of memory") } == true)
        let usual = try Self.program(arguments)
        #expect(usual.status == 0)
        let peak = try #require(usual.outcome["peak_memory_kib"] as? Int)
        #expect(peak > 8 << 10)
    }

    @Test func `wrong usage is told apart from a finding`() throws {
        #expect(try ProgramRun.run(Self.words(["--seed", "x"])).status == 2)
        #expect(try ProgramRun.run(Self.words([])).status == 2)
        #expect(try ProgramRun.run(Self.words(["--seed", "1", "--room-versions", "1,x"])).status == 2)
        #expect(try ProgramRun.run(Self.words(["--seed", "1", "--attack", "none"])).status == 2)
        #expect(try ProgramRun.run(Self.words(["--help"])).status == 0)
    }

    private static func words(_ arguments: [String]) throws -> [String] {
        let folder = try #require(CommandLine.arguments.first.map { URL(filePath: $0).deletingLastPathComponent() })
        return [folder.appending(path: "fedchat-simulate").path] + arguments
    }
}

extension SimulationPlan {
    /// A small federation, for tests that only need one.
    static func small(_ seed: UInt64) -> SimulationPlan {
        var plan = SimulationPlan(seed: seed)
        plan.servers = 2
        plan.users = 2
        plan.rooms = 1
        plan.byzantine = 0
        plan.steps = 40
        return plan
    }
}

extension Simulation {
    /// Runs a plan on a thread of its own.
    static func runApart(_ plan: SimulationPlan) async -> SimulationOutcome { await onOwnThread { run(plan) } }
}
