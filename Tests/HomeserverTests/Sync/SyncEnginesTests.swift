import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

/// What is not plain SQL about syncing, on both engines.
@Suite("Syncing on both engines") struct SyncEnginesTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    @Test(arguments: TestStore.available)
    func `unread counts are kept, taken up again and taken out`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let server = try await SyncServer(on: database)
            let room = try await server.room(named: "tea", with: [bob])
            let root = try await server.message("root", room)
            for number in 0..<20 {
                try await server.writer.send(
                    EventDraft(
                        type: .message, sender: alice,
                        content: [
                            "msgtype": "m.text", "body": .string("\(number)"),
                            "m.relates_to": ["rel_type": "m.thread", "event_id": .string(root.id.text)],
                        ], roomID: room))
            }
            let filter: JSONValue = ["room": ["timeline": ["unread_thread_notifications": true]]]
            let first = try await server.sync(bob, filter: filter)
            let threads = first.room(room)?["unread_thread_notifications"]
            #expect(threads?[root.id.text]?["notification_count"] == 20)
            _ = try await server.sync(bob, since: first.next, timeout: 1)
            let again = try await SyncServer(restarting: server)
            let second = try await again.sync(bob, filter: filter)
            #expect(second.room(room)?["unread_notifications"]?["notification_count"] == 1)
            #expect(second.room(room)?["unread_thread_notifications"] == threads)
            let kept = try await database.read { [bob] connection -> Int in
                let nid = try RoomStore(connection).room(room)?.nid ?? 0
                #expect(try UnreadStore(connection).partialRooms(of: bob) == [])
                return try UnreadStore(connection).records(of: bob, rooms: [nid]).count
            }
            #expect(kept == 1)
            try await server.set(.leave, bob, room)
            try await database.write { try UnreadStore($0).forgetLeft() }
            let left = try await database.read { try $0.query("SELECT COUNT(*) FROM unread_counts").first?.integer(0) }
            #expect(left == 0)
        }
    }

    @Test(arguments: TestStore.available)
    func `stretches of several timelines are what they are one by one`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let server = try await SyncServer(on: database)
            var nids: [Int64] = []
            for count in [0, 3, 12, 30] {
                let room = try await server.room(with: [bob])
                for number in 0..<count { nids.append(try await server.message("\(number)", room).roomNID) }
                nids.append(try await server.message("last", room).roomNID)
            }
            let sync = try await server.sync(bob)
            let rooms = Set(nids)
            try await database.read { [alice, bob] connection in
                let log = server.rooms.log(connection)
                let top = try StreamPositions(connection).current("events")
                for (low, high, limit) in [(nil, top, 5), (top - 20, top, 100), (top / 2, top - 3, 1), (-1, 0, 9)] {
                    let wanted = Dictionary(uniqueKeysWithValues: rooms.map { ($0, low) })
                    let found = try log.newestPlaces(of: wanted, upTo: high, limit: limit)
                    let arrivals = try log.arrivals(
                        of: rooms.map { .init(room: $0, after: low ?? 0, upTo: high) }, limit: limit)
                    for room in rooms {
                        let places = try log.places(
                            room: room, after: low, upTo: high, limit: limit, newestFirst: true)
                        #expect(found[room] == places)
                        let alone = try log.arrivals(room: room, after: low ?? 0, upTo: high, limit: limit)
                        #expect(arrivals[room] == alone)
                    }
                }
                let receipts = ReceiptStore(connection)
                try #require(rooms.count == 4)
                #expect(try receipts.receipts(rooms: rooms, readableBy: bob, limit: 10) == [:])
                let members = try SyncRooms(connection).first([.join], rooms: rooms, limit: 1)
                #expect(members == Dictionary(uniqueKeysWithValues: rooms.map { ($0, [alice]) }))
                let counts = try RoomStore(connection).memberCounts(rooms: rooms)
                #expect(counts == Dictionary(uniqueKeysWithValues: rooms.map { ($0, [.join: 2]) }))
            }
            let (first, last) = (try #require(nids.first), try #require(nids.last))
            let id = try #require(try await database.read { try RoomStore($0).room(nid: last)?.id })
            let event = try #require(sync.room(id)?["timeline"]?["events"]?.elements.last?["event_id"]?.string)
            try await database.write { [alice, bob, carol] connection in
                let receipts = ReceiptStore(connection)
                for (user, type) in [(alice, "m.read"), (bob, "m.read.private"), (carol, "m.read.private")] {
                    try receipts.take([
                        .init(
                            roomNID: last, user: user, type: type, thread: nil, eventID: try EventID(event),
                            eventPosition: 5, timestamp: 1)
                    ])
                }
                let seen = try receipts.receipts(rooms: [first, last], readableBy: bob, limit: 10)
                #expect(seen == [last: try receipts.receipts(room: last, readableBy: bob, limit: 10)])
                #expect(seen[last]?.map(\.user) == [bob, alice])
                #expect(try receipts.receipts(rooms: [first, last], readableBy: bob, limit: 1)[last]?.count == 1)
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `threads are followed, and the oldest of very many forgotten`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let server = try await SyncServer(on: database)
            let room = try await server.room(with: [bob])
            let root = try await server.message("root", room)
            let other = try EventID("$other")
            try await database.write { [alice, bob] connection in
                let threads = ThreadSubscriptionStore(connection)
                let nid = root.roomNID
                #expect(try threads.subscribe(bob, room: nid, root: root.id, cause: nil) == .changed(1))
                #expect(try threads.subscribe(bob, room: nid, root: root.id, cause: 7) == .unchanged)
                #expect(try threads.subscribe(bob, room: nid, root: other, cause: 7) == .changed(2))
                #expect(try threads.unsubscribe(bob, room: nid, root: other, at: 9) == 3)
                #expect(try threads.unsubscribe(bob, room: nid, root: other, at: 9) == nil)
                #expect(try threads.subscribe(bob, room: nid, root: other, cause: 9) == .conflict)
                #expect(try threads.followed(by: bob, room: nid, of: [root.id.text, other.text]) == [root.id.text])
                let changes = try threads.changes(of: bob, after: 0, upTo: 3, limit: 10)
                #expect(changes.map(\.root) == [root.id, other])
                #expect(changes.map(\.endedAt) == [nil, 9])
                #expect(try threads.subscribe(bob, room: nid, root: other, cause: 10) == .changed(4))
                #expect(try threads.changes(of: alice, after: 0, upTo: 9, limit: 10) == [])
                let shared = try SharedRooms(connection).rooms(of: alice, and: bob, after: 0, limit: 9)
                #expect(shared.rooms.map(\.id) == [room])
                try threads.deleteAll(of: bob)
                #expect(try threads.subscription(of: bob, room: nid, root: root.id) == nil)
            }
        }
    }
}
