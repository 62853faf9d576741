import Cryptography
import HTTPTypes
import MatrixModel
import Testing

@Suite("Cross-signing") struct CrossSigningTests {
    @Test func `the first keys, and the same again, need no password; others do`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let path = "keys/device_signing/upload"

        #expect(try await alice.call(.post, path, .object(alice.crossSigningKeys())).status == 200)
        #expect(try await alice.call(.post, path, .object(alice.crossSigningKeys())).status == 200)
        #expect(try await alice.confirmed(.post, path, alice.crossSigningKeys(1)).status == 200)

        let found = try await alice.query(alice.id)
        #expect(found["master_keys"]?[alice.id.text]?["keys"] == (try alice.crossSigningKey("master", 1))["keys"])
    }

    @Test func `a lesser key may be added to the same master key only with the password`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        try await alice.crossSign()
        var keys = try alice.crossSigningKeys()
        keys["self_signing_key"] = try alice.crossSigningKey("self_signing", 7, master: 0)

        #expect(try await alice.confirmed(.post, "keys/device_signing/upload", keys).status == 200)
    }

    @Test func `lesser keys must be signed by a master key`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        var keys = try alice.crossSigningKeys()
        keys["self_signing_key"] = try alice.crossSigningKey("self_signing", 0, master: 9)
        let path = "keys/device_signing/upload"

        #expect(try await alice.call(.post, path, .object(keys)).errcode == "M_INVALID_SIGNATURE")
        keys["master_key"] = nil
        #expect(try await alice.call(.post, path, .object(keys)).errcode == "M_MISSING_PARAM")
        #expect(try await alice.call(.post, path, [:]).errcode == "M_MISSING_PARAM")
    }

    @Test func `a key is not called as a device is`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        _ = try await alice.logIn(at: try alice.masterKeyText())

        let answer = try await alice.call(.post, "keys/device_signing/upload", .object(alice.crossSigningKeys()))

        #expect(answer.status == 403)
        #expect(answer.errcode == "M_FORBIDDEN")
    }

    @Test func `only its owner sees the user-signing key`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        try await alice.crossSign()

        #expect(try await alice.query(alice.id)["user_signing_keys"]?[alice.id.text] != nil)
        #expect(try await bob.query(alice.id)["user_signing_keys"] == [:])
        #expect(try await bob.query(alice.id)["self_signing_keys"]?[alice.id.text] != nil)
    }

    @Test func `a device signed by the self-signing key is so for all`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        try await alice.uploadDeviceKeys()
        try await alice.crossSign()

        let signed = try alice.sign(alice.deviceKeys(), with: "self_signing")
        let answer = try await alice.call(
            .post, "keys/signatures/upload", .object([alice.id.text: ["DEVICE": signed]]))

        #expect(answer["failures"] == [:])
        let found = try await bob.query(alice.id)["device_keys"]?[alice.id.text]?["DEVICE"]
        #expect(found?["signatures"]?[alice.id.text] == signed["signatures"]?[alice.id.text])
        #expect(found?["signatures"]?[alice.id.text]?.count == 2)
    }

    @Test func `signatures that do not hold, or by the wrong key, fail one by one`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        for client in [alice, bob] {
            try await client.uploadDeviceKeys()
            try await client.crossSign()
        }
        var changed = try alice.deviceKeys()
        changed["algorithms"] = ["another"]
        let answer = try await alice.call(
            .post, "keys/signatures/upload",
            .object([
                alice.id.text: .object([
                    "DEVICE": try alice.sign(changed, with: "self_signing"),
                    "NONE": try alice.sign(alice.deviceKeys(), with: "self_signing"),
                    try alice.masterKeyText(): try alice.sign(alice.crossSigningKey("master"), with: "user_signing"),
                ]),
                bob.id.text: .object([
                    "DEVICE": try alice.sign(bob.deviceKeys(), with: "user_signing"),
                    try bob.masterKeyText(): try alice.sign(bob.crossSigningKey("master"), with: "self_signing"),
                ]),
                "nobody": ["X": [:]],
            ]))

        let failures = answer["failures"]
        #expect(failures?[alice.id.text]?["DEVICE"]?["errcode"] == "M_INVALID_SIGNATURE")
        #expect(failures?[alice.id.text]?["NONE"]?["errcode"] == "M_NOT_FOUND")
        #expect(failures?[alice.id.text]?.count == 3)
        #expect(failures?[bob.id.text]?.count == 2)
        #expect(failures?["nobody"]?["X"]?["errcode"] == "M_NOT_FOUND")
    }

    @Test func `a signature on another's master key is for its maker alone`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        let carol = try await server.register("carol")
        try await server.share(1, [alice.id, bob.id, carol.id])
        try await alice.crossSign()
        try await bob.crossSign()
        let before = try await server.now()

        let signed = try alice.sign(bob.crossSigningKey("master"), with: "user_signing")
        let answer = try await alice.call(
            .post, "keys/signatures/upload", .object([bob.id.text: .object([try bob.masterKeyText(): signed])]))

        #expect(answer["failures"] == [:])
        let seen = try await alice.query(bob.id)["master_keys"]?[bob.id.text]
        #expect(seen?["signatures"]?[alice.id.text] == signed["signatures"]?[alice.id.text])
        for other in [bob, carol] {
            #expect(try await other.query(bob.id)["master_keys"]?[bob.id.text]?["signatures"]?[alice.id.text] == nil)
        }
        #expect(try await alice.changes(from: before).changed == [bob.id.text])
        #expect(try await carol.changes(from: before).changed == [])
    }
}
