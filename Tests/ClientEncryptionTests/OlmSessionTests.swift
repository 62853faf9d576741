import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import ClientEncryption

@Suite("Olm sessions") struct OlmSessionTests {
    let server = KeyServer()

    /// Publishes, as a device of Mallory's, the `curve25519` key of Alice's device beside Mallory's own `ed25519` key.
    private func steal(_ curve25519: String, for mallory: TrustDevice) async throws {
        let keys = try await mallory.write { machine, connection in
            let account = try machine.account(in: connection)
            return SignedJSON.sign(
                [
                    "user_id": "@mallory:a", "device_id": "PHONE",
                    "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
                    "keys": [
                        "curve25519:PHONE": .string(curve25519),
                        "ed25519:PHONE": .string(Base64.encode(account.ed25519Key.bytes)),
                    ],
                ], as: "@mallory:a", keyID: "ed25519:PHONE", with: account.ed25519SigningKey)
        }
        server.state.withLock { $0.deviceKeys["@mallory:a", default: [:]]["PHONE"] = keys }
        server.tell(of: "@mallory:a")
    }

    @Test func `who shows another's key as their own does not break the channel to its owner`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        let mallory = try await TrustDevice("mallory", on: server)
        let curve = try await alice.write { Base64.encode(try $0.account(in: $1).curve25519Key.bytes) }
        try await steal(curve, for: mallory)
        try await bob.look(at: alice, mallory)
        try await bob.claim(alice.user)
        try await bob.prepareRoomKey(for: alice)
        try await bob.flush()
        #expect(try await alice.sync().roomKeys.count == 1)

        server.state.withLock { state in
            state.inboxes["@bob:a|PHONE", default: []].append([
                "type": "m.room_key.withheld", "sender": "@mallory:a",
                "content": ["code": "m.no_olm", "sender_key": .string(curve), "algorithm": "m.megolm.v1.aes-sha2"],
            ])
        }
        try await bob.sync()
        try await bob.claim(mallory.user)
        let counts = try await bob.write { try $1.query("SELECT COUNT(*) FROM olm_sessions").first?.int(0) }
        #expect(counts == 2, "Mallory got what they asked for")
        let room = try RoomID("!room:a")
        try await bob.write { try $0.discardRoomKey(of: room, in: $1) }
        try await bob.prepareRoomKey(for: alice)
        try await bob.flush()

        let outcome = try await alice.sync()
        #expect(outcome.roomKeys.count == 1 && outcome.warnings.isEmpty)
    }

    @Test func `a store of before keeps its sessions`() async throws {
        let database = try SQLiteDatabase.inMemory()
        try await Migrator.migrate(
            database, EncryptionSchema.migrations.filter { $0.number < 40 }, oldestCompatible: 1)
        try await database.write { connection in
            for (user, device, curve, gone) in [
                ("@a:a", "A", "one", 0), ("@b:a", "B", "two", 1), ("@c:a", "C", "one", 1),
            ] {
                try connection.execute(
                    """
                    INSERT INTO devices (user_id, device_id, curve25519, ed25519, gone, changed, first_seen, claim_at,
                        unwedge_wanted, unwedged_at)
                    VALUES (\(user), \(device), \(curve), \("ed \(device)"), \(gone), 0, 1, 0, 0, 0)
                    """)
            }
            for curve in ["one", "two", "three"] {
                try connection.execute(
                    """
                    INSERT INTO olm_sessions (session_id, curve25519, pickle, created_at, received_at)
                    VALUES (\("s \(curve)"), \(curve), \([UInt8]([1])), 1, 1)
                    """)
            }
            try connection.execute("INSERT INTO signatures_due VALUES ('@a:a', 'A')")
            try connection.execute("INSERT INTO signatures_due VALUES ('@b:a', 'master key')")
        }

        try await Migrator.migrate(database, EncryptionSchema.migrations, oldestCompatible: 40)

        let (owners, due) = try await database.read { connection in
            (
                try connection.query("SELECT user_id FROM olm_sessions ORDER BY session_id").map { try $0.text(0) },
                try connection.query("SELECT ed25519 FROM signatures_due ORDER BY user_id")
                    .map { try $0.optionalText(0) }
            )
        }
        #expect(owners == ["@a:a", "", "@b:a"])
        #expect(due == ["ed A", nil])
    }
}
