import ClientEncryption
import HTTPMessages
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

/// Verifying is possible where it is demanded.
@Suite("Events of verifications go where messages may not") struct VerificationEventTests {
    private static let request: JSONValue = [
        "msgtype": "m.key.verification.request", "body": "verify me", "from_device": "X", "methods": ["m.sas.v1"],
    ]

    @Test func `somebody who is someone else now is asked to verify, and told nothing else`() async throws {
        try await FaultWorld.run { world in
            let pair = try await FaultPair(world)
            let (alice, bob, room) = (pair.alice, pair.bob, pair.room)
            try await alice.makeIdentity()
            try await bob.makeIdentity()
            try await pair.talk()
            try await alice.vouch(for: bob)
            // What waits since the server was away, and may not go out any more.
            alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/send/") else { return answer }
                return [:]
            }
            await #expect(throws: ClientError.self) { try await alice.say("waits", room) }
            alice.line.change(nil)
            try await alice.database.write {
                try $0.execute(
                    "UPDATE send_queue SET wire_type = NULL, wire_content = NULL")
            }
            try await bob.resetIdentity()
            try await world.until(alice) {
                try await alice.noteChanged(bob.user)
                return try await alice.client.identity(of: bob.user).identity?.change == .afterVerification
            }
            await #expect(throws: EncryptionError.changedIdentity(user: bob.user)) {
                try await alice.say("secret", room)
            }

            _ = try await alice.client.send("m.room.message", Self.request, to: room)
            _ = try await alice.client.send("m.key.verification.ready", ["body": "ready"], to: room)

            try await world.until(bob) { try await bob.view(room).texts.suffix(2) == ["verify me", "ready"] }
            await #expect(throws: EncryptionError.changedIdentity(user: bob.user)) {
                try await alice.say("secret", room)
            }
            #expect(try await bob.view(room).texts.contains("secret") == false)
        }
    }

    @Test(arguments: [KeySharing.verifiedUsers, .crossSignedDevices])
    func `who gets no messages yet reads what verifies them, and no more`(sharing: KeySharing) async throws {
        try await FaultWorld.run { world in
            let pair = try await FaultPair(world)
            let (alice, bob, room) = (pair.alice, pair.bob, pair.room)
            try await alice.makeIdentity()
            try await alice.client.setSharing(sharing)
            try await alice.say("not for bob", room)

            _ = try await alice.client.send("m.room.message", Self.request, to: room)
            try await world.until(bob) { try await bob.view(room).texts == ["verify me"] }

            try await alice.say("nor this", room)
            _ = try await alice.client.send("m.key.verification.start", ["body": "start"], to: room)
            try await world.until(bob) { try await bob.view(room).texts == ["verify me", "start"] }
            #expect(try await bob.view(room).failures.count == 2)
        }
    }
}
