import FedchatKit
import FedchatTesting
import MatrixModel
import Testing

/// Whole calls between machines over a room that loses, repeats, delays and reorders, with media that keeps WebRTC's rules.
@Suite("Calls: properties") struct CallPropertyTests {
    private func settle(_ world: inout CallWorld) {
        world.run(until: world.now + .seconds(700))
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `over a room that loses nothing a call that is taken comes about`(seed: UInt64) throws {
        var world = try CallWorld(seed: seed, losing: 0, reordering: false)
        world.place(0, at: .zero)
        world.run(until: .seconds(30))
        #expect(world.agreement() == "alice and one of bob's talk", "\(world.log.suffix(30))")
        world.on(0, .hangUp)
        settle(&world)
        #expect(world.agreement() == "nobody talks")
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: 1...10 as ClosedRange<UInt64>)
    func `two who call each other at once get one call`(seed: UInt64) throws {
        var world = try CallWorld(seed: seed, losing: 0, reordering: false, devicesOfBob: 1)
        world.place(0, at: .zero)
        world.place(1, at: .milliseconds(Int64(seed * 37 % 900)))
        world.run(until: .seconds(60))
        #expect(world.agreement() == "alice and one of bob's talk", "\(world.log.suffix(30))")
        #expect(world.violations.isEmpty, "\(world.violations)")
    }

    @Test(arguments: 1...12 as ClosedRange<UInt64>)
    func `both change the call at once, again and again, and agree in the end`(seed: UInt64) throws {
        var world = try CallWorld(seed: seed, losing: 0, reordering: false, devicesOfBob: 1)
        world.place(0, at: .zero)
        world.run(until: .seconds(30))
        for _ in 0..<12 {
            world.disturb()
            world.run(until: world.now + .milliseconds(Int64(world.chance(1_500))))
        }
        world.on(0, .hold(false))
        world.on(1, .hold(false))
        world.run(until: world.now + .seconds(400))
        #expect(world.agreement() == "alice and one of bob's talk", "\(world.log.suffix(40))")
        #expect(world.violations.isEmpty, "\(world.violations)")
        #expect(world.negotiationsAgree, "\(world.log.suffix(40))")
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `over a bad room both ends agree in the end, and nobody is stuck`(seed: UInt64) throws {
        var world = try CallWorld(seed: seed, losing: Double(seed % 5) * 0.1, reordering: true)
        world.place(0, at: .zero)
        if seed % 3 == 0 { world.place(1, at: .milliseconds(Int64(world.chance(2_000)))) }
        world.run(until: .seconds(30))
        for _ in 0..<Int(seed % 7) {
            world.disturb()
            world.run(until: world.now + .milliseconds(Int64(world.chance(4_000))))
        }
        settle(&world)
        #expect(world.agreement() != "they disagree", "\(world.states) \(world.log.suffix(60))")
        #expect(world.violations.isEmpty, "\(world.violations)")
        if world.agreement() == "alice and one of bob's talk" {
            world.on(0, .hangUp)
            settle(&world)
            #expect(world.agreement() == "nobody talks", "\(world.states)")
        }
    }
}
