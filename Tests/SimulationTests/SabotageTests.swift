import Simulation
import Testing

/// The simulation finds what is wrong.
@Suite("Sabotage") struct SabotageTests {
    @Test(arguments: SimulationPlan.Sabotage.allCases)
    func `what is done wrong on purpose is found`(sabotage: SimulationPlan.Sabotage) async {
        var found = false
        // Not each run comes to the place where it shows; of what is rejected, none of the first three.
        let seeds: ClosedRange<UInt64> = sabotage == .shownRejected ? 4...11 : 1...8
        for seed in seeds where !found {
            var plan = SimulationPlan.small(seed)
            plan.sabotage = sabotage
            plan.hasFaults = sabotage == .unsyncedWrites
            plan.byzantine = sabotage == .shownRejected ? 1 : 0
            found = await Simulation.runApart(plan).findings.contains { sabotage.shows(in: $0) }
        }
        #expect(found)
    }
}

extension SimulationPlan.Sabotage {
    /// Whether a finding is about this, and not about something else.
    fileprivate func shows(in finding: String) -> Bool {
        switch self {
        case .lostOutbox: finding.contains("does not")
        case .unsyncedWrites: true
        case .changedState: finding.contains("disagree") || finding.contains("by the rules")
        case .shownRejected: finding.contains("shows")
        case .lostEvent: finding.contains("does not have")
        case .keptRows: finding.contains("keeps too much")
        case .keptServer: finding.contains("still in memory")
        case .untoldEvent: finding.contains("never told")
        case .repeatedEvent: finding.contains("twice")
        case .untoldState: finding.contains(" told ") && finding.contains(", and has ")
        case .untoldJoining: finding.contains("of being joined")
        case .untoldLeaving: finding.contains("of being no longer joined")
        case .changedContent: finding.contains("not what was hashed")
        case .untrueSync: finding.contains(" told ") && finding.contains("another content")
        case .untruePage: finding.contains(" to who reads back: another content")
        case .lostRedaction: finding.contains("has not carried it out")
        }
    }
}
