import Cryptography
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import ClientEncryption

@Suite("Room keys for verifications") struct VerificationKeyTests {
    let server = KeyServer()
    private let settings = RoomEncryptionSettings(JSONValue.object(["algorithm": "m.megolm.v1.aes-sha2"]))

    private func pair() async throws -> (alice: TrustDevice, bob: TrustDevice) {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        try await alice.makeIdentity()
        try await bob.makeIdentity()
        try await alice.look(at: bob)
        return (alice, bob)
    }

    /// What comes before an event, and the event.
    private func send(
        _ type: String, from alice: TrustDevice, to bob: TrustDevice, _ purpose: RoomKeyPurpose, claims: Bool = true
    ) async throws -> JSONValue {
        let (room, users, settings) = (try RoomID("!room:a"), [bob.user], settings)
        if claims, let claim = try await alice.write({ try $0.keyClaim(for: users, purpose: purpose, in: $1) }) {
            let answer = try alice.call(claim.call)
            _ = try await alice.write { try $0.claimed(claim, response: answer, in: $1) }
        }
        try await alice.write {
            try $0.prepareRoomKey(for: room, recipients: users, settings: settings, purpose: purpose, in: $1)
        }
        try await alice.flush()
        let isPrepared = try await alice.write {
            try $0.isPrepared(for: room, recipients: users, settings: settings, purpose: purpose, in: $1)
        }
        #expect(isPrepared)
        let content = try await alice.write { try $0.encrypt(type, ["body": .string(type)], for: room, in: $1) }
        return [
            "type": "m.room.encrypted", "event_id": .string("$\(SystemRandomSource().token(8))"),
            "sender": .string(alice.user.text), "origin_server_ts": 1, "content": content,
        ]
    }

    private func reads(_ event: JSONValue, _ bob: TrustDevice) async throws -> Bool {
        try await bob.sync()
        let (view, room) = (try JSONDocument(event.serialized()).root, try RoomID("!room:a"))
        return try await bob.write { machine, connection in
            do { return try !machine.decrypt(view, in: room, in: connection).type.isEmpty } catch EncryptionError
                .noRoomKey
            { return false }
        }
    }

    @Test func `who has become someone else can be verified again, and gets no message before`() async throws {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        #expect(try await reads(send("m.room.message", from: alice, to: bob, .messages), bob))
        try await bob.makeIdentity()
        try await alice.look(at: bob)
        await #expect(throws: EncryptionError.changedIdentity(user: bob.user)) {
            try await self.send("m.room.message", from: alice, to: bob, .messages)
        }

        let event = try await send("m.key.verification.ready", from: alice, to: bob, .verification)

        #expect(try await reads(event, bob))
        await #expect(throws: EncryptionError.changedIdentity(user: bob.user)) {
            try await self.send("m.room.message", from: alice, to: bob, .messages)
        }
    }

    @Test(arguments: [KeySharing.verifiedUsers, .crossSignedDevices, .crossSignedWherePossible])
    func `a device that gets no messages yet gets what verifies it, and no more`(_ sharing: KeySharing) async throws {
        let (alice, _) = try await pair()
        let bob = try await TrustDevice("bob", "TABLET", on: server)
        try await alice.look(at: bob)
        try await alice.write { try $0.setSharing(sharing, in: $1) }
        let before = try await send("m.room.message", from: alice, to: bob, .messages)

        let event = try await send("m.key.verification.start", from: alice, to: bob, .verification)
        let after = try await send("m.room.message", from: alice, to: bob, .messages)

        #expect(try await reads(event, bob))
        #expect(try await !reads(before, bob))
        #expect(try await !reads(after, bob))
        let sessions = [before, event, after].map { $0["content", "session_id"]?.string }
        #expect(Set(sessions).count == 3)
    }

    @Test func `a session for a verification encrypts no message`() async throws {
        let (alice, bob) = try await pair()
        let room = try RoomID("!room:a")
        _ = try await send("m.key.verification.start", from: alice, to: bob, .verification)
        await #expect(throws: EncryptionError.notPrepared) {
            _ = try await alice.write { try $0.encrypt("m.room.message", ["body": "secret"], for: room, in: $1) }
        }
        _ = try await alice.write {
            try $0.encrypt("m.room.message", ["msgtype": "m.key.verification.request"], for: room, in: $1)
        }
    }

    @Test func `a device that had no key left gets that of the verification later all the same`() async throws {
        let (alice, _) = try await pair()
        let bob = try await TrustDevice("bob", "TABLET", on: server)
        try await alice.look(at: bob)
        let event = try await send("m.key.verification.start", from: alice, to: bob, .verification, claims: false)
        #expect(try await !reads(event, bob))
        _ = try await send("m.key.verification.key", from: alice, to: bob, .verification)
        #expect(try await reads(event, bob))
    }

    @Test func `a verification gives no message's key to who has become someone else, until that is accepted`()
        async throws
    {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        let owed = try await send("m.room.message", from: alice, to: bob, .messages, claims: false)
        try await bob.makeIdentity()
        try await alice.look(at: bob)

        let event = try await send("m.key.verification.start", from: alice, to: bob, .verification)

        #expect(try await reads(event, bob))
        #expect(try await !reads(owed, bob))
        try await alice.write { try $0.acceptIdentity(of: bob.user, in: $1) }
        _ = try await send("m.room.message", from: alice, to: bob, .messages)
        #expect(try await reads(owed, bob))
    }

    @Test func `a blocked device gets nothing of a verification either`() async throws {
        let (alice, bob) = try await pair()
        #expect(try await alice.write { try $0.setBlocked(true, bob.user, bob.device, in: $1) })
        let event = try await send("m.key.verification.start", from: alice, to: bob, .verification)
        #expect(try await !reads(event, bob))
    }
}
