import Cryptography
import MatrixModel
import Testing

@Suite("The policy server of a room") struct RoomPolicyTests {
    private let policyServer = "policy.test"

    private func policyEvent(_ content: JSONValue) throws -> PDU {
        try TestEvents.message(.v12, type: .policy, stateKey: "", content: content)
    }

    private func content(key: String) -> JSONValue {
        ["via": .string(policyServer), "public_keys": ["ed25519": .string(key)]]
    }

    private func encodedKey(_ seed: UInt8) throws -> String {
        Base64.encode(try TestEvents.key(seed).publicKey.bytes, .standardUnpadded)
    }

    @Test func `counts only where it names a server and a key`() throws {
        let named = try #require(RoomPolicy(try policyEvent(content(key: try encodedKey(7)))))
        #expect(named.server.text == policyServer)
        #expect(RoomPolicy(nil) == nil)
        #expect(RoomPolicy(try policyEvent(["via": .string(policyServer)])) == nil)
        #expect(RoomPolicy(try policyEvent(["public_keys": ["ed25519": .string(try encodedKey(7))]])) == nil)
        let unnamed: JSONValue = ["via": "no server", "public_keys": ["ed25519": .string(try encodedKey(7))]]
        #expect(RoomPolicy(try policyEvent(unnamed)) == nil)
    }

    @Test func `signs every event but the one that names it`() {
        #expect(!RoomPolicy.covers(.policy, stateKey: ""))
        #expect(RoomPolicy.covers(.policy, stateKey: "other"))
        #expect(RoomPolicy.covers(.policy, stateKey: nil))
        #expect(RoomPolicy.covers(.message, stateKey: nil))
        #expect(RoomPolicy.covers(.topic, stateKey: ""))
    }

    @Test func `recommends what its own key has signed under its own name`() throws {
        let policy = try #require(RoomPolicy(try policyEvent(content(key: try encodedKey(7)))))
        let server = try TestEvents.server(policyServer)
        let event = try TestEvents.message(.v12)
        #expect(!policy.recommends(event))
        let key = try TestEvents.key(7)
        #expect(policy.recommends(try event.signed(by: server, keyID: RoomPolicy.keyID, key: key)))
        #expect(!policy.recommends(try event.signed(by: server, keyID: "ed25519:1", key: key)))
        #expect(!policy.recommends(try event.signed(by: server, keyID: RoomPolicy.keyID, key: try TestEvents.key(8))))
        let other = try TestEvents.server("other.test")
        #expect(!policy.recommends(try event.signed(by: other, keyID: RoomPolicy.keyID, key: key)))
    }

    @Test func `recommends nothing where its key is none`() throws {
        let policy = try #require(RoomPolicy(try policyEvent(content(key: "c2hvcnQ"))))
        let server = try TestEvents.server(policyServer)
        let event = try TestEvents.message(.v12)
        #expect(!policy.recommends(try event.signed(by: server, keyID: RoomPolicy.keyID, key: try TestEvents.key(7))))
    }
}
