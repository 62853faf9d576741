import Cryptography
import HTTPTypes
import MatrixModel
import Testing

@Suite("Device keys and one-time keys") struct DeviceKeyTests {
    @Test func `device keys are found by others, with the device's name`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        try await alice.uploadDeviceKeys()

        let found = try await bob.query(alice.id)["device_keys"]?[alice.id.text]?["DEVICE"]

        #expect(found?["signatures"] == (try alice.deviceKeys())["signatures"])
        #expect(found?["unsigned"] == ["device_display_name": "alice's phone"])
    }

    @Test func `keys of another device or user are refused`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")

        let answer = try await alice.call(.post, "keys/upload", ["device_keys": bob.deviceKeys()])

        #expect(answer.status == 400)
        #expect(try await bob.query(alice.id)["device_keys"]?[alice.id.text] == [:])
    }

    @Test func `one-time keys go out in the order of their uploads, each once`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        for name in ["Z", "A", "M"] { _ = try await alice.upload(name) }

        var claimed: [String] = []
        for _ in 0..<4 { if let key = try await bob.claim(alice) { claimed.append(key.id) } }

        #expect(claimed == ["signed_curve25519:Z", "signed_curve25519:A", "signed_curve25519:M"])
    }

    @Test func `claims at the same time get different keys`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        for number in 0..<10 { _ = try await alice.upload("K\(number)") }

        let claimed = try await withThrowingTaskGroup(of: String?.self) { group in
            for _ in 0..<20 { group.addTask { try await bob.claim(alice)?.id } }
            return try await group.reduce(into: [String]()) { if let id = $1 { $0.append(id) } }
        }

        #expect(claimed.count == 10)
        #expect(Set(claimed).count == 10)
    }

    @Test func `a repeated upload does not bring back a key that was given out`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        _ = try await alice.upload("A", "B")
        let first = try await bob.claim(alice)

        let again = try await alice.upload("A", "B")

        #expect(again["one_time_key_counts"] == ["signed_curve25519": 1])
        let second = try await bob.claim(alice)
        #expect(first?.id != second?.id)
        #expect(try await bob.claim(alice) == nil)
    }

    @Test func `another key under the name of one that waits is refused`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        _ = try await alice.upload("A")

        let answer = try await alice.call(
            .post, "keys/upload", ["one_time_keys": ["signed_curve25519:A": alice.oneTimeKey("other")]])

        #expect(answer.status == 400)
        #expect(answer.errcode == "M_INVALID_PARAM")
    }

    @Test func `the fallback key stands in again and again, as it was signed`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        let fallback = try alice.oneTimeKey("fallback", fallback: true)
        _ = try await alice.call(.post, "keys/upload", ["fallback_keys": ["signed_curve25519:F": fallback]])
        _ = try await alice.upload("A")

        #expect(try await bob.claim(alice)?.id == "signed_curve25519:A")
        for _ in 0..<2 {
            let key = try await bob.claim(alice)
            #expect(key?.id == "signed_curve25519:F")
            #expect(key?.key == fallback)
            #expect(key?.key["fallback"] == true)
        }
    }

    @Test func `an empty upload tells how many keys are left`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")

        #expect(try await alice.upload()["one_time_key_counts"] == ["signed_curve25519": 0])
        #expect(try await alice.upload("A", "B")["one_time_key_counts"] == ["signed_curve25519": 2])
        #expect(try await alice.call(.post, "keys/upload", [:])["one_time_key_counts"] == ["signed_curve25519": 2])
    }

    @Test(
        arguments: [
            ["one_time_keys": ["noalgorithm": ["key": "x"]]], ["one_time_keys": ["a:b\u{0}": ["key": "x"]]],
            ["one_time_keys": ["a:b": 7]], ["one_time_keys": []], ["device_keys": ["user_id": 1]],
            ["fallback_keys": ["a:b": ["key": "x"], "a:c": ["key": "x"]]],
        ] as [JSONValue])
    func `malformed uploads are the client's mistake`(body: JSONValue) async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")

        #expect(try await alice.call(.post, "keys/upload", body).status == 400)
    }

    @Test(
        arguments: [
            ["one_time_keys": ["@bob:a.test:443": ["X\u{0}": "signed_curve25519", "Y": "a\u{0}"]]],
            ["one_time_keys": ["nobody": ["X": "y"], "@b\u{0}:a.test:443": ["X": "y"]]],
        ] as [JSONValue])
    func `claims of what cannot exist find nothing`(body: JSONValue) async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")

        let answer = try await alice.call(.post, "keys/claim", body)

        #expect(answer.status == 200)
        #expect(answer["one_time_keys"] == [:])
    }

    @Test func `a deleted device's keys are gone`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let second = try await alice.logIn(at: "SECOND")
        try await second.uploadDeviceKeys()
        _ = try await second.upload("A")

        let answer = try await alice.confirmed(.post, "delete_devices", ["devices": ["SECOND"]])

        #expect(answer.status == 200)
        #expect(try await alice.query(alice.id)["device_keys"]?[alice.id.text] == [:])
        #expect(try await alice.claim(second) == nil)
        #expect(try await second.uploadDeviceKeys().status == 401)
    }
}
