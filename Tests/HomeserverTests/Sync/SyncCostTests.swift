import HomeserverStorage
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import Homeserver

@Suite("What syncs of many rooms ask the database") struct SyncCostTests {
    private let bob = SyncServer.bob

    /// A server that knows nothing but what is written down: of rooms with one message, that bob is in.
    private func server(rooms count: Int) async throws -> (SyncServer, CountingDatabase, [RoomID]) {
        let database = CountingDatabase(try SQLiteDatabase.inMemory())
        let writing = try await SyncServer(on: database)
        var rooms: [RoomID] = []
        for number in 0..<count {
            let room = try await writing.room(with: [bob])
            try await writing.message("hello \(number)", room)
            rooms.append(room)
        }
        let server = try await SyncServer(restarting: writing)
        _ = database.takeCounts()
        return (server, database, rooms)
    }

    @Test(arguments: [false, true])
    func `a first sync asks for many rooms at once, not for one after the other`(isLazy: Bool) async throws {
        let (server, database, rooms) = try await server(rooms: 40)
        let answer = try await server.sync(bob, filter: ["room": ["state": ["lazy_load_members": .bool(isLazy)]]])
        #expect(rooms.allSatisfy { answer.room($0)?["unread_notifications"]?["notification_count"] == 1 })
        #expect(rooms.enumerated().allSatisfy { answer.timeline($1).last == "hello \($0)" })
        let counts = database.takeCounts()
        #expect(counts.values.reduce(0, +) < 40, "\(counts)")
    }

    @Test func `a sync with news in many rooms does so too`() async throws {
        let (server, database, rooms) = try await server(rooms: 30)
        let since = try await server.sync(bob).next
        for room in rooms { try await server.message("news", room) }
        _ = database.takeCounts()
        let answer = try await server.sync(bob, since: since)
        #expect(rooms.allSatisfy { answer.room($0)?["unread_notifications"]?["notification_count"] == 2 })
        #expect(rooms.allSatisfy { answer.timeline($0) == ["news"] })
        let counts = database.takeCounts()
        let byRoom = counts.filter { $0.value >= 30 }
        // Where the client stood in each room is asked one by one.
        #expect(
            byRoom.keys.allSatisfy { $0.hasPrefix("SELECT COALESCE(head_state, state_after) FROM events") }, "\(byRoom)"
        )
    }

    @Test func `what is read ahead is what is read room by room, over several pieces`() async throws {
        let count = SyncLimits.roomsAhead + 5
        let (server, _, rooms) = try await server(rooms: count)
        // More than is read ahead of one room, and more than a timeline shows.
        for number in 0..<(SyncLimits.unreadRowsAhead + 20) { try await server.message("\(number)", rooms[3]) }
        let all = try await server.sync(bob)
        for room in [rooms[0], rooms[3], rooms[count - 1]] {
            let alone = try await SyncServer(restarting: server).sync(
                bob, filter: ["room": ["rooms": [.string(room.text)]]])
            #expect(
                alone.room(room)?["timeline"]?["events"]?.elements.count
                    == all.room(room)?["timeline"]?["events"]?.elements.count)
            for section in ["timeline", "state"] {
                #expect(
                    Answer.names(alone.room(room)?[section])
                        == Answer.names(all.room(room)?[section]))
            }
            for section in ["summary", "unread_notifications"] {
                #expect(alone.room(room)?[section] == all.room(room)?[section])
            }
            #expect(alone.room(room)?["timeline"]?["prev_batch"] == all.room(room)?["timeline"]?["prev_batch"])
        }
        #expect(all.room(rooms[3])?["unread_notifications"]?["notification_count"] == 121)
    }

    @Test func `counts that cannot be written down do not keep back a sync`() async throws {
        let (server, database, rooms) = try await server(rooms: 2)
        for number in 0..<20 { try await server.message("\(number)", rooms[0]) }
        let since = try await server.sync(bob).next
        try await server.environment.database.write { connection in
            _ = try connection.execute(
                """
                INSERT INTO unread_counts (user_id, room_nid, counted, rules, is_partial, threads)
                SELECT '@bob:test', room_nid, 0, 0, 1, \(Array("{}".utf8)) FROM rooms WHERE true
                ON CONFLICT (user_id, room_nid) DO UPDATE SET is_partial = 1
                """)
        }
        database.refusesGroupedWrites = true
        let answer = try await server.sync(bob, since: since)
        #expect(answer.status == 200)
        #expect(answer.room(rooms[0])?["unread_notifications"]?["notification_count"] == 21)
        database.refusesGroupedWrites = false
        let again = try await server.sync(bob, since: since)
        #expect(again.room(rooms[0])?["unread_notifications"]?["notification_count"] == 21)
    }
}
