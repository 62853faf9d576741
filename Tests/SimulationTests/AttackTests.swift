import Simulation
import Testing

/// Hostile servers do one thing alone, and honest ones withstand it.
@Suite("Attacks", .serialized) struct AttackTests {
    /// Rooms of old versions, where each attack is possible.
    /// The others have their turn in `Tests/suites.tsv`.
    @Test(arguments: [SimulationPlan.Attack.tamperedRelay, .forgedInvite, .oneIDTwoRooms])
    func `what is made to look like another's or another's event is withstood`(attack: SimulationPlan.Attack) async {
        var plan = SimulationPlan.small(3)
        plan.users = 1
        plan.byzantine = 1
        plan.rooms = 2
        plan.steps = 15
        plan.hasFaults = false
        plan.attack = attack
        plan.roomVersions = ["1", "2"]
        let outcome = await Simulation.runApart(plan)
        #expect(outcome.byzantine > 0)
        #expect(outcome.events > 0)
        #expect(outcome.findings == [])
    }
}
