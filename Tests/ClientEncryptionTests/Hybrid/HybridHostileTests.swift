import Foundation
import HTTPMessages
import MatrixAPI
import MatrixModel
import PostQuantum
import SQLDatabase
import SQLiteEngine
import Testing

@testable import ClientEncryption
@testable import FedchatKit

extension HybridTests {
    /// Servers that withhold, alter and show what is old.
    @Suite("Hostile servers") struct Hostile {
        /// What a server may do to an encapsulation key, and what it is then.
        enum Damage: String, CaseIterable, Sendable {
            case withheld, altered, short, long, huge, notBase64, noSignature, wrongSignature, noObject, noKey

            func of(_ key: JSONValue) -> JSONValue? {
                var key = key
                let text = key["key"]?.string ?? ""
                switch self {
                case .withheld: return nil
                case .altered: key["key"] = .string((text.hasPrefix("A") ? "B" : "A") + text.dropFirst())
                case .short: key["key"] = .string(String(text.prefix(1_000)))
                case .long: key["key"] = .string(text + "AAAA")
                case .huge: key["key"] = .string(String(repeating: "A", count: 2_000_000))
                case .notBase64: key["key"] = .string(String(repeating: "*", count: text.count))
                case .noSignature: key["signatures"] = nil
                case .wrongSignature: key["signatures"] = ["@bob:b.test": ["ed25519:X": "AAAA"]]
                case .noObject: return .string(text)
                case .noKey: key["key"] = nil
                }
                return key
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `without a good key it is said, and Olm is used by who offers, nothing by who keeps`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .offered, bob: .offered)
                let sent = SentAlgorithms()
                var texts: [String] = []
                for damage in Damage.allCases {
                    pair.alice.line.watch(sent, changingEncapsulationKeys { damage.of($0) })
                    try await pair.alice.client.setHybridPolicy(.offered)
                    try await pair.alice.forgetSessions()
                    sent.clear()
                    texts += ["\(damage), by Olm", "\(damage), not at all"]
                    try await pair.alice.say("\(damage), by Olm", pair.room)
                    #expect(sent.messages == [HybridTests.olm], "\(damage)")
                    #expect(try await pair.alice.standing(of: pair.bob) == .withheld, "\(damage)")
                    let downgraded = try await pair.alice.client.downgradedDevices(in: pair.room)
                    #expect(downgraded.map(\.device) == [pair.bob.device])
                    #expect(await pair.alice.client.examine().contains { !$0.isFine })

                    try await pair.alice.client.setHybridPolicy(.kept)
                    try await pair.alice.forgetSessions()
                    sent.clear()
                    try await pair.alice.say("\(damage), not at all", pair.room)
                    #expect(sent.messages.isEmpty, "\(damage)")
                    #expect(!sent.claims.contains("signed_curve25519"), "no key of Bob's is wasted")

                    pair.alice.line.watch(sent)
                    world.clock.advance(by: 3_700_000)
                    try await world.until(pair.alice, pair.bob) { try await pair.bob.view(pair.room).texts == texts }
                    #expect(Set(sent.messages) == [HybridTests.hybrid], "\(damage)")
                    #expect(try await pair.alice.standing(of: pair.bob) == .used, "\(damage)")
                }
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a signed key that is none begins no session`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .offered, bob: .offered)
                let machine = pair.bob.client.machine
                let account = try await pair.bob.database.read { try machine.account(in: $0) }
                let key = machine.signedKey([UInt8](repeating: 255, count: 1_184), account, isFallback: false)
                let sent = SentAlgorithms()
                pair.alice.line.watch(sent, changingEncapsulationKeys { _ in key })
                try await pair.alice.say("by Olm", pair.room)
                #expect(sent.messages == [HybridTests.olm])
                _ = try await pair.bobReads("by Olm")
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `keys that come back are taken for the session that has begun by Olm, too`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .offered, bob: .offered)
                let sent = SentAlgorithms()
                pair.alice.line.watch(sent, changingEncapsulationKeys { _ in nil })
                try await pair.alice.say("by Olm", pair.room)
                // It is not asked for with every message.
                sent.clear()
                try await pair.alice.say("again", pair.room)
                #expect(sent.claims.isEmpty)
                pair.alice.line.watch(sent)
                world.clock.advance(by: 60_000)
                try await pair.alice.say("better", pair.room)
                #expect(sent.messages == [HybridTests.hybrid])
                _ = try await pair.bobReads("by Olm", "again", "better")
            }
        }

        /// The one who is refused makes the session, and by its other way.
        @Test(.timeLimit(.minutes(2)))
        func `a device that is told of it heals it from its side`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .kept)
                let (alices, bobs) = (SentAlgorithms(), SentAlgorithms())
                pair.alice.line.watch(alices, changingEncapsulationKeys { _ in nil })
                pair.bob.line.watch(bobs)
                try await pair.alice.say("when you come", pair.room)
                #expect(alices.messages.isEmpty)
                _ = try await pair.bobReads("when you come")
                #expect(Set(alices.messages + bobs.messages) == [HybridTests.hybrid])
            }
        }

        @Test(.timeLimit(.minutes(2)), arguments: [HybridAlgorithm.Policy.offered, .kept])
        func `older device keys are noticed`(policy: HybridAlgorithm.Policy) async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world)
                let old = try await pair.bob.ownDeviceKeys()
                try await pair.choose(alice: policy, bob: .offered)
                let (bob, sent) = (pair.bob, SentAlgorithms())
                pair.alice.line.watch(sent) { request, answer in
                    guard request.pathAndQuery.contains("/keys/query"), answer["device_keys", bob.user.text] != nil
                    else {
                        return answer
                    }
                    var (answer, all) = (answer, answer["device_keys"] ?? [:])
                    all[bob.user.text] = [bob.device.text: old]
                    answer["device_keys"] = all
                    return answer
                }
                try await pair.alice.noteChanged(bob.user)
                try await pair.alice.step()
                #expect(try await pair.alice.standing(of: bob) == .withdrawn)
                try await pair.alice.say("once offered", pair.room)
                #expect(sent.messages == (policy == .kept ? [] : [HybridTests.olm]))
                // What Bob's device says of itself cannot be hidden.
                try await world.until(bob) { try await bob.offer(of: pair.alice) == .offered }
                try await bob.say("I still do", pair.room)
                try await world.until(pair.alice) { try await pair.alice.offer(of: bob) == .offered }
            }
        }

        /// What a server may do to a message.
        enum Change: String, CaseIterable, Sendable {
            case altered, cut, empty, huge, namedOlm, otherType, noBody

            func of(_ content: JSONValue) -> JSONValue {
                guard content["algorithm"]?.string == HybridAlgorithm.name,
                    let (key, given) = content["ciphertext"]?.members.first, let body = given["body"]?.string
                else { return content }
                var (content, message) = (content, given)
                switch self {
                case .altered:
                    let middle = body.index(body.startIndex, offsetBy: body.count / 2)
                    let other = body[middle] == "A" ? "B" : "A"
                    message["body"] = .string(body.replacingCharacters(in: middle...middle, with: other))
                case .cut: message["body"] = .string(String(body.prefix(body.count / 3)))
                case .empty: message["body"] = ""
                case .huge: message["body"] = .string(body + String(repeating: "A", count: 400_000))
                case .namedOlm: content["algorithm"] = .string(Algorithm.olm)
                case .otherType: message["type"] = message["type"]?.integer == 0 ? 1 : 0
                case .noBody: message["body"] = nil
                }
                content["ciphertext"] = [key: message]
                return content
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `an altered message is refused, and the channel replaced`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .kept)
                var texts: [String] = []
                for change in Change.allCases {
                    pair.bob.line.change { request, answer in
                        guard request.pathAndQuery.contains("/sync") else { return answer }
                        var answer = answer
                        let events = answer["to_device", "events"]?.elements ?? []
                        answer["to_device"] = [
                            "events": .array(
                                events.map { event in
                                    var event = event
                                    event["content"] = change.of(event["content"] ?? [:])
                                    return event
                                })
                        ]
                        return answer
                    }
                    texts.append("\(change)")
                    try await pair.alice.forgetSessions()
                    try await pair.alice.say("\(change)", pair.room)
                    try await world.until(pair.alice, pair.bob) { try await !pair.bob.view(pair.room).failures.isEmpty }
                    pair.bob.line.change(nil)
                    // A channel is replaced once an hour.
                    world.clock.advance(by: 3_700_000)
                    try await world.until(pair.alice, pair.bob) {
                        let view = try await pair.bob.view(pair.room)
                        return view.texts == texts && view.failures.isEmpty
                    }
                    #expect(try await pair.bob.standing(of: pair.alice) == .used, "\(change)")
                }
            }
        }
    }
}
