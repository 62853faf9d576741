import MatrixModel
import PostQuantum
import SQLDatabase
import SQLiteEngine
import Testing

@testable import ClientEncryption
@testable import FedchatKit

extension HybridTests {
    /// The process dies before each statement in turn, and after each commit, where the hybrid has its part.
    @Suite("Crashes at every statement") struct Crashes {
        /// Every third statement: what stands between is much the same.
        private static let stride = 3

        @Test(.timeLimit(.minutes(3)))
        func `it is switched on and off at any point of death`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .offered)
                var crashes = 0
                for (policy, expected) in [(HybridAlgorithm.Policy.off, HybridOffer.withdrawn), (.offered, .offered)] {
                    for statements in Swift.stride(from: 0, to: .max, by: Self.stride) {
                        // Back to where it begins.
                        try await pair.bob.choose(policy == .off ? .offered : .off)
                        pair.bob.crashing.crash(after: statements)
                        do { try await pair.bob.client.setHybridPolicy(policy) } catch {}
                        let isDead = pair.bob.crashing.isDead
                        if isDead { try await pair.bob.restart() } else { pair.bob.crashing.spare() }
                        try await pair.bob.step()
                        // What the device shows is what it was set to last, of before or of now.
                        let chosen = try await pair.bob.client.hybridPolicy()
                        #expect(try await pair.bob.client.isHybridOffered() == (chosen != .off))
                        try await pair.bob.choose(policy)
                        #expect(try await pair.bob.client.isHybridOffered() == (policy != .off))
                        guard isDead else { break }
                        crashes += 1
                    }
                    try await world.until(pair.alice) { try await pair.alice.offer(of: pair.bob) == expected }
                }
                #expect(crashes > 20)
                // All keys that the server has are here: the oldest is given first.
                for number in 0..<3 {
                    try await pair.alice.forgetSessions()
                    try await pair.alice.say("\(number)", pair.room)
                }
                _ = try await pair.bobReads("0", "1", "2")
                #expect(try await pair.bob.standing(of: pair.alice) == .used)
                print("switching: \(crashes) points of death")
            }
        }

        @Test(.timeLimit(.minutes(3)))
        func `what was accepted is sent once, and no key is used twice`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .kept)
                let wires = Wires()
                pair.alice.line.change { request, answer in
                    wires.note(request)
                    return answer
                }
                var accepted: [String] = []
                var crashes = 0
                for statements in Swift.stride(from: 0, to: .max, by: Self.stride) {
                    // A new session each time: keys are claimed in two steps.
                    try await pair.alice.forgetSessions()
                    let text = "after \(statements)"
                    let before = wires.events
                    pair.alice.crashing.crash(after: statements)
                    var wasSent = false
                    do {
                        try await pair.alice.say(text, pair.room)
                        wasSent = true
                        try await pair.alice.client.keyTurns.hold { try await pair.alice.client.flushToDevice() }
                    } catch {}
                    guard pair.alice.crashing.isDead else {
                        if wasSent { accepted.append(text) }
                        break
                    }
                    crashes += 1
                    let isQueued = try await pair.alice.database.read {
                        try !$0.query("SELECT 1 FROM send_queue").isEmpty
                    }
                    let isSent = wires.events > before
                    try await pair.alice.restart()
                    try await pair.alice.step()
                    if isQueued || isSent || wasSent { accepted.append(text) }
                    // Its keys on the server would be used up else.
                    if crashes % 5 == 0 { try await pair.bob.step() }
                }
                pair.alice.crashing.spare()
                #expect(crashes > 20)
                try await world.until(pair.alice, pair.bob) {
                    let view = try await pair.bob.view(pair.room)
                    return view.texts == accepted && view.failures.isEmpty
                }
                #expect(wires.reusedKeys.isEmpty, "a key was used for two texts")
                #expect(wires.count > crashes / 2)
                #expect(try await pair.alice.standing(of: pair.bob) == .used)
                print("sending: \(crashes) points of death, \(wires.count) message keys")
            }
        }

        @Test(.timeLimit(.minutes(3)))
        func `what was received before a crash is read after it`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .kept)
                var texts: [String] = []
                var crashes = 0
                for statements in Swift.stride(from: 0, to: .max, by: Self.stride) {
                    try await pair.alice.forgetSessions()
                    texts.append("before \(statements)")
                    try await pair.alice.say("before \(statements)", pair.room)
                    pair.bob.crashing.crash(after: statements)
                    do {
                        try await pair.bob.step()
                        _ = try await pair.bob.last(pair.room)
                    } catch {}
                    let isDead = pair.bob.crashing.isDead
                    if isDead { try await pair.bob.restart() } else { pair.bob.crashing.spare() }
                    try await world.until(pair.bob) { try await pair.bob.last(pair.room) == "before \(statements)" }
                    guard isDead else { break }
                    crashes += 1
                }
                let view = try await pair.bob.view(pair.room)
                #expect(view.texts == texts && view.failures.isEmpty)
                #expect(crashes > 15)
                #expect(try await pair.bob.standing(of: pair.alice) == .used)
                print("receiving: \(crashes) points of death")
            }
        }
    }
}
