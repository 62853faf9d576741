import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import Synchronization
import Testing

@testable import ClientEncryption

@Suite("Secret storage") struct SecretStorageTests {
    @Test func `a recovery key opens what it sealed`() throws {
        let (key, description) = try SecretStorageDescription.make(passphrase: nil, random: SystemRandomSource())
        let content = try description.sealing(
            "secret", "m.cross_signing.master", with: key, random: SystemRandomSource())

        let typed = try RecoveryKey.encode(key.bytes)
        let again = try SecretStorageDescription(id: description.id, content: description.content).key(from: typed)

        #expect(try description.opening("m.cross_signing.master", content, with: again) == "secret")
        #expect(try description.opening("m.other", [:], with: again) == nil)
        #expect(!description.hasPassphrase)
    }

    @Test func `a passphrase opens it as well as the key`() throws {
        let (key, description) = try SecretStorageDescription.make(
            passphrase: "correct horse", random: SystemRandomSource())
        #expect(try description.key(from: "correct horse").bytes == key.bytes)
        #expect(try description.key(from: try RecoveryKey.encode(key.bytes)).bytes == key.bytes)
        #expect(throws: EncryptionError.wrongRecoveryKey) { try description.key(from: "wrong horse") }
    }

    @Test func `another key, another name and altered bytes open nothing`() throws {
        let (key, description) = try SecretStorageDescription.make(passphrase: nil, random: SystemRandomSource())
        let (other, _) = try SecretStorageDescription.make(passphrase: nil, random: SystemRandomSource())
        let content = try description.sealing("secret", "name", with: key, random: SystemRandomSource())
        #expect(throws: EncryptionError.wrongRecoveryKey) {
            try description.key(from: try RecoveryKey.encode(other.bytes))
        }
        #expect(throws: EncryptionError.wrongRecoveryKey) { try description.opening("name", content, with: other) }
        #expect(throws: EncryptionError.wrongRecoveryKey) { try description.opening("other", content, with: key) }
        for field in ["iv", "ciphertext", "mac"] {
            var altered = content
            var sealed = content["encrypted", description.id] ?? [:]
            var bytes = Base64.decode(sealed[field]?.string ?? "") ?? []
            bytes[0] ^= 1
            sealed[field] = .string(Base64.encode(bytes))
            altered["encrypted"] = [description.id: sealed]
            if field == "iv" {
                // The code covers the ciphertext alone: what comes out is not the secret.
                #expect((try? description.opening("name", altered, with: key)) != "secret")
            } else {
                #expect(throws: EncryptionError.wrongRecoveryKey) {
                    try description.opening("name", altered, with: key)
                }
            }
        }
    }

    @Test func `nothing is sealed under a key that cannot be checked, or that is cheap to guess`() throws {
        let (_, description) = try SecretStorageDescription.make(
            passphrase: "correct horse", random: SystemRandomSource())
        for (iterations, isChecked) in [(1, false), (1, true), (99_999, true), (500_000, false)] {
            var content = description.content
            var passphrase = content["passphrase"] ?? [:]
            passphrase["iterations"] = .integer(Int64(iterations))
            content["passphrase"] = passphrase
            let cheap = try SecretStorageKey(
                passphrase: "correct horse", salt: passphrase["salt"]?.string ?? "", iterations: iterations)
            let check = try cheap.check(random: SystemRandomSource())
            content["iv"] = isChecked ? .string(Base64.encode(check.iv)) : nil
            content["mac"] = isChecked ? .string(Base64.encode(check.mac)) : nil
            let shown = SecretStorageDescription(id: description.id, content: content)
            // What the server has can be opened all the same.
            let key = try shown.key(from: "correct horse")
            #expect(throws: EncryptionError.self) {
                try shown.sealing("secret", "name", with: key, random: SystemRandomSource())
            }
        }
    }

    @Test func `sealing under a second key keeps the first`() throws {
        let (key, description) = try SecretStorageDescription.make(passphrase: nil, random: SystemRandomSource())
        let (other, second) = try SecretStorageDescription.make(passphrase: nil, random: SystemRandomSource())
        var content = try description.sealing("secret", "name", with: key, random: SystemRandomSource())
        content = try second.sealing("secret", "name", with: other, in: content, random: SystemRandomSource())
        #expect(try description.opening("name", content, with: key) == "secret")
        #expect(try second.opening("name", content, with: other) == "secret")
    }
}

@Suite("Secrets between devices") struct SecretSharingTests {
    let server = KeyServer()

    /// Alice's phone, which has the identity, and her tablet, which the phone has verified.
    private func devices(isVerified: Bool = true) async throws -> (phone: TrustDevice, tablet: TrustDevice) {
        let phone = try await TrustDevice("alice", on: server)
        try await phone.makeIdentity()
        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await phone.look()
        try await tablet.look()
        let master = try await tablet.write { try $0.identity(of: tablet.user, in: $1)?.master } ?? ""
        try await tablet.write { try $0.trustOwnIdentity(master: master, in: $1) }
        if isVerified {
            try await phone.write { try $0.signOwnDevice(tablet.device, in: $1) }
            try await phone.uploadSignatures()
        }
        try await phone.look()
        try await tablet.look()
        return (phone, tablet)
    }

    private func ask(_ tablet: TrustDevice, _ phone: TrustDevice) async throws {
        try await tablet.write { try $0.requestMissingSecrets(in: $1) }
        try await tablet.flush()
        try await phone.sync()
        if try await phone.write({ try $0.owesSecrets(in: $1) }) { try await phone.claim() }
        try await phone.write { try $0.answerSecretRequests(in: $1) }
        try await phone.flush()
    }

    @Test func `a verified device gets what it asks for`() async throws {
        let (phone, tablet) = try await devices()

        try await ask(tablet, phone)
        let outcome = try await tablet.sync()

        #expect(Set(outcome.secrets) == [.master, .selfSigning, .userSigning])
        let status = try await tablet.write { try $0.crossSigningStatus(in: $1) }
        #expect(status.hasMasterKey && status.hasUserSigningKey && status.isTrusted)
        let left = try await phone.write { try $1.query("SELECT name FROM secret_replies_due").map { try $0.text(0) } }
        #expect(left == ["m.megolm_backup.v1"], "what the phone does not have either")
    }

    @Test func `a device that is not verified gets nothing, until it is`() async throws {
        let (phone, tablet) = try await devices(isVerified: false)

        try await ask(tablet, phone)
        #expect(try await tablet.sync().secrets.isEmpty)

        try await phone.write { try $0.signOwnDevice(tablet.device, in: $1) }
        try await phone.uploadSignatures()
        try await phone.look()
        try await phone.claim()
        try await phone.write { try $0.answerSecretRequests(in: $1) }
        try await phone.flush()
        try await tablet.look()
        #expect(try await tablet.write { try $0.heldSecrets(in: $1) }.count == 3)
    }

    @Test func `a blocked device gets nothing and is believed nothing, verified as it is`() async throws {
        let (phone, tablet) = try await devices()
        try await phone.claim()
        #expect(try await phone.write { try $0.setBlocked(true, tablet.user, tablet.device, in: $1) })

        try await ask(tablet, phone)
        #expect(try await tablet.sync().secrets.isEmpty)
        #expect(try await tablet.write { try $0.heldSecrets(in: $1) }.isEmpty)
        #expect(try await !phone.write { try $0.canRequestKeys(in: $1) })

        // The other way round: what a blocked device sends is not taken.
        #expect(try await phone.write { try $0.setBlocked(false, tablet.user, tablet.device, in: $1) })
        _ = try await phone.write { try $1.execute("DELETE FROM secret_replies_due") }
        try await tablet.write { machine, connection in
            _ = try connection.execute("DELETE FROM secret_requests")
            try machine.requestMissingSecrets(in: connection)
        }
        try await tablet.flush()
        try await phone.sync()
        try await phone.write { try $0.answerSecretRequests(in: $1) }
        try await phone.flush()
        #expect(try await tablet.write { try $0.setBlocked(true, phone.user, phone.device, in: $1) })
        let outcome = try await tablet.sync()
        #expect(outcome.secrets.isEmpty && outcome.warnings.count == 3)
    }

    @Test(arguments: [900_000, 899_999, 0, -1, -86_400_000] as [Int64])
    func `secrets are asked for again after a while, and where the clock was ahead when they were asked for`(
        age: Int64
    ) async throws {
        let (_, tablet) = try await devices()
        try await tablet.write { machine, connection in
            for name in SecretName.allCases {
                try connection.execute(
                    "INSERT INTO secret_requests VALUES (\(name.rawValue), \(name.rawValue), \(machine.now() - age))")
            }
            try machine.requestMissingSecrets(in: connection)
        }

        let asked = try await tablet.write { try $1.query("SELECT 1 FROM to_device_outbox").count }

        #expect(asked == (0..<900_000 ~= age ? 0 : 4))
    }

    @Test(arguments: [900_000, 899_999, 0, -1, -86_400_000] as [Int64])
    func `a request for a secret waits for a while, however wrong the clock was`(age: Int64) async throws {
        let (phone, tablet) = try await devices()
        try await tablet.write { try $0.requestMissingSecrets([.master], in: $1) }
        try await tablet.flush()
        try await phone.sync()
        try await phone.write { machine, connection in
            _ = try connection.execute("UPDATE secret_replies_due SET asked_at = \(machine.now() - age)")
        }
        let waits = (0..<900_000).contains(age)
        #expect(try await phone.write { try $0.owesSecrets(in: $1) } == waits)

        try await phone.claim()
        try await phone.write { try $0.answerSecretRequests(in: $1) }
        try await phone.flush()

        #expect(try await tablet.sync().secrets == (waits ? [.master] : []))
        #expect(try await phone.write { try $1.query("SELECT 1 FROM secret_replies_due").isEmpty })
    }

    @Test func `requests that are late leave their places to others`() async throws {
        let (phone, tablet) = try await devices()
        try await phone.write { machine, connection in
            for number in 0..<Limits.secretReplies {
                try connection.execute(
                    """
                    INSERT INTO secret_replies_due
                    VALUES ('GONE', \("\(number)"), 'm.cross_signing.master', \(machine.now() + 1))
                    """)
            }
        }
        try await tablet.write { try $0.requestMissingSecrets([.master], in: $1) }
        try await tablet.flush()
        try await phone.sync()
        #expect(try await phone.write { try $1.query("SELECT 1 FROM secret_replies_due").count } == 1)
    }

    @Test func `a request of somebody else is passed over`() async throws {
        let (phone, _) = try await devices()
        let mallory = try await TrustDevice("mallory", on: server)
        server.state.withLock { state in
            state.inboxes["@alice:a|PHONE", default: []].append([
                "type": "m.secret.request", "sender": .string(mallory.user.text),
                "content": [
                    "action": "request", "name": "m.cross_signing.master", "request_id": "1",
                    "requesting_device_id": "TABLET",
                ],
            ])
        }
        try await phone.sync()
        #expect(try await !phone.write { try $0.owesSecrets(in: $1) })
    }

    @Test func `a secret that is not the one in use, or was not asked for, is refused`() async throws {
        let (phone, tablet) = try await devices()
        let wrong = Base64.encode([UInt8](repeating: 1, count: 32))
        #expect(try await !tablet.write { try $0.take(wrong, as: .master, in: $1) })
        #expect(try await !tablet.write { try $0.take("short", as: .selfSigning, in: $1) })

        try await phone.claim()
        try await phone.write { machine, connection in
            guard
                let known = try machine.devices(of: phone.user, in: connection).first(where: {
                    $0.device == tablet.device
                }),
                let message = try machine.encrypt(
                    "m.secret.send", ["request_id": "never", "secret": .string(wrong)], to: known, in: connection)
            else { return }
            try machine.enqueue([(known, message)], in: connection)
        }
        try await phone.flush()
        let outcome = try await tablet.sync()
        #expect(outcome.secrets.isEmpty)
        #expect(outcome.warnings.count == 1)
        #expect(try await tablet.write { try $0.heldSecrets(in: $1) }.isEmpty)
    }

    @Test func `a recovered self-signing key signs its device`() async throws {
        let (phone, tablet) = try await devices(isVerified: false)
        let secrets = try await phone.write { try $0.secretsInUse(in: $1) }
        try await tablet.write { machine, connection in
            for (name, text) in secrets {
                let isTaken = try machine.take(text, as: name, in: connection)
                #expect(isTaken)
            }
        }
        try await tablet.uploadSignatures()
        try await tablet.look()
        #expect(try await tablet.write { try $0.crossSigningStatus(in: $1) }.isDeviceSigned)
        try await phone.look()
        #expect(try await phone.isCrossSigned(tablet))
    }

    @Test func `keys that the server puts in the place of verified ones are not signed`() async throws {
        let (phone, tablet) = try await devices(isVerified: false)
        try await phone.write { try $0.signOwnDevice(tablet.device, in: $1) }
        _ = try await TrustDevice("alice", "TABLET", on: server)
        try await phone.look()
        #expect(try await phone.write { try $0.signatureUpload(in: $1)?.call.body } == nil)
    }

    @Test func `a signature that is due is of the keys that were verified, whatever is accepted later`() async throws {
        let (phone, tablet) = try await devices(isVerified: false)
        try await phone.write { try $0.signOwnDevice(tablet.device, in: $1) }
        let impostor = try await TrustDevice("alice", "TABLET", on: server)
        try await phone.write { try $0.acceptNewKeys(of: tablet.user, tablet.device, in: $1) }
        try await phone.look()
        #expect(try await phone.known(tablet)?.ed25519 == impostor.write { try $0.fingerprint(in: $1) })

        #expect(try await phone.write { try $0.signatureUpload(in: $1)?.call.body } == nil)

        let known = try #require(try await phone.known(tablet))
        try await phone.write { try $0.signOwnDevice(tablet.device, ed25519: known.ed25519, in: $1) }
        #expect(try await phone.write { try $0.signatureUpload(in: $1)?.call.body } != nil, "verified anew")
    }

    @Test func `an own device that was verified or blocked is not forgotten, however many others come and go`()
        async throws
    {
        let (phone, tablet) = try await devices(isVerified: false)
        let laptop = try await TrustDevice("alice", "LAPTOP", on: server)
        try await phone.look()
        try await phone.write { machine, connection in
            try machine.signOwnDevice(tablet.device, in: connection)
            _ = try machine.setBlocked(true, laptop.user, laptop.device, in: connection)
            // The oldest of all that are gone.
            for number in 0..<Limits.goneDevicesPerUser + 10 {
                try connection.execute(
                    """
                    INSERT INTO devices (user_id, device_id, curve25519, ed25519, gone, changed, first_seen, claim_at,
                        unwedge_wanted, unwedged_at)
                    VALUES (\(machine.user.text), \("FAKE\(number)"), \("c\(number)"), \("e\(number)"), 1, 0,
                        \(machine.now() + 1), 0, 0, 0)
                    """)
            }
        }
        server.state.withLock { state in
            for name in ["TABLET", "LAPTOP"] { state.deviceKeys["@alice:a"]?[name] = nil }
        }
        server.tell(of: "@alice:a")
        try await phone.look()

        let gone = try await phone.write { machine, connection in
            try connection.query("SELECT device_id FROM devices WHERE gone = 1 AND device_id NOT LIKE 'FAKE%'")
                .map { try $0.text(0) }
        }
        #expect(Set(gone) == ["TABLET", "LAPTOP"])
        let count = try await phone.write { try $1.query("SELECT COUNT(*) FROM devices WHERE gone = 1").first?.int(0) }
        #expect(count.map { $0 <= Limits.goneDevicesPerUser + 2 } == true, "the others have a bound")
    }

    @Test func `what a verification shows is kept`() async throws {
        let (phone, tablet) = try await devices(isVerified: false)
        let bob = try await TrustDevice("bob", on: server)
        try await bob.makeIdentity()
        try await phone.look(at: bob)
        let them = try #require(try await phone.write { try $0.party(bob.user, bob.device, in: $1) })
        let mine = try #require(try await phone.write { try $0.party(tablet.user, tablet.device, in: $1) })

        let theirs = try await phone.write {
            try $0.keep(VerifiedKeys(ed25519: them.ed25519, master: them.master), of: them, in: $1)
        }
        let own = try await phone.write {
            try $0.keep(VerifiedKeys(ed25519: mine.ed25519, master: nil), of: mine, in: $1)
        }
        try await phone.uploadSignatures()
        try await phone.look(at: bob)

        #expect(theirs == [.device, .identity] && own == [.device, .ownDevice])
        #expect(try await phone.isVerified(bob))
        #expect(try await phone.isCrossSigned(tablet))
    }

    @Test func `a device named like a cross-signing key makes verifying impossible`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        try await bob.makeIdentity()
        try await alice.look(at: bob)
        let master = try await alice.write { try $0.identity(of: bob.user, in: $1)?.master } ?? ""
        _ = try await TrustDevice("bob", master, on: server)
        try await alice.look(at: bob)
        await #expect(throws: EncryptionError.mismatch(rule: "no device is named like a cross-signing key")) {
            _ = try await alice.write { try $0.party(bob.user, bob.device, in: $1) }
        }
    }
}
