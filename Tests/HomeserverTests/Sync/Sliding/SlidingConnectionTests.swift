import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Sliding sync: connections in the database") struct SlidingConnectionTests {
    private let bob = SyncServer.bob

    private func name(_ device: String, _ id: String) throws -> SlidingConnectionStore.Name {
        .init(user: bob, device: try DeviceID(device), id: id)
    }

    @Test(arguments: TestStore.available)
    func `an answer counts once the client goes on from it`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
            let name = try name("D1", "main")
            @Sendable func body(_ text: String) -> [UInt8] { Array(text.utf8) }
            let nid = try await database.write {
                try SlidingConnectionStore($0).begin(name, ["!a:x": body("1"), "!b:x": body("2")], limit: 5, now: 10)
            }
            func sent(_ number: Int64) async throws -> [String: [UInt8]] {
                try await database.read { try SlidingConnectionStore($0).sent(over: nid, at: number) }
            }
            func isKnown(_ number: Int64) async throws -> Bool {
                try await database.read { try SlidingConnectionStore($0).lastUse(of: nid, at: number, name) } != nil
            }
            #expect(try await sent(1) == ["!a:x": body("1"), "!b:x": body("2")])
            // Two answers to the same question; a third, and the first is forgotten.
            for (expected, text) in [(Int64(2), "3"), (3, "4"), (4, "5")] {
                let number = try await database.groupedWrite {
                    try SlidingConnectionStore($0).advance(
                        nid, from: 1, ["!a:x": nil, "!c:x": body(text)], kept: 2, now: 20)
                }
                #expect(number == expected)
            }
            let again = try await database.groupedWrite {
                try SlidingConnectionStore($0).advance(
                    nid, from: 1, ["!a:x": nil, "!c:x": body("5")], kept: 2, now: 20)
            }
            #expect(again == 4, "the same answer has the same number")
            #expect(try await isKnown(1))
            #expect(try await !isKnown(2))
            #expect(try await sent(3) == ["!b:x": body("2"), "!c:x": body("4")])
            #expect(try await sent(4) == ["!b:x": body("2"), "!c:x": body("5")])
            #expect(try await sent(1) == ["!a:x": body("1"), "!b:x": body("2")])
            let next = try await database.groupedWrite {
                try SlidingConnectionStore($0).advance(nid, from: 3, ["!d:x": body("6")], kept: 2, now: 30)
            }
            #expect(next == 6)
            #expect(try await !isKnown(1))
            #expect(try await !isKnown(4))
            #expect(try await isKnown(3))
            #expect(try await sent(6) == ["!b:x": body("2"), "!c:x": body("4"), "!d:x": body("6")])
            let late = try await database.groupedWrite {
                try SlidingConnectionStore($0).advance(nid, from: 1, [:], kept: 2, now: 30)
            }
            #expect(late == nil)
            // Another of the same name takes its place; a device that goes takes all with it.
            let other = try await database.write {
                try SlidingConnectionStore($0).begin(name, [:], limit: 5, now: 40)
            }
            #expect(other != nid)
            #expect(try await !isKnown(3))
            try await database.write { try SlidingConnectionStore($0).end(of: SyncServer.bob, devices: ["D1"]) }
            for table: SQL in ["sliding_connections", "sliding_rooms", "sliding_changes"] {
                let count = try await database.read { try $0.query("SELECT COUNT(*) FROM \(table)").first?.integer(0) }
                #expect(count == 0)
            }
        }
    }

    @Test(arguments: TestStore.available)
    func `another node goes on where one left off`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let one = try await SyncServer(on: database)
            let room = try await one.room(named: "tea", with: [bob])
            let other = try await one.room(named: "other", with: [bob])
            let child = try await one.room(named: "child", with: [bob])
            try await one.writer.send(
                EventDraft(
                    type: .spaceChild, sender: SyncServer.alice, stateKey: child.text, content: ["via": ["test"]],
                    roomID: room))
            try await one.message("hello", room)
            var client = SlidingClient(one, bob)
            let wanted: JSONValue = [["m.room.member", "$LAZY"], ["m.room.name", ""], ["m.space.child", "*"]]
            client.follow(0...0, limit: 1, state: wanted, filters: ["is_encrypted": false, "not_tags": ["u.x"]])
            client.extensions = [
                "account_data": ["enabled": true], "receipts": ["enabled": true], "typing": ["enabled": true],
                "e2ee": ["enabled": true], "to_device": ["enabled": true],
            ]
            let first = try await client.sync()
            #expect(first.slidingState(room) == ["@alice:test join", "m.room.name", "m.space.child"])

            // The caches of a new server are empty.
            let two = try await SyncServer(on: database)
            var elsewhere = SlidingClient(two, bob)
            elsewhere.lists = client.lists
            elsewhere.extensions = client.extensions
            elsewhere.pos = client.pos
            #expect(try await elsewhere.sync().slidingRooms == [])
            try await two.message("again", room)
            let second = try await elsewhere.sync()
            #expect(second.slidingTimeline(room) == ["again"])
            #expect(second.slidingState(room) == [])
            elsewhere.follow(0...1, limit: 2, state: wanted)
            let third = try await elsewhere.sync()
            #expect(third.slidingRooms == [room.text, child.text])
            #expect(third.sliding(room)?["unstable_expanded_timeline"] == true)
            #expect(third.sliding(child)?["initial"] == true)

            client.pos = elsewhere.pos
            client.follow(0...2, limit: 2, state: wanted)
            let fourth = try await client.sync()
            #expect(fourth.slidingRooms == [other.text])
        }
    }
}
