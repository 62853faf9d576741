import Foundation
import Simulation

/// The memory that this process may have at most while one seed runs.
struct MemoryBound {
    /// MiB, instead of what the plan allows.
    let given: Int?

    /// What a plan of some size may take, MiB. Seeds as they choose themselves took 110 at most, with four servers.
    private func allowed(_ plan: SimulationPlan) -> Int {
        if let given { return given }
        let size = plan.servers * plan.rooms * plan.users * plan.steps
        return 96 + 24 * plan.servers + size / 200
    }

    /// Gives back what seeds of before have freed, and forgets their peak. Where the kernel does not let it, the peak of all
    /// seeds so far counts.
    static func begin() {
        // Of the GNU C library alone, so that it is looked for and not linked.
        if let trim = dlsym(nil, "malloc_trim") {
            _ = unsafeBitCast(trim, to: (@convention(c) (Int) -> Int32).self)(0)
        }
        try? "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .ascii)
    }

    /// What the seed that just ran took too much of, if it did.
    func finding(_ outcome: SimulationOutcome) -> String? {
        let (peak, allowed) = (Self.peak / 1_024, allowed(outcome.plan))
        return peak > allowed ? "\(peak) MiB of memory, and \(allowed) MiB is the most that such a run may take" : nil
    }

    /// The most memory that this process had since `begin`, KiB; 0 where the system does not say.
    static var peak: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(separator: " ").compactMap { Int($0) }.first ?? 0
    }
}
