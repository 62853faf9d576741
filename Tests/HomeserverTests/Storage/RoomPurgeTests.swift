import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver
@testable import HomeserverStorage

@Suite("Rooms that go") struct RoomPurgeTests {
    /// Rows that are there for a time of their own, whatever becomes of the room.
    private static let passing: Set<String> = [
        "position_times", "purge_jobs", "invites_withdrawn", "reply_log", "room_leases", "search_queue",
    ]

    private func counts(_ database: any Database) async throws -> [String: Int64] {
        try await database.read { connection in
            let rows = TableRows(connection)
            var counts: [String: Int64] = [:]
            for name in try rows.names() where !Self.passing.contains(name) {
                counts[name] = try rows.count(name, upTo: nil)
            }
            return counts
        }
    }

    private func keeper(_ server: RoomFixture) -> RetentionKeeper {
        var keeper = RetentionKeeper(environment: server.environment, reader: server.reader, memberships: nil)
        keeper.grace = 0
        return keeper
    }

    /// Works until nothing is to be done.
    private func work(_ server: RoomFixture) async throws {
        let keeper = keeper(server)
        var state = RetentionKeeper.State()
        for _ in 0..<20 {
            try await keeper.turn(&state)
            if try await server.environment.database.read({ try PurgeJobs($0).open(limit: 1) }).isEmpty {
                try await keeper.release()
                // As a notification would have it.
                server.reader.received("")
                return
            }
        }
        Issue.record("the jobs do not end")
    }

    /// A room with something in every table that a room fills.
    private func busyRoom(_ server: RoomFixture) async throws -> RoomRecord {
        let room = try await server.room()
        let users = try (0..<150).map { try UserID("@user\($0):test") }
        for user in users { try await server.join(user, room.id) }
        let root = try await server.message("root", room.id)
        for number in 0..<210 {
            _ = try await server.writer.send(
                EventDraft(
                    type: .message, sender: RoomFixture.alice,
                    content: [
                        "body": .string("\(number)"),
                        "m.relates_to": ["rel_type": "m.thread", "event_id": .string(root.id.text)],
                    ], roomID: room.id))
        }
        try await server.environment.database.write { connection in
            for user in users {
                try connection.executeAll([
                    """
                    INSERT INTO receipts VALUES (\(room.nid), \(user.text), 'm.read', '', \(root.id.text), 1, 1,
                    \(Int64(user.text.utf8.count)))
                    """,
                    "INSERT INTO forgotten_rooms (user_id, room_nid) VALUES (\(user.text), \(room.nid))",
                ])
            }
            for server in ["one", "two"] {
                try connection.executeAll([
                    "INSERT INTO destination_rooms (destination, room_nid, position) VALUES (\(server), \(room.nid), 1)",
                    "INSERT INTO outbox (destination, position, event_nid) VALUES (\(server), 1, \(root.nid))",
                    "INSERT INTO backward_extremities (room_nid, event_id) VALUES (\(room.nid), \("$" + server))",
                    """
                    INSERT INTO pending_redactions (target_event_id, redaction_nid, room_nid)
                    VALUES (\("$" + server), \(root.nid), \(room.nid))
                    """,
                    """
                    INSERT INTO room_aliases (alias, room_id, creator)
                    VALUES (\("#\(server)\(room.nid):test"), \(room.id.text), '@alice:test')
                    """,
                    """
                    INSERT INTO account_data (user_id, room_id, type, position, content)
                    VALUES (\("@\(server):test"), \(room.id.text), 'm.tag', 1, \([0] as [UInt8]))
                    """,
                ])
            }
            try InboundStaging(connection).stage(
                origin: "one", roomID: room.id.text, eventID: "$staged", body: [1], now: 1, sealer: .plain)
        }
        return try #require(try await server.reader.record(room.id))
    }

    @Test(arguments: TestStore.available)
    func `the tables are as they were before the room, and other rooms are whole`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let server = try await RoomFixture(database: database)
            // What stays: another room, with members of the same names, and rows that no room makes.
            let other = try await server.room()
            for number in 0..<100 { try await server.join(try UserID("@user\(number):test"), other.id) }
            _ = try await server.message("stays", other.id)
            try await database.write { connection in
                for name in ["one", "two"] {
                    try connection.executeAll([
                        "INSERT INTO destinations (destination) VALUES (\(name))",
                        "INSERT INTO accounts (user_id, created_ts) VALUES (\("@\(name):test"), 1)",
                    ])
                }
                for number in 0..<150 {
                    try connection.execute(
                        "INSERT INTO accounts (user_id, created_ts) VALUES (\("@user\(number):test"), 1)")
                }
            }
            try await work(server)
            let before = try await counts(database)

            let room = try await busyRoom(server)
            #expect(try await counts(database) != before)
            try await database.write { try PurgeJobs($0).add(.room, room: room.id, isForced: true, now: 1) }
            try await work(server)

            #expect(try await counts(database) == before)
            #expect(try await server.reader.record(room.id) == nil)
            #expect(try await RoomCheck(server.environment).check(other.id)?.differences == [])
            // The other goes on, with keys of its own and such as were collected.
            try await server.join(try UserID("@user149:test"), other.id)
            _ = try await server.message("goes on", other.id)
            #expect(try await RoomCheck(server.environment).check(other.id)?.differences == [])
            let left = try await database.read {
                try $0.query("SELECT user_id FROM invites_withdrawn WHERE room_id = \(room.id.text)").count
            }
            #expect(left == 1, "Alice, who did not forget it, is shown it as left")
        }
    }

    @Test func `rooms with the same members share no node of their states`() async throws {
        let server = try await RoomFixture()
        for _ in 0..<2 {
            let room = try await server.room()
            for number in 0..<100 { try await server.join(try UserID("@user\(number):test"), room.id) }
        }
        let shared = try await server.environment.database.read { connection in
            let reader = StateReader(connection, server.reader.states)
            let roots = try connection.query("SELECT state FROM rooms").compactMap { StateRoot(try $0.bytes(0)) }
            let events = try roots.map { Set(try reader.allEvents(at: $0)) }
            let rooms = try connection.query("SELECT COUNT(DISTINCT room_nid) FROM state_nodes").first?.integer(0)
            #expect(rooms == 2)
            return events[0].intersection(events[1])
        }
        #expect(shared.isEmpty)
    }

    @Test(arguments: TestStore.available) func `a key that is used again between the walks stays`(
        _ store: TestStore
    ) async throws {
        try await store.run { database, _ in
            let server = try await RoomFixture(database: database)
            let (room, other) = (try await server.room(), try await server.room())
            let (mallory, eve) = (try UserID("@mallory:test"), try UserID("@eve:test"))
            for user in [mallory, eve] { try await server.join(user, room.id) }
            func numbers() async throws -> [String: Int64] {
                try await database.read { connection in
                    var found: [String: Int64] = [:]
                    for row in try connection.query(
                        "SELECT state_key, key_nid FROM state_keys WHERE type = 'm.room.member'")
                    {
                        found[try row.text(0)] = try row.integer(1)
                    }
                    return found
                }
            }
            let before = try await numbers()
            try await database.write { try PurgeJobs($0).add(.room, room: room.id, isForced: true, now: 1) }
            let keeper = keeper(server)
            var state = RetentionKeeper.State()
            // Up to the first walk and the pause after it.
            while true {
                try await keeper.turn(&state)
                let job = try await database.read { try PurgeJobs($0).open(limit: 1).first }
                if job?.kind == .leftovers, job?.phase == 2 { break }
            }
            try await keeper.release()
            server.reader.received("")
            try await server.join(mallory, other.id)
            try await work(server)
            let after = try await numbers()
            #expect(after[mallory.text] == before[mallory.text] && after[eve.text] == nil)
            #expect(after[RoomFixture.alice.text] == before[RoomFixture.alice.text])
            try await server.join(eve, other.id)
            #expect(try await RoomCheck(server.environment).check(other.id)?.differences == [])
        }
    }

    @Test func `users of ours are not taken out of a room unless that is said`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        var rooms = RoomAdministration(environment: server.environment)
        rooms.patience = .zero
        let job = try await rooms.delete(room.id, isForced: false)
        #expect(job.failure != nil)
        #expect(try await server.reader.record(room.id) != nil)
        let gone = try await rooms.delete(room.id, isForced: true)
        #expect(gone.failure == nil && gone.removed == 5)
        let none = try await rooms.delete(room.id, isForced: true)
        #expect(none.failure != nil)
    }

    @Test func `a room that all have left and forgotten goes after its days, and no other`() async throws {
        let clock = SyncClock()
        let server = try await RoomFixture(clock: clock)
        let (forgotten, left, used) = (try await server.room(), try await server.room(), try await server.room())
        for room in [forgotten, left] {
            _ = try await server.writer.send(
                EventDraft(
                    type: .member, sender: RoomFixture.alice, stateKey: RoomFixture.alice.text,
                    content: ["membership": "leave"], roomID: room.id))
        }
        try await server.environment.database.write {
            try RoomStore($0).forget(room: forgotten.nid, user: RoomFixture.alice)
        }
        let keeper = keeper(server)
        var state = RetentionKeeper.State()
        func look(afterDays days: Int64) async throws -> [Bool] {
            clock.advance(milliseconds: days * 86_400_000)
            for _ in 0..<3 { try await keeper.turn(&state) }
            var here: [Bool] = []
            for room in [forgotten, left, used] { here.append(try await server.reader.record(room.id) != nil) }
            return here
        }
        #expect(try await look(afterDays: 0) == [true, true, true])
        #expect(try await look(afterDays: 27) == [true, true, true])
        #expect(try await look(afterDays: 2) == [false, true, true])
    }

    @Test func `while a room goes, nobody makes it anew`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        try await server.environment.database.write { connection in
            var job = try #require(
                try PurgeJobs(connection).job(
                    try PurgeJobs(connection).add(.room, room: room.id, isForced: true, now: 1)))
            #expect(try RoomPurge(connection).step(&job, server: server.environment.serverName, now: 1))
        }
        #expect(try await server.reader.record(room.id) == nil)
        await #expect(throws: (any Error).self) { _ = try await server.message("too late", room.id) }
        await #expect(throws: (any Error).self) { try await server.reader.checkOpen(room.id) }
        try await work(server)
        try await server.reader.checkOpen(room.id)
        try await server.environment.database.write {
            try PurgeJobs($0).setBlocked(true, room: room.id, now: 1)
        }
        await #expect(throws: (any Error).self) { try await server.reader.checkOpen(room.id) }
    }
}
