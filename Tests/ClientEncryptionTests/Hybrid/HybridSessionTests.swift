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
    /// Sessions begun with ML-KEM-768, between real clients of two real servers.
    @Suite("Sessions between two servers") struct Sessions {
        @Test(.timeLimit(.minutes(2)))
        func `two devices that offer it use nothing else`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .offered, bob: .kept)
                let (alices, bobs) = (SentAlgorithms(), SentAlgorithms())
                pair.alice.line.watch(alices)
                pair.bob.line.watch(bobs)
                #expect(try await pair.alice.standing(of: pair.bob) == .offered)
                try await pair.talk()
                #expect(Set(alices.messages) == [HybridTests.hybrid] && Set(bobs.messages) == [HybridTests.hybrid])
                #expect(alices.claims == [HybridAlgorithm.keyAlgorithm, "signed_curve25519"])
                #expect(bobs.claims.isEmpty, "Bob answers in Alice's session")
                #expect(try await pair.alice.standing(of: pair.bob) == .used)
                #expect(try await pair.bob.standing(of: pair.alice) == .used)
                #expect(try await pair.alice.client.downgradedDevices().isEmpty)
            }
        }

        @Test(.timeLimit(.minutes(2)), arguments: [true, false])
        func `a device that does not offer it is written to by Olm`(aliceHasIt: Bool) async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(
                    world, alice: aliceHasIt ? .kept : .off, bob: aliceHasIt ? .off : .kept)
                let (alices, bobs) = (SentAlgorithms(), SentAlgorithms())
                pair.alice.line.watch(alices)
                pair.bob.line.watch(bobs)
                try await pair.talk()
                #expect(Set(alices.messages + bobs.messages) == [HybridTests.olm])
                #expect(Set(alices.claims + bobs.claims) == ["signed_curve25519"])
                #expect(try await pair.alice.standing(of: pair.bob) == nil)
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `who began with Olm goes on with it, under new room keys`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world)
                try await pair.talk()
                let before = try await pair.alice.roomSession(pair.room)
                try await pair.choose(alice: .offered, bob: .offered)
                let (alices, bobs) = (SentAlgorithms(), SentAlgorithms())
                pair.alice.line.watch(alices)
                pair.bob.line.watch(bobs)
                try await pair.alice.say("anew", pair.room)
                _ = try await pair.bobReads("hello", "hi", "anew")
                try await pair.bob.say("as you say", pair.room)
                _ = try await pair.bobReads("hello", "hi", "anew", "as you say")
                #expect(!alices.messages.contains(HybridTests.olm) && !bobs.messages.contains(HybridTests.olm))
                #expect(!alices.messages.isEmpty && !bobs.messages.isEmpty)
                #expect(try await pair.alice.roomSession(pair.room) != before)
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `in one room each device gets the key in its own way`() async throws {
            try await FaultWorld.run { world in
                let (alice, bob, carol) = (
                    try await world.device("alice"), try await world.device("bob", on: "b.test"),
                    try await world.device("carol", on: "b.test")
                )
                let tablet = try await alice.another()
                let room = try await world.room(of: alice, bob, carol)
                for device in [alice, bob, tablet] { try await device.choose(.kept) }
                for other in [bob, tablet] {
                    try await alice.follow(other)
                    try await world.until(alice) { try await alice.offer(of: other) == .offered }
                }
                let sent = SentAlgorithms()
                alice.line.watch(sent)
                try await alice.say("to all", room)
                #expect(sent.messages.sorted() == [HybridTests.olm, HybridTests.hybrid, HybridTests.hybrid].sorted())
                for device in [bob, carol, tablet] {
                    try await world.until(device) { try await device.view(room).texts == ["to all"] }
                }
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a broken session is replaced by one of its kind`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .offered, bob: .offered)
                try await pair.talk()
                let (alices, bobs) = (SentAlgorithms(), SentAlgorithms())
                pair.alice.line.watch(alices)
                pair.bob.line.watch(bobs)
                try await pair.bob.forgetSessions()
                try await pair.alice.discard(pair.room)
                try await pair.alice.say("through a broken channel", pair.room)
                _ = try await pair.bobReads("hello", "hi", "through a broken channel")
                #expect(Set(alices.messages + bobs.messages) == [HybridTests.hybrid])
                #expect(bobs.claims.contains(HybridAlgorithm.keyAlgorithm))
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `what was begun before it was switched off is read, and not begun again`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .offered, bob: .offered)
                let sent = SentAlgorithms()
                pair.alice.line.watch(sent)
                // Alice has not heard of it yet.
                try await pair.bob.choose(.off)
                #expect(try await !pair.bob.client.isHybridOffered())
                try await pair.alice.say("too late", pair.room)
                #expect(sent.messages == [HybridTests.hybrid])
                try await world.until(pair.bob) { try await pair.bob.view(pair.room).texts == ["too late"] }
                try await world.until(pair.alice) { try await pair.alice.offer(of: pair.bob) == .withdrawn }
                // The session stays as it is; the next is Olm's.
                sent.clear()
                try await pair.alice.discard(pair.room)
                try await pair.alice.say("as before", pair.room)
                #expect(sent.messages == [HybridTests.hybrid])
                _ = try await pair.bobReads("too late", "as before")
                try await pair.alice.forgetSessions()
                try await pair.alice.say("by Olm", pair.room)
                #expect(sent.messages.last == HybridTests.olm)
                _ = try await pair.bobReads("too late", "as before", "by Olm")
                #expect(try await pair.alice.standing(of: pair.bob) == .withdrawn)
                #expect(try await pair.alice.client.downgradedDevices(in: pair.room).count == 1)
                // On again: the keys that the server has are still good.
                try await pair.bob.choose(.offered)
                try await world.until(pair.alice) { try await pair.alice.offer(of: pair.bob) == .offered }
                try await pair.alice.say("once more", pair.room)
                #expect(sent.messages.last == HybridTests.hybrid)
                _ = try await pair.bobReads("too late", "as before", "by Olm", "once more")
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `who keeps it does not write without it to a device that offered it, until told to`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world, alice: .kept, bob: .offered)
                try await pair.bob.choose(.off)
                try await world.until(pair.alice) { try await pair.alice.offer(of: pair.bob) == .withdrawn }
                let sent = SentAlgorithms()
                pair.alice.line.watch(sent)
                try await pair.alice.say("not without", pair.room)
                #expect(sent.messages.isEmpty)
                #expect(try await pair.alice.standing(of: pair.bob) == .withdrawn)
                // The person at Alice's device hears from Bob that he has switched it off.
                try await pair.alice.client.acceptNewKeys(of: pair.bob.user, pair.bob.device)
                #expect(try await pair.alice.offer(of: pair.bob) == .never)
                _ = try await pair.bobReads("not without")
                #expect(Set(sent.messages) == [HybridTests.olm])
            }
        }

        @Test(.timeLimit(.minutes(2)))
        func `a signed device stays signed, and one that cannot sign itself is not changed`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world)
                try await pair.bob.makeIdentity()
                for policy in [HybridAlgorithm.Policy.offered, .off, .kept] {
                    try await pair.bob.choose(policy)
                    try await pair.bob.step()
                    #expect(try await pair.bob.client.crossSigningStatus().isDeviceSigned)
                    try await pair.alice.follow(pair.bob)
                    try await world.until(pair.alice) {
                        try await pair.alice.offer(of: pair.bob) == (policy == .off ? .withdrawn : .offered)
                    }
                    try await pair.alice.noteChanged(pair.bob.user)
                    try await pair.alice.step()
                    let known = try #require(try await pair.alice.known(pair.bob))
                    let machine = pair.alice.client.machine
                    #expect(try await pair.alice.database.read { try machine.isCrossSigned(known, in: $0) })
                }
                _ = try await pair.bob.database.write { try $0.execute("DELETE FROM own_secrets") }
                await #expect(throws: EncryptionError.cannotSign) { try await pair.bob.client.setHybridPolicy(.off) }
                #expect(try await pair.bob.client.hybridPolicy() == .kept)
            }
        }

        /// As Synapse does.
        @Test(.timeLimit(.minutes(2)))
        func `where the server keeps the first signature, the keys stay as they were signed`() async throws {
            try await FaultWorld.run { world in
                let pair = try await FaultPair(world)
                let bob = pair.bob
                try await bob.makeIdentity()
                let first = Kept<JSONValue>()
                bob.line.change { request, answer in
                    guard request.pathAndQuery.contains("/keys/query"),
                        var keys = answer["device_keys", bob.user.text]?[bob.device.text]
                    else { return answer }
                    let own = "ed25519:\(bob.device.text)"
                    var signatures = keys["signatures", bob.user.text] ?? [:]
                    if first.get() == nil { first.set(signatures) }
                    for (id, signature) in first.get()?.members ?? [] where id != own { signatures[id] = signature }
                    keys["signatures"] = [bob.user.text: signatures]
                    var answer = answer
                    answer["device_keys"] = [bob.user.text: [bob.device.text: keys]]
                    return answer
                }
                try await bob.noteChanged(bob.user)
                try await bob.step()
                #expect(first.get()?.count == 2)
                try await bob.client.setHybridPolicy(.offered)
                #expect(try await bob.client.isHybridOfferFixed())
                #expect(try await !bob.client.isHybridOffered())
                #expect(try await bob.client.crossSigningStatus().isDeviceSigned)
                for _ in 0..<2 { try await bob.step() }
                #expect(try await !bob.client.isHybridOffered(), "it is not tried again and again")
                #expect(try await bob.client.crossSigningStatus().isDeviceSigned)
            }
        }
    }
}

extension FaultDevice {
    /// The Megolm session that the room's next message would use.
    func roomSession(_ room: RoomID) async throws -> String? {
        try await database.read {
            try $0.query("SELECT session_id FROM outbound_group_sessions WHERE room_id = \(room.text)").first?.text(0)
        }
    }
}
