import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import SQLiteEngine
import Testing

@testable import ClientEncryption

@Suite("Online backup") struct BackupTests {
    let server = KeyServer()

    /// What the server would say about the backup that a device makes.
    private func created(by device: TrustDevice, _ version: String = "1") async throws -> JSONValue {
        var shown = try JSONValue.parse(try await device.write { try $0.backupCreation(in: $1).body })
        try await device.write { try $0.backupCreated(version: version, in: $1) }
        shown["version"] = .string(version)
        return shown
    }

    private func view(_ value: JSONValue) throws -> JSONView { try JSONDocument(value.serialized()).root }

    private func trust(of device: TrustDevice, _ shown: JSONValue) async throws -> BackupTrust {
        let answer = try view(shown)
        return try await device.write { try $0.trust(in: answer, $1) }
    }

    @discardableResult
    private func adopt(_ shown: JSONValue, on device: TrustDevice) async throws -> BackupTrust {
        let answer = try view(shown)
        return try await device.write { try $0.adopt(backup: answer, in: $1) }
    }

    private func addSessions(_ count: Int, to device: TrustDevice) async throws {
        try await device.write { machine, connection in
            for number in 0..<count {
                let session = OutboundGroupSession(random: SystemRandomSource())
                let exported: JSONValue = [
                    "algorithm": "m.megolm.v1.aes-sha2", "room_id": .string("!\(number % 3):a"),
                    "session_id": .string(session.id),
                    "session_key": .string(Base64.encode(session.inbound.exportedKey)),
                    "sender_key": .string(Base64.encode([UInt8](repeating: 9, count: 32))),
                    "sender_claimed_keys": ["ed25519": .string(Base64.encode([UInt8](repeating: 8, count: 32)))],
                ]
                _ = try machine.importRoomKeys(
                    [try JSONDocument(exported.serialized()).root], from: .keyFile, in: connection)
            }
        }
    }

    /// All batches, as the server would keep them: room, then session.
    private func uploaded(by device: TrustDevice) async throws -> [JSONValue] {
        var batches: [JSONValue] = []
        while let upload = try await device.write({ try $0.backupUpload(in: $1) }) {
            #expect(upload.count <= 100)
            batches.append(try JSONValue.parse(upload.call.body))
            try await device.write { try $0.backedUp(upload, in: $1) }
        }
        return batches
    }

    private func restore(_ batches: [JSONValue], to device: TrustDevice) async throws -> BackupRestoration {
        var all = BackupRestoration()
        for batch in batches {
            for (room, entry) in try view(batch)["rooms"]?.members ?? [] {
                all.add(try await device.write { try $0.restore(room: room, entry, in: $1) })
            }
        }
        return all
    }

    @Test func `sessions go up in batches, once each, and come back on another device`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        try await phone.makeIdentity()
        let shown = try await created(by: phone)
        try await addSessions(250, to: phone)

        let batches = try await uploaded(by: phone)
        #expect(batches.count == 3)
        #expect(try await phone.write { try $0.backupCount(in: $1) } == (250, 250))
        #expect(try await phone.write { try $0.backupUpload(in: $1)?.count } == nil)

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await tablet.look()
        let key = try await phone.write { try $0.secretsInUse(in: $1)[.backup] } ?? ""
        #expect(try await tablet.write { try $0.take(key, as: .backup, in: $1) })
        #expect(try await adopt(shown, on: tablet) == .privateKey)
        let restoration = try await restore(batches, to: tablet)
        #expect(restoration.read == 250 && restoration.roomKeys.count == 250 && restoration.damaged == 0)
        #expect(try await tablet.write { try $0.backupUpload(in: $1)?.count } == nil, "what came is not sent back")
    }

    @Test func `a batch whose answer was lost is sent again`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        _ = try await created(by: phone)
        try await addSessions(5, to: phone)
        let first = try await phone.write { try $0.backupUpload(in: $1) }
        let second = try await phone.write { try $0.backupUpload(in: $1) }
        #expect(first?.count == 5 && second?.count == 5)
    }

    @Test(arguments: ["2", "10", "0", ""]) func `a new backup gets all sessions anew`(version: String) async throws {
        let phone = try await TrustDevice("alice", on: server)
        _ = try await created(by: phone)
        try await addSessions(3, to: phone)
        _ = try await uploaded(by: phone)
        _ = try await created(by: phone, version)
        #expect(try await uploaded(by: phone).count == 1)
        #expect(try await phone.write { try $0.backup(in: $1)?.version } == version)
        #expect(try await phone.write { try $0.backupUpload(in: $1)?.count } == nil)
        #expect(try await phone.write { try $0.backupCount(in: $1) } == (3, 3))
    }

    @Test func `what the backup lacks is found without looking at what it has`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        _ = try await created(by: phone)
        let notes = try await phone.statements { _ = try $0.backupUpload(in: $1) }
        let asked = try #require(notes.first { $0.contains("FROM inbound_group_sessions") })
        let steps = try await phone.write { _, connection in
            try connection.query(SQL(raw: "EXPLAIN QUERY PLAN " + asked.replacing(/\$[0-9]+/, with: "'1'")))
                .map { try $0.text(3) }
        }
        let reads = steps.filter { $0.contains("inbound_group_sessions") }
        #expect(reads.count == 3)
        #expect(
            reads.allSatisfy { $0.hasPrefix("SEARCH") && $0.contains("inbound_group_sessions_backed_up") }, "\(steps)")
    }

    @Test func `a store of before knows what its backup has`() async throws {
        let database = try SQLiteDatabase.inMemory()
        try await Migrator.migrate(
            database, EncryptionSchema.migrations.filter { $0.number < 42 }, oldestCompatible: 1)
        try await database.write { connection in
            for session in ["one", "two"] {
                try connection.execute(
                    """
                    INSERT INTO inbound_group_sessions
                        (room_id, session_id, user_id, curve25519, ed25519, pickle, received_at)
                    VALUES ('!a:a', \(session), '', '', '', \([UInt8]([1])), 1)
                    """)
            }
            try connection.execute("INSERT INTO backed_up_sessions VALUES ('!a:a', 'two', '7')")
        }
        try await Migrator.migrate(database, EncryptionSchema.migrations, oldestCompatible: 42)
        let marks = try await database.read { connection in
            try connection.query("SELECT backed_up_in FROM inbound_group_sessions ORDER BY session_id")
                .map { try $0.optionalText(0) }
        }
        #expect(marks == [nil, "7"])
    }

    @Test func `a backup is trusted by its private key, our identity or a verified device; not otherwise`() async throws
    {
        let phone = try await TrustDevice("alice", on: server)
        try await phone.makeIdentity()
        let shown = try await created(by: phone)
        #expect(try await trust(of: phone, shown) == .privateKey)

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await tablet.look()
        #expect(try await adopt(shown, on: tablet) == .none)
        #expect(try await tablet.write { try $0.backup(in: $1) } == nil)
        let master = try await tablet.write { try $0.identity(of: tablet.user, in: $1)?.master } ?? ""
        try await tablet.write { try $0.trustOwnIdentity(master: master, in: $1) }
        #expect(try await trust(of: tablet, shown) == .identity)

        var byDevice = shown
        var data = shown["auth_data"] ?? [:]
        var signatures = data["signatures", "@alice:a"] ?? [:]
        signatures["ed25519:\(master)"] = nil
        data["signatures"] = ["@alice:a": signatures]
        byDevice["auth_data"] = data
        #expect(try await trust(of: tablet, byDevice) == .device)

        var forged = shown
        data = shown["auth_data"] ?? [:]
        data["public_key"] = .string(Base64.encode([UInt8](repeating: 9, count: 32)))
        forged["auth_data"] = data
        #expect(try await trust(of: tablet, forged) == .none)
        #expect(try await trust(of: phone, forged) == .none)
        forged["algorithm"] = "org.example"
        #expect(try await trust(of: tablet, forged) == .unsupported)
    }

    @Test(arguments: ["mac", "ciphertext", "ephemeral", "session", "nothing"])
    func `a damaged session is counted, and the others are read`(_ what: String) async throws {
        let phone = try await TrustDevice("alice", on: server)
        let shown = try await created(by: phone)
        try await addSessions(3, to: phone)
        var batch = try #require(try await uploaded(by: phone).first)
        var rooms = batch["rooms"] ?? [:]
        var sessions = rooms["!0:a", "sessions"] ?? [:]
        let name = try #require(sessions.members.first?.key)
        var session = sessions[name] ?? [:]
        var data = session["session_data"] ?? [:]
        switch what {
        case "session":
            sessions[name] = nil
            sessions[Base64.encode([UInt8](repeating: 5, count: 32))] = session
        case "nothing":
            sessions[name] = [:]
        default:
            var bytes = Base64.decode(data[what]?.string ?? "") ?? []
            bytes[0] ^= 1
            data[what] = .string(Base64.encode(bytes))
            session["session_data"] = data
            sessions[name] = session
        }
        rooms["!0:a"] = ["sessions": sessions]
        batch["rooms"] = rooms

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        let key = try await phone.write { try $0.secretsInUse(in: $1)[.backup] } ?? ""
        #expect(try await tablet.write { try $0.take(key, as: .backup, in: $1) })
        #expect(try await adopt(shown, on: tablet) == .privateKey)
        let restoration = try await restore([batch], to: tablet)
        #expect(restoration.damaged == 1 && restoration.read == 2)
    }

    @Test func `another backup's key opens nothing`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        let shown = try await created(by: phone)
        let other = BackupKey.generate(SystemRandomSource())
        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        let answer = try view(shown)
        #expect(try await !tablet.write { try $0.take(backupKey: other.bytes, for: answer, in: $1) })
        #expect(try await adopt(shown, on: tablet) == .none)
        await #expect(throws: EncryptionError.wrongRecoveryKey) {
            _ = try await tablet.write { try $0.restore(session: "x", of: try RoomID("!0:a"), answer, in: $1) }
        }
    }

    @Test func `a session that reads more than what is on its way goes up again`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        _ = try await created(by: phone)
        var outbound = OutboundGroupSession(random: SystemRandomSource())
        let early = outbound.inbound
        for _ in 0..<5 { _ = try outbound.encrypt([1]) }
        func take(_ session: InboundGroupSession) async throws {
            let key = try view([
                "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!0:a", "session_id": .string(session.id),
                "session_key": .string(Base64.encode(session.exportedKey)),
                "sender_key": .string(Base64.encode([UInt8](repeating: 9, count: 32))),
                "sender_claimed_keys": ["ed25519": ""],
            ])
            try await phone.write { _ = try $0.importRoomKeys([key], from: .keyFile, in: $1) }
        }
        try await take(outbound.inbound)
        let upload = try #require(try await phone.write { try $0.backupUpload(in: $1) })
        try await take(early)
        try await phone.write { try $0.backedUp(upload, in: $1) }

        let again = try #require(try await uploaded(by: phone).first)

        let entry = again["rooms", "!0:a", "sessions"]?[early.id]
        #expect(entry?["first_message_index"] == 0)
        #expect(try await uploaded(by: phone).isEmpty)
    }

    @Test func `the key of the backup before is not that of the one in use`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        try await phone.makeIdentity()
        _ = try await created(by: phone)
        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await tablet.look()
        let secrets = try await phone.write { try $0.secretsInUse(in: $1) }
        try await tablet.write { machine, connection in
            for (name, secret) in secrets { _ = try machine.take(secret, as: name, in: connection) }
        }
        let second = try await created(by: tablet, "2")
        #expect(secrets[.backup] != nil)

        #expect(try await adopt(second, on: phone) == .identity)

        #expect(try await phone.write { try $0.secretsInUse(in: $1) }[.backup] == nil, "nor is it given to anybody")
        #expect(try await !phone.write { try $0.canReadBackup(in: $1) })
        try await phone.look()
        try await phone.write { try $0.requestMissingSecrets([.backup], in: $1) }
        let asked = try await phone.write {
            try $1.query("SELECT name FROM secret_requests").map { try $0.text(0) }
        }
        #expect(asked == ["m.megolm_backup.v1"])
        let key = try await tablet.write { try $0.secretsInUse(in: $1)[.backup] } ?? ""
        #expect(try await phone.write { try $0.take(key, as: .backup, in: $1) })
        #expect(try await phone.write { try $0.canReadBackup(in: $1) })
    }

    @Test func `a session that reads more than before goes up again`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        _ = try await created(by: phone)
        var outbound = OutboundGroupSession(random: SystemRandomSource())
        let early = outbound.inbound
        for _ in 0..<5 { _ = try outbound.encrypt([1]) }
        let late = outbound.inbound
        for (session, expected) in [(late, 1), (early, 1), (late, 0)] {
            let exported: JSONValue = [
                "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!0:a", "session_id": .string(session.id),
                "session_key": .string(Base64.encode(session.exportedKey)),
                "sender_key": .string(Base64.encode([UInt8](repeating: 9, count: 32))),
                "sender_claimed_keys": ["ed25519": ""],
            ]
            let key = try view(exported)
            try await phone.write { _ = try $0.importRoomKeys([key], from: .keyFile, in: $1) }
            #expect(try await uploaded(by: phone).count == expected)
        }
    }

    @Test(arguments: [true, false])
    func `whether a key is for those who come later is kept in backups and files`(_ isShared: Bool) async throws {
        let phone = try await TrustDevice("alice", on: server)
        let shown = try await created(by: phone)
        let session = OutboundGroupSession(random: SystemRandomSource())
        let key = try view([
            "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!0:a", "session_id": .string(session.id),
            "session_key": .string(Base64.encode(session.inbound.exportedKey)),
            "sender_key": .string(Base64.encode([UInt8](repeating: 9, count: 32))),
            "sender_claimed_keys": ["ed25519": ""], "shared_history": .bool(isShared),
        ])
        try await phone.write { _ = try $0.importRoomKeys([key], from: .keyFile, in: $1) }
        let room = try RoomID("!0:a")
        func flag(on device: TrustDevice) async throws -> Bool? {
            try await device.write { try $0.inboundRow(room, session.id, in: $1)?.sharesHistory }
        }
        let (json, _) = try await phone.write { try $0.exportedRoomKeys(in: $1) }
        let batches = try await uploaded(by: phone)

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        let secret = try await phone.write { try $0.secretsInUse(in: $1)[.backup] } ?? ""
        #expect(try await tablet.write { try $0.take(secret, as: .backup, in: $1) })
        try await adopt(shown, on: tablet)
        #expect(try await restore(batches, to: tablet).read == 1)
        #expect(try await flag(on: tablet) == isShared)

        let laptop = try await TrustDevice("alice", "LAPTOP", on: server)
        _ = try await laptop.write { try $0.importRoomKeys(file: json, in: $1) }
        #expect(try await flag(on: laptop) == isShared)

        let bundle = try await phone.write { try $0.keyBundle(of: room, in: $1) }
        #expect((bundle != nil) == isShared)
        let keys = try bundle.map { try JSONValue.parse($0)["room_keys"]?.elements ?? [] } ?? []
        #expect(keys.count == (isShared ? 1 : 0) && keys.allSatisfy { $0["shared_history"] == nil })
    }

    @Test func `keys go through a file`() async throws {
        let phone = try await TrustDevice("alice", on: server)
        try await addSessions(10, to: phone)
        let (json, count) = try await phone.write { try $0.exportedRoomKeys(in: $1) }
        let file = try KeyExport.seal(json, passphrase: "word", rounds: 1000, random: SystemRandomSource())

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        let opened = try KeyExport.open(file, passphrase: "word")
        let first = try await tablet.write { try $0.importRoomKeys(file: opened, in: $1) }
        let second = try await tablet.write { try $0.importRoomKeys(file: opened, in: $1) }

        #expect(count == 10 && first.count == 10 && first.roomKeys.count == 10)
        #expect(second.count == 10 && second.roomKeys.isEmpty)
        await #expect(throws: EncryptionError.malformed(path: "keys")) {
            _ = try await tablet.write { try $0.importRoomKeys(file: Array("{}".utf8), in: $1) }
        }
    }
}
