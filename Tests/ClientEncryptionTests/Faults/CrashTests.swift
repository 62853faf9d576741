import ClientEncryption
import Cryptography
import HTTPMessages
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit
@testable import Ratchet

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
        }
    }
}

/// All ciphertexts that a device has sent.
private final class Wires: Sendable {
    private struct State {
        /// The ciphertexts under each message key.
        var texts: [String: Set<[UInt8]>] = [:]
        var events = 0
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.texts.count } }
    var events: Int { state.withLock { $0.events } }
    var reusedKeys: [String] { state.withLock { $0.texts.filter { $0.value.count > 1 }.map(\.key) } }

    func note(_ request: ClientRequest) {
        guard let body = try? JSONValue.parse(request.body) else { return }
        if request.pathAndQuery.contains("/send/m.room.encrypted") {
            guard let session = body["session_id"]?.string,
                let bytes = body["ciphertext"]?.string.flatMap({ Base64.decode($0) }),
                let message = try? MegolmMessage(bytes)
            else { return }
            state.withLock {
                $0.events += 1
                $0.texts["\(session) \(message.index)", default: []].insert(bytes)
            }
        }
        guard request.pathAndQuery.contains("/sendToDevice/m.room.encrypted") else { return }
        for (_, devices) in body["messages"]?.members ?? [] {
            for (_, content) in devices.members {
                for (_, message) in content["ciphertext"]?.members ?? [] { noteOlm(message) }
            }
        }
    }

    private func noteOlm(_ message: JSONValue) {
        guard let bytes = message["body"]?.string.flatMap({ Base64.decode($0) }) else { return }
        let inner = message["type"]?.integer == 0 ? (try? PreKeyMessage(bytes))?.message : bytes[...]
        guard let inner, let parsed = try? NormalMessage(parsing: inner) else { return }
        let name = "\(Base64.encode(parsed.ratchetKey.bytes)) \(parsed.index)"
        state.withLock { _ = $0.texts[name, default: []].insert(Array(inner)) }
    }
}
