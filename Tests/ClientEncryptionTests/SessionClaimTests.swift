import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import Testing

@testable import ClientEncryption

@Suite("Whose a session is") struct SessionClaimTests {
    let server = KeyServer()

    private func view(_ value: JSONValue) throws -> JSONView { try JSONDocument(value.serialized()).root }

    /// Gives the device the session as another device's own, as a key that came over Olm.
    @discardableResult
    private func give(_ session: OutboundGroupSession, from other: TrustDevice, to device: TrustDevice) async throws
        -> Bool
    {
        let room = try RoomID("!room:a")
        let keys = try await other.write { machine, connection in
            let account = try machine.account(in: connection)
            return [account.curve25519Key.bytes, account.ed25519Key.bytes].map { Base64.encode($0) }
        }
        let origin = RoomKeyOrigin(
            owner: other.user, curve25519: keys[0], ed25519: keys[1], source: .roomKey, sharesHistory: true)
        let inbound = try InboundGroupSession(sessionKey: session.sessionKey)
        return try await device.write { try $0.keep(inbound, room: room, origin, in: $1) }
    }

    private func handedOn(_ session: String, _ key: [UInt8]) throws -> JSONView {
        try view([
            "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!room:a", "session_id": .string(session),
            "session_key": .string(Base64.encode(key)),
            "sender_key": .string(Base64.encode([UInt8](repeating: 9, count: 32))),
            "sender_claimed_keys": ["ed25519": ""],
        ])
    }

    private func event(
        _ session: inout OutboundGroupSession, _ text: String, from sender: TrustDevice
    ) throws -> JSONValue {
        let payload: JSONValue = ["type": "m.room.message", "content": ["body": .string(text)], "room_id": "!room:a"]
        return [
            "type": "m.room.encrypted", "sender": .string(sender.user.text), "event_id": .string("$\(text)"),
            "origin_server_ts": 1,
            "content": [
                "algorithm": "m.megolm.v1.aes-sha2", "session_id": .string(session.id),
                "ciphertext": .string(Base64.encode(try session.encrypt(payload.serialized()))),
            ],
        ]
    }

    private func read(_ event: JSONValue, on device: TrustDevice) async throws -> DecryptedEvent {
        let (view, room) = (try view(event), try RoomID("!room:a"))
        return try await device.write { try $0.decrypt(view, in: room, in: $1) }
    }

    @Test func `who sends another's session as their own keeps nobody from reading its owner`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        let mallory = try await TrustDevice("mallory", on: server)
        try await bob.look(at: alice, mallory)
        var session = OutboundGroupSession(random: SystemRandomSource())
        try await give(session, from: mallory, to: bob)

        try await give(session, from: alice, to: bob)

        let first = try event(&session, "first", from: alice)
        // Mallory repeats it, and Bob happens to read that before.
        var copy = first
        copy["sender"] = .string(mallory.user.text)
        copy["event_id"] = "$copy"
        #expect(try await read(copy, on: bob).device == mallory.device)
        let shown = try await read(first, on: bob)
        #expect(shown.content["body"] == "first" && shown.device == alice.device)
        var again = first
        again["event_id"] = "$again"
        await #expect(throws: EncryptionError.replayed) { try await self.read(again, on: bob) }
        var strange = first
        strange["sender"] = "@carol:a"
        await #expect(throws: EncryptionError.mismatch(rule: "the session belongs to the event's sender")) {
            try await self.read(strange, on: bob)
        }
    }

    @Test func `who of several is the first to be read is the owner, also for the backup`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        let mallory = try await TrustDevice("mallory", on: server)
        try await bob.look(at: alice, mallory)
        var session = OutboundGroupSession(random: SystemRandomSource())
        try await give(session, from: mallory, to: bob)
        try await give(session, from: alice, to: bob)
        let (room, id) = (try RoomID("!room:a"), session.id)
        func owners() async throws -> [String] {
            try await bob.write { machine, connection in
                let row = try machine.inboundRow(room, id, in: connection)
                return [row?.origin.owner?.text ?? ""]
                    + (try machine.claims(to: id, room, in: connection)).map { $0.owner?.text ?? "" }
            }
        }
        #expect(try await owners() == ["@mallory:a", "@alice:a"])

        let first = try event(&session, "first", from: alice)
        #expect(try await read(first, on: bob).device == alice.device)

        #expect(try await owners() == ["@alice:a", "@mallory:a"])
        var copy = first
        copy["sender"] = .string(mallory.user.text)
        copy["event_id"] = "$copy"
        #expect(try await read(copy, on: bob).device == mallory.device)
        #expect(try await owners() == ["@alice:a", "@mallory:a"])
        #expect(try await read(first, on: bob).device == alice.device)
    }

    @Test func `a session that is disputed is shared with nobody unless all say so`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        let mallory = try await TrustDevice("mallory", on: server)
        let session = OutboundGroupSession(random: SystemRandomSource())
        try await give(session, from: mallory, to: bob)
        let (room, inbound) = (try RoomID("!room:a"), session.inbound)
        try await bob.write { machine, connection in
            let origin = RoomKeyOrigin(
                owner: alice.user, curve25519: "a", ed25519: "b", source: .roomKey, sharesHistory: false)
            _ = try machine.keep(inbound, room: room, origin, in: connection)
        }
        #expect(try await bob.write { try $0.inboundRow(room, inbound.id, in: $1)?.sharesHistory } == false)
    }

    @Test func `our own session is nobody else's, and a user may claim one a few times only`() async throws {
        let bob = try await TrustDevice("bob", on: server)
        let mallory = try await TrustDevice("mallory", on: server)
        try await bob.look(at: mallory)
        try await bob.prepareRoomKey(for: mallory)
        let room = try RoomID("!room:a")
        let own = try #require(try await bob.write { try $0.outbound(room, in: $1)?.session })
        await #expect(throws: EncryptionError.mismatch(rule: "a session has one owner")) {
            try await self.give(own, from: mallory, to: bob)
        }

        let session = OutboundGroupSession(random: SystemRandomSource())
        let inbound = session.inbound
        let origins = (0..<10).map { number in
            RoomKeyOrigin(
                owner: mallory.user, curve25519: "c\(number)", ed25519: "e", source: .roomKey, sharesHistory: false)
        }
        let taken = try await bob.write { machine, connection in
            origins.filter { (try? machine.keep(inbound, room: room, $0, in: connection)) != nil }.count
        }
        #expect(taken == 1 + Limits.claimsPerSessionAndUser)
    }

    @Test(arguments: [RoomKeySource.forwarded, .keyFile])
    func `a key that a server made up and put into the backup gives way to a true one`(_ source: RoomKeySource)
        async throws
    {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        var session = OutboundGroupSession(random: SystemRandomSource())
        let id = Base64.decode(session.id) ?? []
        let madeUp = try handedOn(session.id, [1, 0, 0, 0, 0] + SystemRandomSource().bytes(128) + id)
        let genuine = try handedOn(session.id, session.inbound.exportedKey)
        let message = try event(&session, "true", from: alice)
        let shown = try view(message)
        _ = try await bob.write { try $0.importRoomKeys([madeUp], from: .backup, in: $1) }

        // The message is signed by who made the session: the key is at fault, and is looked for elsewhere.
        let room = try RoomID("!room:a")
        let why = try await bob.write { machine, connection -> Undecryptable.Cause? in
            do {
                _ = try machine.decrypt(shown, in: room, in: connection)
                return nil
            } catch let error as EncryptionError {
                let why = try machine.explain(error, shown, in: room, in: connection)
                try machine.noteUnread(shown, in: room, why, in: connection)
                return why.cause
            }
        }
        #expect(why != .badSignature)
        #expect(try await bob.write { try $0.missingSessions(in: $1).count } == 1)

        #expect(try await bob.write { try $0.importRoomKeys([genuine], from: source, in: $1).count } == 1)
        #expect(try await read(message, on: bob).content["body"] == "true")
        _ = try await bob.write { try $0.importRoomKeys([madeUp], from: .backup, in: $1) }
        #expect(try await read(message, on: bob).content["body"] == "true", "and does not come back")
    }
}
