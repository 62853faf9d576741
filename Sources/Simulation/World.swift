internal import FedchatTesting

/// What all parts of a run share.
struct World: Sendable {
    let plan: SimulationPlan
    let clock: ManualClock
    let trace: Trace
    let records: Records
    let network: SimulatedNetwork

    init(_ plan: SimulationPlan, clock: ManualClock, chance: Chance) {
        self.plan = plan
        self.clock = clock
        trace = Trace(clock: clock, keepsLines: plan.keepsTrace)
        records = Records(trace: trace)
        network = SimulatedNetwork(clock: clock, trace: trace, chance: chance.fork(), records: records)
    }

    func sleep(_ duration: Duration) async { try? await clock.sleep(until: clock.now.advanced(by: duration)) }
}
