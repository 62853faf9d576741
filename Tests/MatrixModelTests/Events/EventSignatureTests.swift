import Cryptography
import Testing

@testable import MatrixModel

@Suite("Event hashes and signatures") struct EventSignatureTests {
    private func vectorKey() throws -> Ed25519.SigningKey {
        let seed = try #require(EventVectors.signing["ed25519_seed"]?.string.flatMap { Base64.decode($0) })
        return try Ed25519.SigningKey(seed: seed)
    }

    private func isSigned(_ event: JSONView, rules: RoomVersionRules) throws -> Bool {
        let text = event["signatures"]?["domain"]?["ed25519:1"]?.string ?? ""
        let signature = try #require(Base64.decode(text))
        return try vectorKey().publicKey.verifies(
            signature, of: EventSignatures.signedBytes(of: event, rules: rules))
    }

    @Test(arguments: EventVectors.list(EventVectors.signing, "event_signing"))
    func `events are hashed and signed as published`(vector: JSONValue) throws {
        let rules = try #require(RoomVersion(vector["room_version"]?.string ?? "")).rules
        let expected = try #require(vector["signed"])
        var event = try #require(vector["input"])
        let hash = ContentHash.compute(try event.document.root)
        #expect(Base64.encode(hash, .standardUnpadded) == expected["hashes"]?["sha256"]?.string)

        event["hashes"] = expected["hashes"]
        let signature = try vectorKey().sign(EventSignatures.signedBytes(of: try event.document.root, rules: rules))
        let text = expected["signatures"]?["domain"]?["ed25519:1"]?.string
        #expect(Base64.encode(signature, .standardUnpadded) == text)
        #expect(try isSigned(expected.document.root, rules: rules))
    }

    @Test func `a signature holds after redaction, and not after a change`() throws {
        for vector in EventVectors.list(EventVectors.signing, "event_signature_still_valid_after_redaction") {
            #expect(try isSigned(try #require(vector["event"]).document.root, rules: .v1))
        }
        for vector in EventVectors.list(EventVectors.signing, "event_verify_fails") {
            #expect(try !isSigned(try #require(vector["event"]).document.root, rules: .v1), "\(vector["why"] ?? "")")
        }
    }

    @Test(arguments: RoomVersion.all) func `a sealed event is hashed and signed`(version: RoomVersion) throws {
        let event = try TestEvents.message(version)
        let server = try TestEvents.server()
        let key = try TestEvents.key().publicKey
        #expect(ContentHash.matches(event))
        #expect(EventSignatures.verify(event, server: server, keyID: TestEvents.keyID, key: key))
        #expect(!EventSignatures.verify(event, server: server, keyID: "ed25519:2", key: key))
        #expect(!EventSignatures.verify(event, server: try ServerName("two.test"), keyID: TestEvents.keyID, key: key))
        #expect(
            !EventSignatures.verify(
                event, server: server, keyID: TestEvents.keyID, key: try TestEvents.key(2).publicKey))

        let redacted = try event.redacted()
        #expect(redacted.id == event.id)
        #expect(redacted.content["body"] == nil)
        #expect(EventSignatures.verify(redacted, server: server, keyID: TestEvents.keyID, key: key))
        #expect(!ContentHash.matches(redacted))
    }

    @Test func `a second server adds its signature`() throws {
        let event = try TestEvents.message(.v12)
        let two = try ServerName("two.test")
        let signed = try event.signed(by: two, keyID: "ed25519:a", key: try TestEvents.key(2))
        #expect(signed.id == event.id)
        for (server, keyID, seed) in [(try TestEvents.server(), TestEvents.keyID, UInt8(1)), (two, "ed25519:a", 2)] {
            let key = try TestEvents.key(seed).publicKey
            #expect(EventSignatures.verify(signed, server: server, keyID: keyID, key: key))
        }
        #expect(EventSignatures.keyIDs(of: two, on: signed) == ["ed25519:a"])
        let others = try signed.adding(signature: "AA", of: two, keyID: RoomPolicy.keyID)
            .adding(signature: "AA", of: two, keyID: "curve25519:a")
        #expect(EventSignatures.keyIDs(of: two, on: others).count == 3)
        #expect(EventSignatures.signingKeyIDs(of: two, on: others) == ["ed25519:a"])
        #expect(throws: Never.self) { try PDU(parsing: signed.canonicalJSON, version: .v12, knownID: event.id) }
    }

    @Test func `a signature changes nothing else, not even keys that Swift takes for the same`() throws {
        let text = String(decoding: try TestEvents.message(.v12).canonicalJSON, as: UTF8.self)
            .replacing("\"body\"", with: "\"caf\u{E9}\":1,\"cafe\u{301}\":2,\"body\"")
        let event = try PDU(parsing: Array(text.utf8), version: .v12)
        #expect(event.content.members.count == 4)
        let signed = try event.signed(by: try ServerName("two.test"), keyID: "ed25519:a", key: try TestEvents.key(2))
        #expect(ContentHash.compute(signed.document.root) == ContentHash.compute(event.document.root))
        #expect(try PDU(parsing: signed.canonicalJSON, version: .v12).canonicalJSON == signed.canonicalJSON)
    }

    @Test func `the servers that must sign`() throws {
        func required(_ version: RoomVersion, _ type: EventType, _ content: JSONValue) throws -> Set<String> {
            let event = try TestEvents.message(version, type: type, stateKey: "@alice:one.test", content: content)
            return Set(EventSignatures.requiredServers(of: event).map(\.text))
        }
        #expect(try required(.v12, .topic, [:]) == ["one.test"])
        let restricted: JSONValue = ["membership": "join", "join_authorised_via_users_server": "@bob:two.test"]
        #expect(try required(.v8, .member, restricted) == ["one.test", "two.test"])
        #expect(try required(.v7, .member, restricted) == ["one.test"])
        let invite: JSONValue = ["membership": "invite", "third_party_invite": ["signed": [:]]]
        #expect(try required(.v12, .member, invite).isEmpty)
        #expect(try required(.v2, .member, invite) == ["one.test"])
        for nothing: JSONValue in [true, "x", [:], ["signed": "x"], []] {
            let plain: JSONValue = ["membership": "invite", "third_party_invite": nothing]
            #expect(try required(.v12, .member, plain) == ["one.test"])
        }

        let moved = try TestEvents.altered(.v1) { $0["event_id"] = "$x:three.test" }
        let event = try PDU(parsing: moved, version: .v1)
        #expect(Set(EventSignatures.requiredServers(of: event).map(\.text)) == ["one.test", "three.test"])
    }
}
