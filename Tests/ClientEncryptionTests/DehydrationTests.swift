import Cryptography
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

@testable import ClientEncryption

@Suite("Dehydrated devices") struct DehydrationTests {
    let server = KeyServer()

    /// Alice's phone leaves a dehydrated device; what the server would answer for it, and its id.
    private func dehydrated() async throws -> (phone: TrustDevice, answer: JSONValue, id: String) {
        let phone = try await TrustDevice("alice", on: server)
        try await phone.makeIdentity()
        let body = try JSONValue.parse(try await phone.write { try $0.dehydration(in: $1).body })
        let id = try #require(body["device_id"]?.string)
        server.state.withLock { state in
            state.deviceKeys["@alice:a", default: [:]][id] = body["device_keys"]
            state.oneTimeKeys["@alice:a|\(id)"] = (body["one_time_keys"]?.members ?? []).map { ($0.key, $0.value) }
        }
        server.tell(of: "@alice:a")
        return (phone, ["device_id": .string(id), "device_data": body["device_data"] ?? [:]], id)
    }

    private func view(_ value: JSONValue) throws -> JSONView { try JSONDocument(value.serialized()).root }

    @Test func `room keys that came for it are read by the next device`() async throws {
        let (phone, answer, id) = try await dehydrated()
        let bob = try await TrustDevice("bob", on: server)
        try await bob.makeIdentity()
        try await bob.look(at: phone)
        let devices = try await bob.write { try $0.devices(of: phone.user, in: $1) }
        let waiting = try #require(devices.first { $0.device.text == id })
        #expect(try await bob.write { try $0.isCrossSigned(waiting, in: $1) })
        try await bob.claim(phone.user)
        try await bob.prepareRoomKey(for: phone)
        try await bob.flush()
        let events = server.state.withLock { $0.inboxes["@alice:a|\(id)"] ?? [] }
        #expect(!events.isEmpty)

        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await tablet.look(at: bob)
        let shown = try view(answer)
        #expect(try await tablet.write { try $0.rehydration(shown, in: $1)?.device.text } == nil, "without its key")
        let secret = try await phone.write { try $0.secretsInUse(in: $1)[.dehydratedDevice] } ?? ""
        #expect(try await tablet.write { try $0.take(secret, as: .dehydratedDevice, in: $1) })
        let views = try events.map { try view($0) }
        let outcome = try await tablet.write { machine, connection in
            guard var device = try machine.rehydration(shown, in: connection) else { return SyncOutcome() }
            return try machine.rehydrate(
                &device, views + [view(["type": "m.room.encrypted", "sender": "x"])], in: connection)
        }
        #expect(outcome.roomKeys.count == 1)
        #expect(outcome.roomKeys.first?.room.text == "!room:a")
    }

    @Test func `another key opens nothing`() async throws {
        let (_, answer, _) = try await dehydrated()
        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        let wrong = Base64.encode([UInt8](repeating: 4, count: 32))
        #expect(try await tablet.write { try $0.take(wrong, as: .dehydratedDevice, in: $1) })
        let shown = try view(answer)
        await #expect(throws: EncryptionError.wrongRecoveryKey) {
            _ = try await tablet.write { try $0.rehydration(shown, in: $1)?.device }
        }
    }

    @Test func `a device that cannot sign makes none`() async throws {
        let alice = try await TrustDevice("alice", on: server)
        try await alice.look()
        await #expect(throws: EncryptionError.cannotSign) {
            _ = try await alice.write { try $0.dehydration(in: $1).body }
        }
    }
}
