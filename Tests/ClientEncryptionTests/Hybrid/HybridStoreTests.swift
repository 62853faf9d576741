import MatrixAPI
import MatrixModel
import PostQuantum
import SQLDatabase
import SQLiteEngine
import Testing

@testable import ClientEncryption
@testable import FedchatKit

extension HybridTests {
    /// Stores: keys are in them before they are published, and what becomes of them when they are put back.
    @Suite("Keys in the store") struct Stores {
        private func upload(_ device: FaultDevice) async throws -> KeyUpload? {
            let machine = device.client.machine
            return try await device.database.write { try machine.hybridKeyUpload(in: $0) }
        }

        private func refuse(_ upload: KeyUpload, _ device: FaultDevice) async throws -> Bool {
            let machine = device.client.machine
            return try await device.database.write { try machine.refused(upload, in: $0) }
        }

        private func names(_ upload: KeyUpload) throws -> Set<String> {
            let body = try JSONValue.parse(upload.call.body)
            return Set(((body["one_time_keys"]?.members ?? []) + (body["fallback_keys"]?.members ?? [])).map(\.key))
        }

        /// The name of a key that the server gives, which is gone there then, or its fallback key.
        private func claim(_ device: FaultDevice) async throws -> JSONValue? {
            let answer = try await device.client.call(
                APICall(
                    .claimKeys,
                    body: [
                        "one_time_keys": [device.user.text: [device.device.text: .string(HybridAlgorithm.keyAlgorithm)]]
                    ]))
            return answer["one_time_keys", device.user.text]?[device.device.text]?.members.first.map {
                ["name": .string($0.key), "fallback": .bool($0.value["fallback"]?.bool ?? false)]
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `keys are published before they are offered, and renewed`() async throws {
            try await FaultWorld.run { world in
                let bob = try await world.device("bob")
                #expect(try await upload(bob) == nil, "off by default")
                let machine = bob.client.machine
                try await bob.database.write { try machine.setHybridPolicy(.offered, in: $0) }
                let first = try #require(try await upload(bob))
                let again = try #require(try await upload(bob))
                #expect(try names(first) == names(again), "an upload without an answer is repeated with the same keys")
                #expect(try names(first).count == 21)
                #expect(try JSONValue.parse(first.call.body)["device_keys"] == nil)
                #expect(first.call.body.count < 50_000)
                try await bob.step()
                #expect(try await bob.client.isHybridOffered())
                #expect(try await upload(bob) == nil)

                var fallback: JSONValue?
                for _ in 0..<21 { fallback = try await claim(bob) }
                #expect(fallback?["fallback"]?.bool == true)
                try await bob.step()
                #expect(try await claim(bob)?["name"] != fallback?["name"], "the fallback key was used, and is another")
                #expect(
                    try await bob.encapsulationRow("keys_on_server") == 0, "one-time keys are not made all the time")
                world.clock.advance(by: 3_700_000)
                try await bob.step()
                try await bob.step()
                #expect(try await bob.encapsulationRow("keys_on_server") == 20)
                #expect(try await claim(bob)?["fallback"]?.bool == false)

                world.clock.advance(by: 8 * 86_400_000)
                let made = try await bob.encapsulationRow("fallback_made_at")
                for _ in 0..<2 { try await bob.step() }
                #expect(try await bob.encapsulationRow("fallback_made_at") != made, "weekly")
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a server that does not take them is left alone, and hinders nothing`() async throws {
            try await FaultWorld.run { world in
                let bob = try await world.device("bob")
                let machine = bob.client.machine
                try await bob.database.write { try machine.setHybridPolicy(.offered, in: $0) }
                var seen: Set<String> = []
                for attempt in 1...8 {
                    let due = try #require(try await upload(bob))
                    #expect(try seen.isDisjoint(with: names(due)))
                    seen.formUnion(try names(due))
                    #expect(try await refuse(due, bob) == (attempt < 8))
                }
                #expect(try await upload(bob) == nil)
                #expect(try await !bob.client.isHybridOffered())
                world.clock.advance(by: 3_700_000)
                try await bob.step()
                #expect(try await bob.client.isHybridOffered())
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a store from before it was switched on offers it no more, and loses nothing`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world)
                try await pair.talk()
                let snapshot = try await pair.bob.snapshot()
                try await pair.bob.step()
                try await pair.choose(alice: .kept, bob: .offered)
                try await pair.alice.say("to the new", pair.room)
                _ = try await pair.bobReads("hello", "hi", "to the new")
                for _ in 0..<2 { try await pair.bob.step() }
                try await pair.bob.restore(snapshot)
                try await world.until(pair.alice, pair.bob) {
                    try await pair.alice.offer(of: pair.bob) == .withdrawn
                }
                try await pair.alice.client.acceptNewKeys(of: pair.bob.user, pair.bob.device)
                try await pair.alice.discard(pair.room)
                try await pair.alice.say("to the old", pair.room)
                world.clock.advance(by: 31_000)
                _ = try await pair.bobReads("hello", "hi", "to the new", "to the old")
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a store from before the last sessions is written to anew`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .kept)
                try await pair.talk()
                let snapshot = try await pair.bob.snapshot()
                try await pair.bob.step()
                try await pair.alice.forgetSessions()
                try await pair.alice.say("between", pair.room)
                _ = try await pair.bobReads("hello", "hi", "between")
                // The server forgets what Bob has acknowledged.
                for _ in 0..<2 { try await pair.bob.step() }
                try await pair.bob.restore(snapshot)
                try await pair.alice.discard(pair.room)
                try await pair.alice.say("after", pair.room)
                try await world.until(pair.alice, pair.bob) { try await !pair.bob.view(pair.room).failures.isEmpty }
                world.clock.advance(by: 31_000)
                _ = try await pair.bobReads("hello", "hi", "between", "after")
                #expect(try await pair.alice.standing(of: pair.bob) == .used)
                #expect(try await pair.bob.standing(of: pair.alice) == .used)
            }
        }
    }
}
