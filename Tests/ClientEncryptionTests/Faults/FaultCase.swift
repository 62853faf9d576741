import ClientEncryption
import Foundation
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

/// A fault that is injected while Alice, on one server, and Bob, on the other, talk; and what must come of it.
struct FaultCase: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable, Equatable, CustomStringConvertible {
        /// All is read in the end.
        case decrypted
        /// It cannot be read, and this is said to be why.
        case cause(Undecryptable.Cause)
        /// Nothing is sent; this is said.
        case refused(String)
        /// All is read, and the user is told this.
        case told(String)

        var description: String {
            switch self {
            case .decrypted: "decrypted"
            case .cause(let cause): "cause named: `\(cause.rawValue)`"
            case .refused(let why): "nothing sent: \(why)"
            case .told(let what): "decrypted, and told: \(what)"
            }
        }
    }

    let name: String
    let expected: Outcome
    let run: @Sendable (FaultWorld) async throws -> Outcome

    init(_ name: String, _ expected: Outcome, _ run: @escaping @Sendable (FaultWorld) async throws -> Outcome) {
        self.name = name
        self.expected = expected
        self.run = run
    }

    var testDescription: String { name }

    static let all = lost + sessions + devices + trusted + hostile + added
}

/// Alice and Bob in an encrypted room over two servers.
struct FaultPair: Sendable {
    let world: FaultWorld
    let alice: FaultDevice
    let bob: FaultDevice
    let room: RoomID

    init(_ world: FaultWorld) async throws {
        self.world = world
        alice = try await world.device("alice")
        bob = try await world.device("bob", on: "b.test")
        room = try await world.room(of: alice, bob)
    }

    /// Each has said something that the other has read.
    func talk() async throws {
        try await alice.say("hello", room)
        try await world.until(alice, bob) { try await bob.view(room).texts == ["hello"] }
        try await bob.say("hi", room)
        try await world.until(alice, bob) { try await alice.view(room).texts == ["hello", "hi"] }
    }

    /// Whether Bob reads exactly these in the end.
    func bobReads(_ texts: String...) async throws -> FaultCase.Outcome {
        try await world.until(alice, bob) {
            let view = try await bob.view(room)
            return view.texts == texts && view.failures.isEmpty
        }
        return .decrypted
    }

    /// Why Bob cannot read one event, once he has it.
    func bobFails(after texts: Int = 0) async throws -> FaultCase.Outcome {
        try await world.until(alice, bob) { try await !bob.view(room).failures.isEmpty }
        let view = try await bob.view(room)
        #expect(view.failures.allSatisfy { !$0.explanation.isEmpty })
        return view.causes.first.map { .cause($0) } ?? .decrypted
    }

    /// Lets the server give Bob's device no to-device messages any more.
    func withholdToDevice(_ isTrue: Bool) {
        guard isTrue else { return bob.line.change(nil) }
        bob.line.change { request, answer in
            guard request.pathAndQuery.contains("/sync") else { return answer }
            var answer = answer
            answer["to_device"] = ["events": []]
            return answer
        }
    }
}

extension FaultCase {
    static let lost: [FaultCase] = [
        FaultCase("to-device message lost by the server", .decrypted) { world in
            let pair = try await FaultPair(world)
            pair.withholdToDevice(true)
            try await pair.alice.say("lost", pair.room)
            guard case .cause(.noRoomKey) = try await pair.bobFails() else { return .decrypted }
            pair.withholdToDevice(false)
            // Half a minute later the channel is replaced, and Alice's device gives the key again.
            world.clock.advance(by: 31_000)
            return try await pair.bobReads("lost")
        },
        FaultCase("to-device message lost, its sender gone", .cause(.noRoomKey)) { world in
            let pair = try await FaultPair(world)
            pair.withholdToDevice(true)
            try await pair.alice.say("lost", pair.room)
            return try await pair.bobFails()
        },
        FaultCase("late key", .decrypted) { world in
            let pair = try await FaultPair(world)
            pair.withholdToDevice(true)
            let held = KeptEvents()
            pair.bob.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                return held.holdBack(answer)
            }
            try await pair.alice.say("late", pair.room)
            _ = try await pair.bobFails()
            pair.bob.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                return held.release(into: answer)
            }
            return try await pair.bobReads("late")
        },
        FaultCase("answers lost to every call for keys", .decrypted) { world in
            let pair = try await FaultPair(world)
            let counter = Countdown(3)
            pair.alice.line.lose(answers: { request in
                ["/keys/query", "/keys/claim", "/sendToDevice", "/send/"].contains { request.pathAndQuery.contains($0) }
                    && counter.isNotOver
            })
            for text in ["one", "two"] {
                for _ in 0..<3 where try await pair.bob.view(pair.room).texts.last != text {
                    try await pair.alice.trySay(text, pair.room)
                    break
                }
            }
            pair.alice.line.lose()
            return try await pair.bobReads("one", "two")
        },
        FaultCase("federation outage during key share", .decrypted) { world in
            let pair = try await FaultPair(world)
            world.network.part(true)
            try await pair.alice.say("into the dark", pair.room)
            try await pair.alice.step()
            world.network.part(false)
            world.clock.advance(by: 120_000)
            return try await pair.bobReads("into the dark")
        },
        FaultCase("one-time keys exhausted, no fallback key", .decrypted) { world in
            let pair = try await FaultPair(world)
            pair.alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/keys/claim") else { return answer }
                var answer = answer
                answer["one_time_keys"] = [:]
                return answer
            }
            try await pair.alice.say("no key", pair.room)
            try await pair.alice.step()
            pair.alice.line.change(nil)
            world.clock.advance(by: 3_700_000)
            return try await pair.bobReads("no key")
        },
        FaultCase("one-time keys exhausted, fallback key used", .decrypted) { world in
            let pair = try await FaultPair(world)
            for _ in 0..<60 {
                _ = try await pair.alice.client.call(
                    APICall(
                        .claimKeys,
                        body: [
                            "one_time_keys": [
                                pair.bob.user.text: [pair.bob.device.text: "signed_curve25519"]
                            ]
                        ]))
            }
            try await pair.alice.say("by the fallback key", pair.room)
            return try await pair.bobReads("by the fallback key")
        },
    ]

    static let sessions: [FaultCase] = [
        FaultCase("wedged session", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            _ = try await pair.bob.database.write { try $0.execute("DELETE FROM olm_sessions") }
            try await pair.alice.discard(pair.room)
            try await pair.alice.say("through a broken channel", pair.room)
            return try await pair.bobReads("hello", "hi", "through a broken channel")
        },
        FaultCase("wedged session, its sender gone", .cause(.sessionReplaced)) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            _ = try await pair.bob.database.write { try $0.execute("DELETE FROM olm_sessions") }
            try await pair.alice.discard(pair.room)
            try await pair.alice.say("through a broken channel", pair.room)
            try await world.until(pair.bob) { try await !pair.bob.view(pair.room).failures.isEmpty }
            return try await .cause(pair.bob.view(pair.room).causes[0])
        },
        FaultCase("reader's store put back to an earlier state", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let snapshot = try await pair.bob.snapshot()
            try await pair.alice.discard(pair.room)
            try await pair.alice.say("between", pair.room)
            #expect(try await pair.bobReads("hello", "hi", "between") == .decrypted)
            // The server forgets what Bob has acknowledged.
            for _ in 0..<2 { try await pair.bob.step() }
            try await pair.bob.restore(snapshot)
            try await pair.alice.discard(pair.room)
            try await pair.alice.say("after", pair.room)
            try await world.until(pair.alice, pair.bob) { try await !pair.bob.view(pair.room).failures.isEmpty }
            world.clock.advance(by: 31_000)
            return try await pair.bobReads("hello", "hi", "between", "after")
        },
        FaultCase("sender's store put back to an earlier state", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            let snapshot = try await pair.alice.snapshot()
            try await pair.alice.step()
            try await pair.alice.say("forgotten", pair.room)
            try await pair.alice.restore(snapshot)
            try await pair.alice.step()
            try await pair.alice.say("after", pair.room)
            return try await pair.bobReads("hello", "hi", "forgotten", "after")
        },
        FaultCase("crash between encryption and sending", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            pair.alice.line.lose(requests: { $0.pathAndQuery.contains("/send/") })
            try await pair.alice.trySay("sealed", pair.room)
            try await pair.alice.restart()
            pair.alice.line.lose()
            return try await pair.bobReads("hello", "hi", "sealed")
        },
        FaultCase("crash between sending and hearing of it", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            pair.alice.line.lose(answers: { $0.pathAndQuery.contains("/send/") })
            try await pair.alice.trySay("sent", pair.room)
            try await pair.alice.restart()
            pair.alice.line.lose()
            return try await pair.bobReads("hello", "hi", "sent")
        },
        FaultCase("clocks wrong by days, forward and back", .decrypted) { world in
            let pair = try await FaultPair(world)
            try await pair.talk()
            try await pair.alice.restart(skew: 4 * 86_400_000)
            try await pair.alice.step()
            try await pair.alice.say("from the future", pair.room)
            try await pair.alice.restart(skew: -4 * 86_400_000)
            try await pair.bob.restart(skew: -9 * 86_400_000)
            try await pair.alice.step()
            try await pair.alice.say("from the past", pair.room)
            return try await pair.bobReads("hello", "hi", "from the future", "from the past")
        },
        FaultCase("wrong backup: a key that is none, then the true one", .decrypted) { world in
            let pair = try await FaultPair(world)
            let held = KeptEvents()
            pair.bob.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                return held.holdBack(answer)
            }
            try await pair.alice.say("true", pair.room)
            _ = try await pair.bobFails()
            try await pair.bob.takeWrongKey(of: pair.room)
            pair.bob.line.change { request, answer in
                guard request.pathAndQuery.contains("/sync") else { return answer }
                return held.release(into: answer)
            }
            return try await pair.bobReads("true")
        },
    ]
}
