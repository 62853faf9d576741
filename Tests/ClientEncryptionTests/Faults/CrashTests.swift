import ClientEncryption
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

/// The process dies before each statement in turn, and after each commit.
@Suite("Crashes at every statement") struct CrashTests {
    @Test(.timeLimit(.minutes(5)))
    func `a message that was accepted is sent once, and no key is used for two texts`() async throws {
        try await FaultWorld.run { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let wires = Wires()
            pair.alice.line.change { request, answer in
                wires.note(request)
                return answer
            }
            var accepted = ["hello", "hi"]
            var crashes = 0
            for statements in 0... {
                // Every other message needs a new session, which is shared first.
                if statements % 2 == 0 { try await pair.alice.discard(pair.room) }
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
                // What was accepted is in the queue, or the server has it already.
                let isQueued = try await pair.alice.database.read { try !$0.query("SELECT 1 FROM send_queue").isEmpty }
                let isSent = wires.events > before
                try await pair.alice.restart()
                try await pair.alice.step()
                if isQueued || isSent || wasSent { accepted.append(text) }
            }
            pair.alice.crashing.spare()
            #expect(crashes > 40)
            try await world.until(pair.alice, pair.bob) {
                let view = try await pair.bob.view(pair.room)
                return view.texts == accepted && view.failures.isEmpty
            }
            #expect(wires.reusedKeys.isEmpty, "a key was used for two texts")
            #expect(wires.count > crashes / 2)
            print("sending: \(crashes) points of death, \(wires.count) message keys")
        }
    }

    @Test(.timeLimit(.minutes(5)))
    func `what was received before a crash is read after it`() async throws {
        try await FaultWorld.run { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            var texts = ["hello", "hi"]
            var crashes = 0
            for statements in 0... {
                try await pair.alice.discard(pair.room)
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
            #expect(crashes > 40)
            print("receiving: \(crashes) points of death")
        }
    }
}
