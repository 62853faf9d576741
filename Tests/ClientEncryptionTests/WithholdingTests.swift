import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import Synchronization
import Testing

@testable import ClientEncryption

@Suite("Keys that are withheld") struct WithholdingTests {
    let server = KeyServer()

    private func view(_ value: JSONValue) throws -> JSONView { try JSONDocument(value.serialized()).root }

    /// Why bob cannot read a message of alice's, after these users have said that its session is withheld.
    private func explained(_ answers: [(sender: String, code: String)]) async throws -> Undecryptable {
        let bob = try await TrustDevice("bob", on: server)
        _ = try await TrustDevice("alice", on: server)
        for (sender, code) in answers {
            server.state.withLock { state in
                state.inboxes["@bob:a|PHONE", default: []].append([
                    "type": "m.room_key.withheld", "sender": .string(sender),
                    "content": [
                        "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!room:a", "session_id": "session",
                        "sender_key": "x", "code": .string(code), "reason": "so",
                    ],
                ])
            }
        }
        try await bob.sync()
        let event = try view([
            "type": "m.room.encrypted", "sender": "@alice:a", "event_id": "$1", "origin_server_ts": 1_800_000_000_000,
            "content": ["algorithm": "m.megolm.v1.aes-sha2", "session_id": "session", "ciphertext": "AwgA"],
        ])
        let room = try RoomID("!room:a")
        return try await bob.write { machine, connection in
            do {
                _ = try machine.decrypt(event, in: room, in: connection)
            } catch let error as EncryptionError {
                return try machine.explain(error, event, in: room, in: connection)
            }
            throw EncryptionError.malformed(path: "it was read")
        }
    }

    @Test func `the sender's word is the cause`() async throws {
        let why = try await explained([("@alice:a", "m.unverified"), ("@mallory:a", "m.blacklisted")])
        #expect(why.cause == .withheld && why.code == "m.unverified" && why.ownAnswer == nil)
    }

    @Test func `a stranger's word is none`() async throws {
        let why = try await explained([("@mallory:b", "m.blacklisted")])
        #expect(why.cause == .noRoomKey && why.code == nil && why.ownAnswer == nil)
    }

    @Test func `what our own devices answer is no word of the sender's`() async throws {
        let why = try await explained([("@bob:a", "m.unverified")])
        #expect(why.cause == .noRoomKey && why.ownAnswer == "m.unverified")
        #expect(why.remedies.contains(.verifyThisDevice))
    }

    @Test func `who gave us others' keys may say which of them they may not give`() async throws {
        let bob = try await TrustDevice("bob", on: server)
        let room = try RoomID("!room:a")
        let codes = try await bob.write { machine, connection in
            func code() throws -> String? {
                try machine.withheldCode(room, "session", sender: "@alice:a", at: 0, in: connection)?.code
            }
            func note(_ code: String, isHandedOn: Bool) throws {
                try machine.noteWithheld(
                    room.text, "session", by: "@carol:a", code: code, reason: nil, isHandedOn: isHandedOn,
                    in: connection)
            }
            try note("m.unavailable", isHandedOn: false)
            let before = try code()
            try note("m.history_not_shared", isHandedOn: true)
            let after = try code()
            try note("m.unavailable", isHandedOn: false)
            return [before, after, try code()]
        }
        #expect(codes == [nil, "m.history_not_shared", "m.history_not_shared"])
    }
}
