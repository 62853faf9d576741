import ClientEncryption
import Cryptography
import FedchatKit
import HTTPMessages
import Logging
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@Suite("Client") struct ClientTests {
    let server = PretendServer()

    private func open(_ name: String, _ database: SQLiteDatabase? = nil) async throws -> (Client, SQLiteDatabase) {
        try await server.open(name, database)
    }

    private func texts(_ room: RoomID, of client: Client) async throws -> [String] {
        let heard = Mutex<[String]>([])
        let timeline = Timeline(of: room, client: client) { event in
            if let body = event.event["content", "body"]?.string { heard.withLock { $0.append(body) } }
        }
        try await timeline.run(fromStart: true, following: false)
        return heard.withLock { $0 }
    }

    private var sent: [String] { server.state.withLock { $0.log.filter { $0.contains("/send/m.room") } } }

    @Test func `many messages at once arrive in the order accepted, encrypted`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, _) = try await open("bob")
        let server = server
        try await PretendServer.running(alice, bob) {
            var creation = RoomCreation()
            creation.name = "Kitchen"
            let room = try await alice.create(creation)
            try await alice.invite(bob.user, to: room)
            _ = try await bob.join(room.text)

            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<30 {
                    group.addTask {
                        _ = try await alice.send("m.room.message", ["body": .string("\(number)")], to: room)
                    }
                }
                try await group.waitForAll()
            }

            let heard = try await texts(room, of: bob)
            #expect(Set(heard) == Set((0..<30).map { "\($0)" }))
            #expect(heard.count == 30)
            #expect(try await texts(room, of: alice) == heard)
            server.state.withLock { state in
                #expect(!state.events.contains { $0.event["type"] == "m.room.message" })
                #expect(state.log.filter { $0.contains("sendToDevice") }.count == 1, "one key for all")
            }
        }
    }

    @Test func `a lost answer is asked for again under the same transaction id`() async throws {
        let (alice, _) = try await open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            server.state.withLock { $0.failAfter["/send/m.room"] = 2 }

            _ = try await alice.send("m.room.message", ["body": "once"], to: room)

            #expect(try await texts(room, of: alice) == ["once"])
        }
        #expect(sent.count == 3)
        #expect(Set(sent).count == 1)
    }

    @Test func `what a crash leaves in the queue goes out after it, once`() async throws {
        let (alice, database) = try await open("alice")
        let made = Mutex<RoomID?>(nil)
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            made.withLock { $0 = room }
            server.state.withLock { $0.failBefore["/send/m.room"] = 1_000 }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "patience"], to: room)
            }
        }
        let room = try #require(made.withLock { $0 })
        server.state.withLock { $0.failBefore = [:] }

        let (again, _) = try await open("alice", database)
        try await PretendServer.running(again) {
            while true {
                let heard = try await texts(room, of: again)
                if !heard.isEmpty {
                    #expect(heard == ["patience"])
                    return
                }
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        #expect(Set(sent).count == 1, "one transaction id throughout")
    }

    @Test func `an encrypted room is never spoken to in the clear, whatever the server says later`() async throws {
        let (alice, _) = try await open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            server.state.withLock { state in
                state.events.append(
                    (
                        room.text,
                        [
                            "type": "m.room.encryption", "state_key": "", "sender": "@alice:a", "content": [:],
                            "event_id": "$downgrade", "origin_server_ts": 0,
                        ]
                    ))
            }
            _ = try await alice.send("m.room.message", ["body": "secret"], to: room)
            #expect(try await texts(room, of: alice) == ["secret"])
        }
        #expect(sent.allSatisfy { $0.contains("m.room.encrypted") })
    }

    @Test func `a room is forgotten with its keys`() async throws {
        let (alice, database) = try await open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            let kept = try await alice.create(RoomCreation())
            for each in [room, kept] { _ = try await alice.send("m.room.message", ["body": "x"], to: each) }

            try await alice.forget(room)

            #expect(try await alice.rooms().map(\.room) == [kept])
            let rows = try await database.read { try $0.query("SELECT room_id FROM inbound_group_sessions") }
            #expect(try rows.map { try $0.text(0) } == [kept.text])
            try await alice.forget(room)
        }
    }

    @Test func `a room that is not ours is not found`() async throws {
        let (alice, _) = try await open("alice")
        try await PretendServer.running(alice) {
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "x"], to: try RoomID("!nothing:a"))
            }
            await #expect(throws: ClientError.self) { try await alice.room(named: "no such name") }
        }
    }

    @Test(arguments: [
        ("https://matrix.example.org", "https://matrix.example.org:443"),
        ("HTTPS://Example.org:8448/", "https://example.org:8448"),
        ("http://localhost:8008", "http://localhost:8008"), ("http://127.0.0.1:1/base", "http://127.0.0.1:1/base"),
        ("http://[::1]:8008", "http://[::1]:8008"),
    ])
    func `a homeserver's URL is understood`(url: String, wanted: String) throws {
        #expect(try Homeserver(url).description == wanted)
    }

    @Test(arguments: [
        "http://example.org", "http://127.0.0.1.example.org", "http://10.0.0.1", "ftp://localhost", "localhost",
        "https://",
        "https://user@host", "https://host:99999", "https://host/?x", "http://localhost.example.org",
    ])
    func `plain http is for loopback only, and nonsense is refused`(url: String) {
        #expect(throws: ClientError.self) { try Homeserver(url) }
    }
}
