import Foundation
import Simulation

/// Adds up what runs gave, and shows it: a line for each seed, and one at the end.
struct Summary {
    private(set) var failed: [UInt64] = []
    private var seeds = 0
    private var events = 0
    private var acknowledged = 0
    private var partitions = 0
    private var crashes = 0
    private var byzantine = 0
    private var findings = 0
    private var virtualSeconds = 0.0
    private var realSeconds = 0.0
    private var peakMemory = 0
    private let memory: MemoryBound

    init(memory: MemoryBound) { self.memory = memory }

    mutating func add(_ outcome: SimulationOutcome, asJSON: Bool) {
        let found = outcome.findings + [memory.finding(outcome)].compactMap(\.self)
        peakMemory = max(peakMemory, MemoryBound.peak)
        seeds += 1
        events += outcome.events
        acknowledged += outcome.acknowledged
        partitions += outcome.partitions
        crashes += outcome.crashes
        byzantine += outcome.byzantine
        findings += found.count
        virtualSeconds += outcome.virtualSeconds
        realSeconds += outcome.realSeconds
        if !found.isEmpty { failed.append(outcome.plan.seed) }
        print(asJSON ? Self.object(outcome, found) : Self.line(outcome, isGood: found.isEmpty))
        for finding in asJSON ? [] : found { print("    \(finding)") }
        fflush(nil)
    }

    private static func line(_ outcome: SimulationOutcome, isGood: Bool) -> String {
        let plan = outcome.plan
        return "seed \(plan.seed): \(isGood ? "good" : "FAILED") \(outcome.traceHash) "
            + "servers \(plan.servers)+\(plan.byzantine) rooms \(plan.rooms) events \(outcome.events) "
            + "acknowledged \(outcome.acknowledged) partitions \(outcome.partitions) crashes \(outcome.crashes) "
            + "(\(outcome.tornWrites) torn) disturbed \(outcome.disturbed) byzantine \(outcome.byzantine) "
            + "virtual \(rounded(outcome.virtualSeconds)) s real \(rounded(outcome.realSeconds)) s"
    }

    private static func object(_ outcome: SimulationOutcome, _ found: [String]) -> String {
        let plan = outcome.plan
        return text([
            "seed": plan.seed, "good": found.isEmpty, "trace_hash": outcome.traceHash, "servers": plan.servers,
            "byzantine_servers": plan.byzantine, "rooms": plan.rooms, "steps": plan.steps, "events": outcome.events,
            "acknowledged": outcome.acknowledged, "requests": outcome.requests, "syncs": outcome.syncs,
            "refused": outcome.refused,
            "partitions": outcome.partitions, "crashes": outcome.crashes, "torn_writes": outcome.tornWrites,
            "disturbed": outcome.disturbed, "byzantine": outcome.byzantine,
            "virtual_seconds": outcome.virtualSeconds, "real_seconds": outcome.realSeconds,
            "findings": found, "peak_memory_kib": MemoryBound.peak,
        ])
    }

    func show(asJSON: Bool) {
        let hours = virtualSeconds / 3_600
        let rate = realSeconds > 0 ? hours / realSeconds : 0
        if asJSON {
            print(
                Self.text([
                    "seeds": seeds, "failed": failed, "events": events, "acknowledged": acknowledged,
                    "partitions": partitions, "crashes": crashes, "byzantine": byzantine, "findings": findings,
                    "virtual_hours": hours, "real_seconds": realSeconds, "virtual_hours_per_second": rate,
                    "peak_memory_kib": peakMemory,
                ]))
            return
        }
        print(
            "\(seeds) seeds, \(failed.count) failed: events \(events), acknowledged \(acknowledged), "
                + "partitions \(partitions), crashes \(crashes), byzantine \(byzantine), findings \(findings); "
                + "\(Self.rounded(hours)) simulated hours in \(Self.rounded(realSeconds)) s "
                + "(\(String(format: "%.3f", rate)) h/s), \(peakMemory / 1024) MiB at most")
        for seed in failed { print("failing seed: \(seed)") }
        print("\(seeds - failed.count) passed, \(failed.count) failed, 0 skipped")
    }

    private static func rounded(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func text(_ object: [String: Any]) -> String {
        let data = try? JSONSerialization.data(withJSONObject: object, options: [.sortedKeys, .withoutEscapingSlashes])
        return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
