import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import Synchronization
import Testing

@testable import ClientEncryption

@Suite("Requests for room keys") struct KeyRequestTests {
    let server = KeyServer()

    /// Alice's phone, which has a session, and her tablet, which the phone has verified and has a channel to.
    private func devices() async throws -> (phone: TrustDevice, tablet: TrustDevice, session: String) {
        let phone = try await TrustDevice("alice", on: server)
        try await phone.makeIdentity()
        let tablet = try await TrustDevice("alice", "TABLET", on: server)
        try await phone.look()
        try await tablet.look()
        let master = try await tablet.write { try $0.identity(of: tablet.user, in: $1)?.master } ?? ""
        try await tablet.write { try $0.trustOwnIdentity(master: master, in: $1) }
        try await phone.write { try $0.signOwnDevice(tablet.device, in: $1) }
        try await phone.uploadSignatures()
        try await phone.look()
        try await tablet.look()
        try await phone.claim()
        try await tablet.claim()
        let session = OutboundGroupSession(random: SystemRandomSource())
        let key = try JSONDocument(exported(session).serialized()).root
        _ = try await phone.write { try $0.importRoomKeys([key], from: .keyFile, in: $1) }
        return (phone, tablet, session.id)
    }

    private func exported(_ session: OutboundGroupSession) -> JSONValue {
        [
            "algorithm": "m.megolm.v1.aes-sha2", "room_id": "!room:a", "session_id": .string(session.id),
            "session_key": .string(Base64.encode(session.inbound.exportedKey)),
            "sender_key": .string(Base64.encode([UInt8](repeating: 9, count: 32))),
            "sender_claimed_keys": ["ed25519": .string(Base64.encode([UInt8](repeating: 8, count: 32)))],
        ]
    }

    private func ask(_ tablet: TrustDevice, for session: String) async throws {
        let room = try RoomID("!room:a")
        #expect(try await tablet.write { try $0.requestKey(of: room, session, in: $1) })
        try await tablet.flush()
    }

    private func remove(_ tablet: TrustDevice) {
        server.state.withLock { $0.deviceKeys["@alice:a"]?[tablet.device.text] = nil }
        server.tell(of: "@alice:a")
    }

    @Test(arguments: [86_400_000, 86_399_999, 0, -1] as [Int64])
    func `a key that has not come within a day is asked for once more`(age: Int64) async throws {
        let (_, tablet, session) = try await devices()
        let room = try RoomID("!room:a")
        try await ask(tablet, for: session)
        let event = try JSONDocument(
            JSONValue.object([
                "event_id": "$1", "sender": "@bob:a", "origin_server_ts": 1_700_000_000_001,
                "content": ["session_id": .string(session)],
            ]).serialized()
        ).root
        try await tablet.write { machine, connection in
            let why = try machine.explain(
                .noRoomKey(session: session, withheld: nil), event, in: room, in: connection)
            try machine.noteUnread(event, in: room, why, in: connection)
            let made = machine.now() - age
            try connection.execute("UPDATE key_requests SET created_at = \(made)")
        }
        let isOver = !(0..<86_400_000).contains(age)
        #expect(try await tablet.write { try $0.missingSessions(in: $1).map(\.session) } == (isOver ? [session] : []))
        #expect(try await tablet.write { try $0.requestKey(of: room, session, in: $1) } == isOver)
    }

    @Test func `a verified device of ours gets what it asks for`() async throws {
        let (phone, tablet, session) = try await devices()
        try await ask(tablet, for: session)
        try await phone.sync()
        try await phone.flush()
        #expect(try await tablet.sync().roomKeys.map(\.session) == [session])
    }

    @Test func `a device that was logged out gets nothing, signed as it was`() async throws {
        let (phone, tablet, session) = try await devices()
        remove(tablet)
        try await phone.look()
        // Who has its store asks, or its server does so in its name.
        try await ask(tablet, for: session)
        try await phone.sync()
        try await phone.flush()
        #expect(server.state.withLock { $0.inboxes["@alice:a|TABLET"] ?? [] }.isEmpty)
    }

    @Test func `a key that a logged-out device forwards is not taken`() async throws {
        let (phone, tablet, session) = try await devices()
        try await ask(tablet, for: session)
        try await phone.sync()
        try await phone.flush()
        server.state.withLock { $0.deviceKeys["@alice:a"]?["PHONE"] = nil }
        server.tell(of: "@alice:a")
        let kept = Mutex<[JSONValue]>([])
        try await tablet.sync { events in
            kept.withLock { $0 = events }
            return []
        }
        try await tablet.look()
        let outcome = try await tablet.sync { _ in kept.withLock { $0 } }
        #expect(outcome.roomKeys.isEmpty && outcome.warnings.count == 1)
    }
}
