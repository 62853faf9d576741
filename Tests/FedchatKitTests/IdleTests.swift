import ClientEncryption
import MatrixModel
import PostQuantum
import SQLDatabase
import Synchronization
import Testing

@testable import FedchatKit

@Suite("A client to which nothing happens") struct IdleTests {
    let server = PretendServer()

    /// A client of a room with an encrypted message in it, and its database.
    private func settled(isHybrid: Bool = false) async throws -> (client: Client, database: CountingDatabase) {
        let (alice, database) = try await server.openCounting("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            _ = try await alice.send("m.room.message", ["msgtype": "m.text", "body": "x"], to: room)
        }
        if isHybrid {
            let machine = alice.machine
            try await alice.database.write { try machine.setHybridPolicy(.offered, in: $0) }
        }
        for _ in 0..<6 {
            try await alice.syncOnce(holding: 0)
            try await alice.keepUpOnce()
        }
        return (alice, database)
    }

    @Test(arguments: [false, true]) func `an idle sync writes nothing, nor does the upkeep after it`(
        isHybrid: Bool
    ) async throws {
        let (alice, database) = try await settled(isHybrid: isHybrid)
        let before = database.writes

        for _ in 0..<3 {
            try await alice.syncOnce(holding: 0)
            try await alice.keepUpOnce()
        }

        #expect(database.writes == before)
    }

    @Test func `what a sync brings is written, be it only how many keys are left`() async throws {
        let (alice, database) = try await settled()
        let before = database.writes
        server.state.withLock { $0.oneTimeKeys["@alice:a|PHONE"] = [] }

        try await alice.syncOnce(holding: 0)
        #expect(database.writes > before)
        try await alice.keepUpOnce()

        #expect(server.state.withLock { ($0.oneTimeKeys["@alice:a|PHONE"] ?? []).count } == 25)
    }

    @Test func `a request for a key that waits for its device is looked at with each sync`() async throws {
        let (alice, database) = try await settled()
        server.state.withLock { state in
            state.inboxes["@alice:a|PHONE"] = [
                [
                    "type": "m.room_key_request", "sender": "@alice:a",
                    "content": [
                        "action": "request", "request_id": "1", "requesting_device_id": "TABLET",
                        "body": ["algorithm": "m.megolm.v1.aes-sha2", "room_id": "!room0:a", "session_id": "s"],
                    ],
                ]
            ]
        }
        try await alice.syncOnce(holding: 0)
        let before = database.writes
        try await alice.syncOnce(holding: 0)
        #expect(database.writes > before)
    }

    @Test func `a message that waits for its key is not decrypted again and again`() async throws {
        let (alice, database) = try await settled()
        let room = try RoomID("!room0:a")
        let event: JSONValue = [
            "type": "m.room.encrypted", "sender": "@bob:a", "event_id": "$unread",
            "origin_server_ts": .integer(alice.now()),
            "content": ["algorithm": "m.megolm.v1.aes-sha2", "session_id": "unknown", "ciphertext": "AwgA"],
        ]
        server.state.withLock { $0.forged["@alice:a"] = [["join": [room.text: ["timeline": ["events": [event]]]]]] }
        let timeline = Timeline(of: room, client: alice) { _ in }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await timeline.run(fromStart: false, following: true) }
            defer { group.cancelAll() }
            while await alice.listeners.isEmpty { try await Task.sleep(for: .milliseconds(2)) }
            try await alice.syncOnce(holding: 0)
            while try await database.read({ try $0.query("SELECT 1 FROM unread_events").isEmpty }) {
                try await Task.sleep(for: .milliseconds(2))
            }
            let before = database.writes
            try await Task.sleep(for: .milliseconds(600))
            #expect(database.writes == before)
        }
    }
}
