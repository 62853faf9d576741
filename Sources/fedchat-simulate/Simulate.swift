import ArgumentParser
import Foundation
import Simulation

/// Runs federations from seeds. The status is 0 when all went well, 1 when something was found, 2 for wrong usage.
@main struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fedchat-simulate",
        abstract: "Runs whole federations in one process, each from a seed, and looks for what must not be.",
        discussion: """
            A seed that fails is printed; run with the same seed and options, it does the same again, event for event.
            """,
        version: "0.1.0")

    @Option(help: "One seed.") var seed: UInt64?
    @Option(help: "Seeds, and ranges of which both ends count: 1..8,57.") var seeds: String?
    @Option(name: .customLong("for"), help: "Fresh seeds for so long: 30s, 3m, 2h.") var time: String?
    @Option(help: "With --for, the first of these, instead of one by chance; the others follow.") var from: UInt64?
    @Option(help: "Homeservers, instead of what the seed chooses.") var servers: Int?
    @Option(help: "Users of each.") var users: Int?
    @Option(help: "Servers that mean harm.") var byzantine: Int?
    @Option(help: "Rooms.") var rooms: Int?
    @Option(help: "What the users do, all together.") var steps: Int?
    @Flag(help: "A good network, and no crashes.") var noFaults = false
    @Flag(help: "Nobody syncs: a seed does what it did before anybody could.") var noSyncs = false
    @Option(
        help: "Something wrong on purpose: \(Self.sabotages.joined(separator: ", ")).",
        transform: Self.sabotage)
    var sabotage: SimulationPlan.Sabotage?
    @Option(
        help: "All that hostile servers do: \(Self.attacks.joined(separator: ", ")).", transform: Self.attack)
    var attack: SimulationPlan.Attack?
    @Option(help: "Versions that rooms may have, instead of 12,12,11,10,6,1; one named twice is chosen more often.")
    var roomVersions: String?
    @Option(help: "MiB of memory that a seed may take, instead of what its size allows.") var memory: Int?
    @Flag(help: "An object of JSON for each seed.") var json = false
    @Option(help: "Writes what happened to a file, a line each; for one seed.") var trace: String?
    @Flag(help: "Goes on after a seed that fails.") var keepGoing = false
    @Flag(help: "Leaves the order of dictionaries to chance: the verdict must be the same, the trace need not.")
    var randomHashing = false

    static func main() {
        do {
            let command = try parse()
            if !command.randomHashing { Reexecution.withDeterministicHashing() }
            Foundation.exit(try command.runAll() ? 0 : 1)
        } catch {
            let status = exitCode(for: error) == .success ? 0 : 2
            let text = fullMessage(for: error)
            if status == 0 { print(text) } else { FileHandle.standardError.write(Data((text + "\n").utf8)) }
            Foundation.exit(Int32(status))
        }
    }

    func validate() throws {
        guard [seed != nil, seeds != nil, time != nil].count(where: { $0 }) == 1 else {
            throw ValidationError("Give one of --seed, --seeds and --for.")
        }
        guard from == nil || time != nil else { throw ValidationError("--from is for --for.") }
        guard trace == nil || seed != nil else { throw ValidationError("--trace is for one --seed.") }
        for (name, value) in [("servers", servers), ("users", users), ("rooms", rooms), ("steps", steps)] {
            guard value.map({ (1...10_000).contains($0) }) ?? true else {
                throw ValidationError("--\(name) is a number from 1.")
            }
        }
        guard memory.map({ $0 > 0 }) ?? true else { throw ValidationError("--memory is a number from 1.") }
        guard byzantine.map({ (0...100).contains($0) }) ?? true else {
            throw ValidationError("--byzantine is a number from 0.")
        }
        guard versions?.allSatisfy({ (1...12).map(String.init).contains($0) }) ?? true else {
            throw ValidationError("--room-versions is versions from 1 to 12: 1,2,12.")
        }
        _ = try chosen()
        _ = try duration()
    }

    /// Gives whether all seeds were good.
    private func runAll() throws -> Bool {
        var summary = Summary(memory: MemoryBound(given: memory))
        if let end = try duration().map({ ContinuousClock.now + $0 }) {
            var next = from ?? UInt64.random(in: 1...(1 << 40))
            if !json { print("seeds from \(next) on") }
            while ContinuousClock.now < end, keepGoing || summary.failed.isEmpty {
                try one(next, &summary)
                next &+= 1
            }
        } else {
            for seed in try chosen() where keepGoing || summary.failed.isEmpty { try one(seed, &summary) }
        }
        summary.show(asJSON: json)
        return summary.failed.isEmpty
    }

    private func one(_ seed: UInt64, _ summary: inout Summary) throws {
        MemoryBound.begin()
        let outcome = Simulation.run(plan(seed))
        summary.add(outcome, asJSON: json)
        if let trace {
            try (outcome.trace.joined(separator: "\n") + "\n").write(toFile: trace, atomically: true, encoding: .utf8)
        }
    }

    private func plan(_ seed: UInt64) -> SimulationPlan {
        var plan = SimulationPlan(seed: seed)
        if let servers { plan.servers = servers }
        if let users { plan.users = users }
        if let byzantine { plan.byzantine = byzantine }
        if let rooms { plan.rooms = rooms }
        if let steps { plan.steps = steps }
        if noFaults { plan.hasFaults = false }
        if noSyncs { plan.syncs = false }
        plan.sabotage = sabotage
        plan.attack = attack
        if let versions { plan.roomVersions = versions }
        plan.keepsTrace = trace != nil
        return plan
    }

    private func chosen() throws -> [UInt64] {
        if let seed { return [seed] }
        var chosen: [UInt64] = []
        for part in seeds?.components(separatedBy: ",") ?? [] {
            let ends = part.components(separatedBy: "..").compactMap { UInt64($0) }
            guard let first = ends.first, let last = ends.last, ends.count <= 2, first <= last, last - first < 1_000_000
            else { throw ValidationError("--seeds is numbers and ranges of them: 1..100,1234.") }
            chosen += first...last
        }
        return chosen
    }

    private func duration() throws -> Duration? {
        guard let time else { return nil }
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3_600]
        guard let unit = time.last.flatMap({ units[$0] }), let count = Int(time.dropLast()), count > 0,
            count <= 1_000_000
        else { throw ValidationError("--for is a number and s, m or h: 3m.") }
        return .seconds(count * unit)
    }

    private var versions: [String]? { roomVersions?.components(separatedBy: ",") }

    private static let attacks = SimulationPlan.Attack.allCases.map(\.rawValue)

    private static func attack(_ text: String) throws -> SimulationPlan.Attack {
        guard let known = SimulationPlan.Attack(rawValue: text) else {
            throw ValidationError("There is no such attack: \(text)")
        }
        return known
    }

    private static let sabotages = SimulationPlan.Sabotage.allCases.map(\.rawValue)

    private static func sabotage(_ text: String) throws -> SimulationPlan.Sabotage {
        guard let known = SimulationPlan.Sabotage(rawValue: text) else {
            throw ValidationError("There is no such sabotage: \(text)")
        }
        return known
    }
}
