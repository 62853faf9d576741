import ClientEncryption
import Cryptography
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

@Suite("Gaps in the sync") struct GapTests {
    let server = PretendServer()

    /// A client that knows the devices of bob and carol, and where its sync stands.
    private func client() async throws -> (client: Client, database: SQLiteDatabase, token: String) {
        let (alice, database) = try await server.open("alice")
        let machine = alice.machine
        var users: [UserID] = []
        for name in ["bob", "carol"] {
            let device = try await PretendDevice(name, on: server)
            try await device.upload()
            users.append(device.user)
        }
        let known = users
        try await database.write { try machine.track(known, in: $0) }
        try await alice.syncOnce(holding: 0)
        try await alice.keyTurns.hold { try await alice.queryKeys(for: nil) }
        #expect(try await stale(database).isEmpty)
        let store = alice.store
        let token = try #require(try await database.read { try store.syncToken(in: $0) })
        return (alice, database, token)
    }

    private func stale(_ database: SQLiteDatabase) async throws -> [String] {
        try await database.read { connection in
            try connection.query("SELECT user_id FROM tracked_users WHERE current < wanted ORDER BY user_id")
                .map { try $0.text(0) }
        }
    }

    /// The server does not know the position any more; the sync begins anew.
    private func beginAnew(_ client: Client) async throws {
        server.state.withLock { $0.refused["/sync"] = 1 }
        await #expect(throws: ClientError.self) { try await client.syncOnce(holding: 0) }
        try await client.syncOnce(holding: 0)
    }

    private var asked: Int { server.state.withLock { $0.log.filter { $0.hasSuffix("/keys/changes") }.count } }

    @Test func `of a sync that begins anew the server tells whose devices have changed`() async throws {
        let (alice, database, token) = try await client()
        server.state.withLock { state in
            state.keyChanges["from=\(token)&to=0"] = ["changed": ["@bob:a", "@stranger:a"], "left": ["@carol:a"]]
        }
        try await beginAnew(alice)
        #expect(try await stale(database) == ["@bob:a"])
        let followed = try await database.read { try $0.query("SELECT user_id FROM tracked_users ORDER BY user_id") }
        #expect(try followed.map { try $0.text(0) } == ["@alice:a", "@bob:a"])
        try await alice.syncOnce(holding: 0)
        #expect(asked == 1, "an ordinary sync asks no more")
    }

    @Test(arguments: [nil, [:], ["changed": "none"]] as [JSONValue?])
    func `where it does not tell, all lists are stale`(_ answer: JSONValue?) async throws {
        let (alice, database, token) = try await client()
        server.state.withLock { $0.keyChanges["from=\(token)&to=0"] = answer }
        try await beginAnew(alice)
        #expect(asked == 1)
        #expect(try await stale(database) == ["@alice:a", "@bob:a", "@carol:a"])
    }

    @Test func `what is stale is kept with the new position: a crash in between asks again`() async throws {
        let (alice, database, token) = try await client()
        server.state.withLock { state in
            state.keyChanges["from=\(token)&to=0"] = ["changed": ["@bob:a"], "left": []]
            state.refused["/sync"] = 1
        }
        await #expect(throws: ClientError.self) { try await alice.syncOnce(holding: 0) }
        // The answer to the first sync is lost, and refused once more; then the process ends.
        server.state.withLock { $0.failAfter["/sync"] = 1 }
        await #expect(throws: ClientError.self) { try await alice.syncOnce(holding: 0) }
        #expect(try await stale(database).isEmpty)

        let (again, _) = try await server.open("alice", database)
        try await again.syncOnce(holding: 0)
        #expect(try await stale(database).contains("@bob:a"))
        #expect(try await !stale(database).contains("@carol:a"))
        #expect(asked == 1)
    }

    @Test func `a device that has never synced knows nothing, and asks for all`() async throws {
        let (alice, database) = try await server.open("alice")
        let bob = try await PretendDevice("bob", on: server)
        try await bob.upload()
        let machine = alice.machine
        try await database.write { try machine.track([bob.user], in: $0) }
        try await alice.keyTurns.hold { try await alice.queryKeys(for: nil) }
        try await alice.syncOnce(holding: 0)
        #expect(try await stale(database).contains("@bob:a"))
        #expect(asked == 0)
    }

    // MARK: Room keys

    private func gap(_ state: [JSONValue], _ timeline: [JSONValue] = [], end: String? = "t1") throws -> JSONView {
        let timeline: JSONValue = .fields([
            "limited": true, "events": .array(timeline), "prev_batch": end.map { .string($0) },
        ])
        let response: JSONValue = [
            "next_batch": "n",
            "rooms": ["join": [PretendDevice.room: ["state": ["events": .array(state)], "timeline": timeline]]],
        ]
        return try JSONDocument(response.serialized()).root
    }

    private func member(_ user: String, _ membership: String) -> JSONValue {
        [
            "type": "m.room.member", "state_key": .string(user), "sender": .string(user),
            "content": ["membership": .string(membership)], "event_id": "$m", "origin_server_ts": 1,
        ]
    }

    /// Whether a session is left, and whether it is doubted, after each of these answers.
    private func session(after answers: [JSONView], isFirst: Bool = false) async throws -> (
        isThere: Bool, isDoubted: Bool
    ) {
        let (alice, database) = try await server.open("alice\(answers.count)\(isFirst)")
        let (machine, store) = (alice.machine, alice.store)
        let room = try RoomID(PretendDevice.room)
        return try await database.write { connection in
            try machine.prepareRoomKey(for: room, recipients: [], settings: .standard, in: connection)
            for answer in answers {
                _ = try SyncApplying(store: store, machine: machine, isFirst: isFirst).apply(answer, in: connection)
            }
            let count = try connection.query("SELECT 1 FROM outbound_group_sessions").count
            return (count == 1, try machine.doubt(about: room, in: connection) != nil)
        }
    }

    @Test func `a gap in which nobody left keeps the room's key, until our own messages are looked at`() async throws {
        let after = try await session(after: [try gap([member("@bob:a", "join")], [member("@carol:a", "join")])])
        #expect(after.isThere && after.isDoubted)
    }

    @Test(arguments: ["leave", "ban", "invite", "knock"])
    func `a gap after which somebody is not joined ends the room's key`(_ membership: String) async throws {
        for answer in [try gap([member("@bob:a", membership)]), try gap([], [member("@bob:a", membership)])] {
            #expect(try await !session(after: [answer]).isThere)
        }
    }

    @Test func `a gap that cannot be looked at, a second one, and a sync that begins anew end it`() async throws {
        #expect(try await !session(after: [try gap([], end: nil)]).isThere)
        #expect(try await !session(after: [try gap([]), try gap([], end: "t2")]).isThere)
        #expect(try await !session(after: [try gap([])], isFirst: true).isThere)
    }

    @Test func `nothing is encrypted with a key that is doubted`() async throws {
        let (alice, database) = try await server.open("alice")
        let (machine, room) = (alice.machine, try RoomID(PretendDevice.room))
        try await database.write { connection in
            try machine.prepareRoomKey(for: room, recipients: [], settings: .standard, in: connection)
            let old = try machine.encrypt("m", [:], for: room, in: connection)["session_id"]
            try machine.doubtRoomKey(of: room, before: "t", in: connection)
            #expect(try !machine.canEncrypt(1, for: room, settings: .standard, in: connection))
            #expect(try !machine.isPrepared(for: room, recipients: [], settings: .standard, in: connection))
            try machine.prepareRoomKey(for: room, recipients: [], settings: .standard, in: connection)
            #expect(try machine.encrypt("m", [:], for: room, in: connection)["session_id"] != old)
            #expect(try machine.doubt(about: room, in: connection) == nil)
        }
    }
}
