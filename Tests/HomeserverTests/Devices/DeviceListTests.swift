import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("Device lists") struct DeviceListTests {
    @Test func `changes name those who share a room and changed, came or went`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        let carol = try await server.register("carol")
        let dave = try await server.register("dave")
        let erin = try await server.register("erin")
        try await server.share(1, [alice.id, bob.id, carol.id, dave.id], at: 1)
        try await server.share(2, [alice.id, dave.id], at: 1)
        let before = try await server.now()

        try await bob.uploadDeviceKeys()
        try await erin.uploadDeviceKeys()
        let middle = try await server.now()
        try await server.share(1, [carol.id, dave.id], at: 2, membership: "leave")
        try await server.share(1, [erin.id], at: 3)

        let all = try await alice.changes(from: before)
        #expect(all.changed == [bob.id.text, erin.id.text])
        #expect(all.left == [carol.id.text])
        // Who counts is who shares a room now, even if only since `to`.
        #expect(try await alice.changes(from: before, to: middle).changed == [bob.id.text, erin.id.text])
        #expect(try await alice.changes(from: middle).changed == [erin.id.text])
    }

    @Test func `who leaves a room parts from all in it`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        let carol = try await server.register("carol")
        try await server.share(1, [alice.id, bob.id, carol.id], at: 1)
        try await server.share(2, [alice.id, carol.id], at: 1)
        let before = try await server.now()

        try await server.share(1, [alice.id], at: 2, membership: "leave")

        #expect(try await alice.changes(from: before).left == [bob.id.text])
    }

    @Test(arguments: ["", "?from=s1_1_1_1_1_1_1_1", "?from=x&to=y", "?from=s1_1_1_1_1_1_1_1&to=s1_-1_0_0_0_0_0_0"])
    func `tokens that are none are refused`(query: String) async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")

        #expect(try await alice.call(.get, "keys/changes\(query)").status == 400)
    }
}

@Suite("Device lists of other servers") struct RemoteDeviceListTests {
    let wire = Wire()
    let here: DeviceServer
    let there: DeviceServer
    let alice: Client
    let bob: Client

    init() async throws {
        here = try await DeviceServer("a.test:443", wire: wire)
        there = try await DeviceServer("b.test:443", wire: wire)
        alice = try await here.register("alice")
        bob = try await there.register("bob")
        try await bob.uploadDeviceKeys()
        try await bob.crossSign()
    }

    private func share() async throws {
        for server in [here, there] { try await server.share(1, [alice.id, bob.id]) }
    }

    private func bobsDevices() async throws -> [String] {
        try await alice.query(bob.id)["device_keys"]?[bob.id.text]?.members.map(\.key) ?? []
    }

    @Test func `without a shared room a list is asked for each time`() async throws {
        for _ in 0..<2 {
            let found = try await alice.query(bob.id)
            #expect(found["device_keys"]?[bob.id.text]?["DEVICE"]?["keys"] == (try bob.deviceKeys())["keys"])
            #expect(found["master_keys"]?[bob.id.text]?["keys"] == (try bob.crossSigningKey("master"))["keys"])
            #expect(found["user_signing_keys"] == [:])
            #expect(wire.takeRequests() == ["/_matrix/federation/v1/user/keys/query"])
        }
    }

    @Test func `the name of a device stays on its server`() async throws {
        let asked = try await alice.query(bob.id)["device_keys"]?[bob.id.text]?["DEVICE"]
        #expect(asked?["unsigned"] == nil)
        try await share()
        let kept = try await alice.query(bob.id)["device_keys"]?[bob.id.text]?["DEVICE"]
        #expect(kept?["unsigned"] == nil)
        try await bob.logIn(at: "SECOND").uploadDeviceKeys()
        let edus = try await there.takeEDUs(for: here.name)
        #expect(!edus.isEmpty)
        #expect(edus.allSatisfy { $0["content"]?["device_display_name"] == nil })
    }

    @Test func `with a shared room it is kept, and follows what the server tells`() async throws {
        try await share()
        #expect(try await bobsDevices() == ["DEVICE"])
        #expect(wire.takeRequests() == ["/_matrix/federation/v1/user/devices/%40bob%3Ab.test%3A443"])
        #expect(try await bobsDevices() == ["DEVICE"])
        #expect(wire.takeRequests() == [])
        let before = try await here.now()

        try await bob.logIn(at: "SECOND").uploadDeviceKeys()
        try await there.deliver(to: here)

        #expect(try await alice.changes(from: before).changed == [bob.id.text])
        #expect(try await bobsDevices() == ["DEVICE", "SECOND"])
    }

    @Test func `a change that follows on what is known needs no question`() async throws {
        try await share()
        let second = try await bob.logIn(at: "SECOND")
        #expect(try await bobsDevices() == ["DEVICE"])
        _ = try await there.takeEDUs(for: here.name)
        try await second.uploadDeviceKeys()
        try await there.deliver(to: here)
        _ = wire.takeRequests()

        #expect(try await bobsDevices() == ["DEVICE", "SECOND"])
        #expect(wire.takeRequests() == [])
    }

    @Test func `after a lost change the whole list is asked for`() async throws {
        try await share()
        let second = try await bob.logIn(at: "SECOND")
        let third = try await bob.logIn(at: "THIRD")
        #expect(try await bobsDevices() == ["DEVICE"])
        try await second.uploadDeviceKeys()
        _ = try await there.takeEDUs(for: here.name)
        try await third.uploadDeviceKeys()
        try await there.deliver(to: here)

        #expect(try await bobsDevices() == ["DEVICE", "SECOND", "THIRD"])
    }

    /// What Bob's server tells of a change of his.
    private func tell(_ stream: Int64, after previous: [Int64], device: String = "SECOND") async throws {
        try await there.send(
            [
                [
                    "edu_type": "m.device_list_update",
                    "content": [
                        "user_id": .string(bob.id.text), "device_id": .string(device), "stream_id": .integer(stream),
                        "prev_id": .array(previous.map { .integer($0) }), "deleted": false,
                    ],
                ]
            ], to: here)
    }

    private func known() async throws -> RemoteDeviceStore.List {
        let bob = bob.id
        return try #require(
            try await here.environment.database.read { try RemoteDeviceStore($0).list(of: bob) })
    }

    /// - Parameter previous: what the change says it follows, counted from the number that is known.
    @Test(arguments: [[], [-2], [0]] as [[Int64]])
    func `a server whose numbers went back is asked for the whole list`(previous: [Int64]) async throws {
        try await share()
        #expect(try await bobsDevices() == ["DEVICE"])
        let list = try await known()
        try await bob.logIn(at: "SECOND").uploadDeviceKeys()
        _ = try await there.takeEDUs(for: here.name)
        let before = try await here.now()
        _ = wire.takeRequests()

        try await tell(list.streamID - 1, after: previous.map { list.streamID + $0 })

        #expect(try await alice.changes(from: before).changed == [bob.id.text])
        #expect(try await bobsDevices() == ["DEVICE", "SECOND"])
        // However many such changes come, the list is asked for once.
        _ = wire.takeRequests()
        for back in 1...3 { try await tell(list.streamID - Int64(back), after: [list.streamID - Int64(back) - 1]) }
        for _ in 0..<3 { _ = try await bobsDevices() }
        #expect(wire.takeRequests().count { $0.hasPrefix("/_matrix/federation/v1/user/devices/") } == 1)
    }

    @Test func `a change that is told twice is taken once, and one after another number than is known is a gap`()
        async throws
    {
        try await share()
        #expect(try await bobsDevices() == ["DEVICE"])
        let first = try await known().streamID
        let before = try await here.now()

        try await tell(first, after: [first - 1])
        #expect(try await alice.changes(from: before).changed.isEmpty)
        #expect(try await !known().isStale)

        try await tell(first + 5, after: [first - 1, first])
        #expect(try await known().streamID == first + 5)
        #expect(try await !known().isStale)
        // The number before is not the one that is known, though it is not greater.
        try await tell(first + 6, after: [first])
        #expect(try await known().isStale)
    }

    @Test func `what is told of a list while it is on its way is not lost, be it the first or not`() async throws {
        try await share()
        for _ in 0..<2 {
            let (bob, database) = (bob.id, here.environment.database)
            let asked = try await database.write { try RemoteDeviceStore($0).beginAsking(bob) }
            try await tell(100, after: [99])
            #expect(try await known().isStale)
            try await database.write {
                try RemoteDeviceStore($0).replace([], of: bob, streamID: 7, asOf: .max, asked: asked)
            }
            #expect(try await known().isStale)
            #expect(try await bobsDevices() == ["DEVICE"])
            #expect(try await !known().isStale)
        }
    }

    @Test func `a deleted device disappears`() async throws {
        try await share()
        try await bob.logIn(at: "SECOND").uploadDeviceKeys()
        #expect(try await bobsDevices() == ["DEVICE", "SECOND"])
        _ = try await bob.confirmed(.post, "delete_devices", ["devices": ["SECOND"]])
        try await there.deliver(to: here)

        #expect(try await bobsDevices() == ["DEVICE"])
    }

    @Test func `what changed while no room was shared is not missed`() async throws {
        try await share()
        #expect(try await bobsDevices() == ["DEVICE"])
        for server in [here, there] { try await server.share(1, [bob.id], at: 2, membership: "leave") }
        try await bob.logIn(at: "SECOND").uploadDeviceKeys()
        for server in [here, there] { try await server.share(1, [bob.id], at: 3) }

        #expect(try await bobsDevices() == ["DEVICE", "SECOND"])
    }

    @Test func `new cross-signing keys arrive`() async throws {
        try await share()
        #expect(try await bobsDevices() == ["DEVICE"])
        _ = try await bob.confirmed(.post, "keys/device_signing/upload", bob.crossSigningKeys(1))
        let edus = try await there.takeEDUs(for: here.name)
        #expect(edus.contains { $0["edu_type"] == "m.signing_key_update" })
        try await there.send(edus, to: here)

        let found = try await alice.query(bob.id)["master_keys"]?[bob.id.text]
        #expect(found?["keys"] == (try bob.crossSigningKey("master", 1))["keys"])
    }

    @Test func `a server speaks for its own users only`() async throws {
        try await share()
        #expect(try await bobsDevices() == ["DEVICE"])
        let mallory = try await DeviceServer("m.test:443", wire: wire)
        try await mallory.send(
            [
                [
                    "edu_type": "m.device_list_update",
                    "content": [
                        "user_id": .string(bob.id.text), "device_id": "DEVICE", "stream_id": 1_000, "prev_id": [],
                        "deleted": true,
                    ],
                ]
            ], to: here)

        #expect(try await bobsDevices() == ["DEVICE"])
    }

    @Test func `a server that is away is named, and others' keys still come`() async throws {
        try await alice.uploadDeviceKeys()
        wire.cut()
        let found = try await alice.query(alice.id, bob.id)

        #expect(found["failures"]?.members.map(\.key) == ["b.test:443"])
        #expect(found["device_keys"]?[alice.id.text]?["DEVICE"] != nil)
        #expect(found["device_keys"]?[bob.id.text] == nil)
    }

    @Test func `one-time keys are claimed over federation`() async throws {
        _ = try await bob.upload("A")

        #expect(try await alice.claim(bob)?.id == "signed_curve25519:A")
        #expect(try await alice.claim(bob) == nil)
    }

    @Test func `a signature on a key of another server is kept for its maker`() async throws {
        try await alice.crossSign()
        try await share()
        let signed = try alice.sign(bob.crossSigningKey("master"), with: "user_signing")

        let answer = try await alice.call(
            .post, "keys/signatures/upload", .object([bob.id.text: .object([try bob.masterKeyText(): signed])]))

        #expect(answer["failures"] == [:])
        let seen = try await alice.query(bob.id)["master_keys"]?[bob.id.text]
        #expect(seen?["signatures"]?[alice.id.text] == signed["signatures"]?[alice.id.text])
    }
}
