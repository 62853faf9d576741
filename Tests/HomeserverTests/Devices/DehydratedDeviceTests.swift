import HTTPTypes
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
@Suite("Dehydrated devices") struct DehydratedDeviceTests {
    private static let path = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"

    /// Leaves a device of a user's, with keys made from its name.
    private func leave(
        _ owner: Client, _ name: String = "DRY", _ more: [String: JSONValue] = [:]
    ) async throws -> Answer {
        let dry = Client(server: owner.server, id: owner.id, device: name, token: owner.token)
        var keys = try dry.deviceKeys()
        keys["dehydrated"] = true
        var body: [String: JSONValue] = [
            "device_id": .string(name), "initial_device_display_name": "waiting",
            "device_data": ["algorithm": "org.matrix.msc3814.v2", "device_pickle": "abc", "nonce": "def"],
            "device_keys": keys,
            "one_time_keys": ["signed_curve25519:1": try dry.oneTimeKey("one")],
            "fallback_keys": ["signed_curve25519:f": try dry.oneTimeKey("fall", fallback: true)],
        ]
        body.merge(more) { $1 }
        return try await owner.call(.put, Self.path, .object(body))
    }

    @Test func `what a client left another takes up, with its messages in order`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        #expect(try await alice.call(.get, Self.path).errcode == "M_NOT_FOUND")
        #expect(try await leave(alice)["device_id"] == "DRY")
        let told = try await alice.call(.get, Self.path)
        #expect(told["device_id"] == "DRY")
        #expect(told["device_data"]?["device_pickle"] == "abc")

        // It is a device as any other, and says of itself what it is.
        let seen = try await bob.query(alice.id)["device_keys"]?[alice.id.text]?["DRY"]
        #expect(seen?["dehydrated"] == true)
        #expect(seen?["unsigned"]?["device_display_name"] == "waiting")
        let dry = Client(server: server, id: alice.id, device: "DRY", token: "")
        #expect(try await bob.claim(dry)?.id == "signed_curve25519:1")
        #expect(try await bob.claim(dry)?.id == "signed_curve25519:f")
        for number in 1...5 {
            let content: JSONValue = [alice.id.text: ["DRY": ["number": .integer(Int64(number))]]]
            _ = try await bob.call(.put, "sendToDevice/m.room.encrypted/\(number)", ["messages": content])
        }

        // In pages, to the empty one; asking again gives them again.
        for _ in 1...2 {
            var numbers: [Int64] = []
            var next: JSONValue?
            for _ in 1...9 {
                let answer = try await alice.call(
                    .post, "\(Self.path)/DRY/events?limit=2", next.map { ["next_batch": $0] } ?? [:])
                let events = try #require(answer["events"]?.elements)
                next = answer["next_batch"]
                #expect(next != nil)
                if events.isEmpty { break }
                numbers += events.compactMap { $0["content"]?["number"]?.integer }
                #expect(events.allSatisfy { $0["sender"]?.string == bob.id.text })
            }
            #expect(numbers == [1, 2, 3, 4, 5])
        }
        let first = try await alice.call(.get, "\(Self.path)/DRY/events?limit=3")
        #expect(first["events"]?.count == 3)
        let rest = try await alice.call(
            .get, "\(Self.path)/DRY/events?next_batch=\(first["next_batch"]?.string ?? "")")
        #expect(rest["events"]?.count == 2)
        #expect(try await alice.call(.get, "\(Self.path)/DRY/events?next_batch=x").errcode == "M_INVALID_PARAM")
    }

    @Test func `a user has one, and nobody else's`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        #expect(try await leave(alice, "ONE").status == 200)
        #expect(try await leave(alice, "TWO").status == 200)
        let devices = try await bob.query(alice.id)["device_keys"]?[alice.id.text]?.members.map(\.key)
        #expect(devices?.contains("ONE") == false)
        #expect(devices?.contains("TWO") == true)
        #expect(try await alice.call(.get, "\(Self.path)/ONE/events").errcode == "M_FORBIDDEN")
        #expect(try await bob.call(.post, "\(Self.path)/TWO/events", [:]).errcode == "M_FORBIDDEN")
        #expect(try await bob.call(.delete, Self.path).errcode == "M_NOT_FOUND")
        #expect(try await alice.call(.delete, Self.path)["device_id"] == "TWO")
        #expect(try await alice.call(.get, Self.path).status == 404)
        #expect(try await bob.query(alice.id)["device_keys"]?[alice.id.text]?["TWO"] == nil)
    }

    @Test func `it goes with the device list, and no device in use becomes one`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        try await alice.uploadDeviceKeys()
        #expect(try await leave(alice, alice.device).errcode == "M_INVALID_PARAM")
        #expect(try await leave(alice).status == 200)
        let ended = try await alice.confirmed(.post, "delete_devices", ["devices": ["DRY"]])
        #expect(ended.status == 200)
        #expect(try await alice.call(.get, Self.path).status == 404)
        #expect(try await leave(alice).status == 200)
        _ = try await alice.call(.post, "logout/all", [:])
        let again = try await Client(server: server, id: alice.id, device: "NEW", token: "").logIn(at: "NEW")
        #expect(try await again.call(.get, Self.path).status == 404)
    }

    @Test(arguments: ["device_id", "device_data", "device_keys"])
    func `what makes a device must be there`(field: String) async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let answer = try await leave(alice, "DRY", [field: nil])
        #expect(answer.status == 400)
        #expect(answer.errcode == "M_MISSING_PARAM")
        #expect(try await leave(alice, "DRY", ["device_data": ["a": 1]]).errcode == "M_BAD_JSON")
        let large = JSONValue.string(String(repeating: "x", count: 65_536))
        #expect(
            try await leave(alice, "DRY", ["device_data": ["algorithm": "a", "pickle": large]]).errcode
                == "M_TOO_LARGE")
        #expect(try await alice.call(.get, Self.path).status == 404)
    }
}
