@testable import ClientEncryption
import Cryptography
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

@Suite("Identities") struct IdentityTests {
    let server = KeyServer()

    private func pair() async throws -> (alice: TrustDevice, bob: TrustDevice) {
        let alice = try await TrustDevice("alice", on: server)
        let bob = try await TrustDevice("bob", on: server)
        try await alice.makeIdentity()
        try await bob.makeIdentity()
        try await alice.look(at: bob)
        return (alice, bob)
    }

    /// Changes one of bob's published keys and tells the others.
    private func alter(_ name: String, _ change: (inout JSONValue) -> Void) {
        server.state.withLock { state in
            if var key = state.crossSigning["@bob:a"]?[name] {
                change(&key)
                state.crossSigning["@bob:a"]?[name] = key
            }
        }
        server.tell(of: "@bob:a")
    }

    @Test func `a new identity is trusted by its device, and signs it`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        try await alice.makeIdentity()

        let status = try await alice.write { try $0.crossSigningStatus(in: $1) }

        #expect(status.isTrusted && status.isDeviceSigned)
        #expect(status.hasMasterKey && status.hasSelfSigningKey && status.hasUserSigningKey)
        #expect(status.change == nil)
        #expect(try await alice.write { try $0.heldSecrets(in: $1) } == [.master, .selfSigning, .userSigning])
    }

    @Test func `an upload without an answer is repeated with the same keys`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        let first = try await alice.write { try $0.crossSigningUpload(in: $1).body }
        let second = try await alice.write { try $0.crossSigningUpload(in: $1).body }
        #expect(first == second)
        #expect(try await alice.write { try $0.heldSecrets(in: $1) }.isEmpty, "the server has not shown them yet")
    }

    @Test func `others see a signed device of somebody who is not verified`() async throws {
        let (alice, bob) = try await pair()
        #expect(try await alice.isCrossSigned(bob))
        #expect(try await !alice.isVerified(bob))
        #expect(try await alice.change(of: bob) == nil)
    }

    @Test func `whom we vouched for is verified on all our devices that trust us`() async throws {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        #expect(try await alice.isVerified(bob))
        #expect(try await !bob.isVerified(alice), "each verifies for themselves")

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await tablet.look(at: bob)
        #expect(try await !tablet.isVerified(bob), "the tablet does not trust the identity yet")
        let master = try await tablet.write { try $0.identity(of: tablet.user, in: $1)?.master } ?? ""
        try await tablet.write { try $0.trustOwnIdentity(master: master, in: $1) }
        #expect(try await tablet.isVerified(bob))
    }

    @Test func `an identity that was only seen may change with a notice`() async throws {
        let (alice, bob) = try await pair()
        try await bob.makeIdentity()

        let outcome = try await alice.look(at: bob)

        #expect(outcome.changedIdentities == [ChangedIdentity(user: bob.user, change: .afterPinning)])
        #expect(try await alice.change(of: bob) == .afterPinning)
        try await alice.prepareRoomKey(for: bob)
        try await alice.write { try $0.acceptIdentity(of: bob.user, in: $1) }
        #expect(try await alice.change(of: bob) == nil)
    }

    @Test func `an identity that was verified stops sending until the new one is accepted`() async throws {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        try await alice.prepareRoomKey(for: bob)
        try await bob.makeIdentity()

        let outcome = try await alice.look(at: bob)

        #expect(outcome.changedIdentities == [ChangedIdentity(user: bob.user, change: .afterVerification)])
        #expect(try await !alice.isVerified(bob))
        await #expect(throws: EncryptionError.changedIdentity(user: bob.user)) {
            try await alice.prepareRoomKey(for: bob)
        }
        try await alice.write { try $0.acceptIdentity(of: bob.user, in: $1) }
        try await alice.prepareRoomKey(for: bob)
        #expect(try await !alice.isVerified(bob), "accepted is not verified")
    }

    @Test func `verifying the new identity lets messages flow again`() async throws {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        try await bob.makeIdentity()
        try await alice.look(at: bob)

        try await alice.vouch(for: bob)

        #expect(try await alice.isVerified(bob))
        try await alice.prepareRoomKey(for: bob)
    }

    @Test func `a device that its owner's identity has not signed is seen as such`() async throws {
        let (alice, bob) = try await pair()
        let intruder = try await TrustDevice("bob", "INTRUDER", on: server)
        try await alice.look(at: bob)
        #expect(try await !alice.isCrossSigned(intruder))
        #expect(try await alice.isCrossSigned(bob))
    }

    @Test func `a self-signing key that the master key has not signed counts as missing`() async throws {
        let (alice, bob) = try await pair()
        let mallory = Ed25519.SigningKey.generate(SystemRandomSource())
        alter("self_signing_key") { key in
            key["signatures"] = nil
            key = SignedJSON.sign(key, as: "@bob:a", keyID: "ed25519:\(mallory.publicKey)", with: mallory)
        }

        let outcome = try await alice.look(at: bob)

        #expect(outcome.warnings.count == 1)
        #expect(try await !alice.isCrossSigned(bob))
    }

    @Test(arguments: ["user_id", "usage", "keys"])
    func `a master key of another form is left out, and the one before stays`(_ field: String) async throws {
        let (alice, bob) = try await pair()
        let before = try await alice.write { try $0.identity(of: bob.user, in: $1) }
        let other = Ed25519.SigningKey.generate(SystemRandomSource()).publicKey
        alter("master_key") { key in
            switch field {
            case "user_id": key["user_id"] = "@mallory:a"
            case "usage": key["usage"] = ["self_signing"]
            default: key["keys"] = ["ed25519:x": .string("\(other)")]
            }
        }

        let outcome = try await alice.look(at: bob)

        #expect(outcome.warnings.count == 1)
        #expect(try await alice.write { try $0.identity(of: bob.user, in: $1) } == before)
    }

    @Test func `a forged vouch verifies nobody`() async throws {
        let (alice, bob) = try await pair()
        let mallory = Ed25519.SigningKey.generate(SystemRandomSource())
        let own = try await alice.write { try $0.identity(of: alice.user, in: $1)?.userSigning } ?? ""
        alter("master_key") { key in
            key = SignedJSON.sign(key, as: "@alice:a", keyID: "ed25519:\(own)", with: mallory)
        }
        try await alice.look(at: bob)
        #expect(try await !alice.isVerified(bob))
    }

    @Test func `our own identity replaced by another stops sending and verifies nobody`() async throws {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        let thief = try await TrustDevice("alice", "THIEF", on: server)
        try await thief.makeIdentity()

        let outcome = try await alice.look(at: bob)

        #expect(outcome.changedIdentities == [ChangedIdentity(user: alice.user, change: .afterVerification)])
        #expect(try await !alice.isVerified(bob))
        await #expect(throws: EncryptionError.changedIdentity(user: alice.user)) {
            try await alice.prepareRoomKey(for: bob)
        }
        await #expect(throws: EncryptionError.cannotSign) { try await alice.vouch(for: bob) }
    }

    @Test func `a reset of our own goes on, and is vouched for anew`() async throws {
        let (alice, bob) = try await pair()
        try await alice.vouch(for: bob)
        try await alice.makeIdentity()
        try await alice.look(at: bob)

        let status = try await alice.write { try $0.crossSigningStatus(in: $1) }
        #expect(status.isTrusted && status.isDeviceSigned && status.change == nil)
        #expect(try await !alice.isVerified(bob))
        try await alice.prepareRoomKey(for: bob)
        try await alice.vouch(for: bob)
        #expect(try await alice.isVerified(bob))
    }

    @Test func `our own devices are verified once the identity has signed them`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        try await alice.makeIdentity()
        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await alice.look()
        let known = try #require(try await alice.known(tablet))
        #expect(try await !alice.write { try $0.isOwnVerified(known, in: $1) })

        try await alice.write { try $0.signOwnDevice(known.device, in: $1) }
        try await alice.uploadSignatures()
        try await alice.look()

        #expect(try await alice.write { try $0.isOwnVerified(known, in: $1) })
    }
}
