import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Sliding sync") struct SlidingSyncTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    @Test(arguments: [SlidingShape.simplified, .stable])
    func `a first answer has the most recent rooms, and a wider range the rest`(_ shape: SlidingShape) async throws {
        let server = try await SyncServer()
        var rooms: [RoomID] = []
        for number in 0..<4 { rooms.append(try await server.room(named: "r\(number)", with: [bob])) }
        try await server.message("newest", rooms[1])
        var client = SlidingClient(server, bob, shape)
        client.follow(0...1, limit: 1)
        let first = try await client.sync()
        #expect(first.roomCount == 4)
        #expect(first.slidingRooms == [rooms[1].text, rooms[3].text])
        let newest = first.sliding(rooms[1])
        #expect(first.slidingTimeline(rooms[1]) == ["newest"])
        #expect(newest?["initial"] == true)
        #expect(newest?["limited"] == true)
        #expect(newest?["num_live"] == 0)
        #expect(newest?["name"] == "r1")
        #expect(newest?["heroes"] == nil)
        #expect(newest?["joined_count"] == 2)
        #expect(newest?["invited_count"] == 0)
        #expect(newest?["notification_count"] == (shape == .stable ? nil : 1))
        #expect(newest?["membership"] == (shape == .stable ? "join" : nil))
        #expect(newest?["lists"] == (shape == .stable ? ["all"] : nil))
        client.follow(0...9, limit: 1)
        let second = try await client.sync()
        #expect(second.slidingRooms == [rooms[0].text, rooms[2].text])
        #expect(second.sliding(rooms[0])?["initial"] == true)
        let nothing = try await client.sync()
        #expect(nothing.slidingRooms == [])
        #expect(nothing.roomCount == 4)
    }

    @Test func `what is new comes once, and counts as live`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let other = try await server.room(named: "quiet", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow()
        let first = try await client.sync()
        #expect(first.slidingRooms == [room.text, other.text])
        let old = try #require(first.sliding(room)?["bump_stamp"]?.integer)
        try await server.message("one", room)
        let second = try await client.sync()
        #expect(second.slidingRooms == [room.text])
        #expect(second.slidingTimeline(room) == ["one"])
        let told = try #require(second.sliding(room))
        #expect(told["initial"] == nil)
        #expect(told["limited"] == false)
        #expect(told["num_live"] == 1)
        #expect(told["name"] == nil)
        #expect(told["joined_count"] == nil)
        #expect((told["bump_stamp"]?.integer ?? 0) > old)
        try await server.state(.topic, ["topic": "what"], room)
        let third = try await client.sync()
        #expect(third.slidingTimeline(room) == ["m.room.topic"])
        #expect(third.sliding(room)?["bump_stamp"] == nil)
    }

    @Test func `a room that was out of the range goes on where the client had it`() async throws {
        let server = try await SyncServer()
        let first = try await server.room(named: "first", with: [bob])
        let second = try await server.room(named: "second", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow(0...1)
        _ = try await client.sync()
        client.follow(0...0)
        _ = try await client.sync()
        try await server.message("unseen", first)
        try await server.message("seen", second)
        let answer = try await client.sync()
        #expect(answer.slidingRooms == [second.text])
        try await server.message("more", second)
        _ = try await client.sync()
        client.follow(0...1)
        let both = try await client.sync()
        #expect(both.slidingRooms == [first.text])
        #expect(both.slidingTimeline(first) == ["unseen"])
        #expect(both.sliding(first)?["initial"] == nil)
        #expect(both.sliding(first)?["num_live"] == 0)
    }

    @Test func `a question that is repeated is answered alike, and its first answer's position is no more`()
        async throws
    {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let later = try await server.room(named: "later", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow(0...0)
        _ = try await client.sync()
        client.follow(0...1)
        let one = try await client.ask()
        let two = try await client.ask()
        #expect(one.slidingRooms == [room.text])
        #expect(two.slidingRooms == [room.text])
        #expect(one.sliding(room)?["initial"] == true)
        #expect(two.sliding(room)?["initial"] == true)
        #expect(one.slidingTimeline(room) == two.slidingTimeline(room))
        #expect(one["pos"] == two["pos"])
        let before = client.pos
        client.pos = two["pos"]?.string
        try await server.message("news", later)
        client.follow(0...9, state: [["m.room.name", ""]])
        #expect(try await client.sync().slidingTimeline(later) == ["news"])
        client.pos = before
        #expect(try await client.ask().errcode == "M_UNKNOWN_POS")
    }

    @Test func `a position of another connection, device or user is unknown`() async throws {
        let server = try await SyncServer()
        _ = try await server.room(named: "tea", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow()
        client.connection = "main"
        _ = try await client.sync()
        #expect(try await client.ask().status == 200)
        var other = client
        other.connection = "other"
        #expect(try await other.ask().errcode == "M_UNKNOWN_POS")
        other = client
        other.device = "D2"
        #expect(try await other.ask().errcode == "M_UNKNOWN_POS")
        other = SlidingClient(server, alice)
        other.pos = client.pos
        other.connection = "main"
        #expect(try await other.ask().errcode == "M_UNKNOWN_POS")
        other = client
        other.pos = "nonsense"
        let answer = try await other.ask()
        #expect(answer.errcode == "M_UNKNOWN_POS")
        #expect(answer.status == 400)
        // Who begins anew ends what was before.
        other = client
        other.pos = nil
        _ = try await other.sync()
        #expect(try await client.ask().errcode == "M_UNKNOWN_POS")
    }

    @Test func `a device has so many connections, and those not used end`() async throws {
        let server = try await SyncServer { $0.limits.slidingConnectionsPerDevice = 2 }
        var clients: [SlidingClient] = []
        for name in ["a", "b", "c"] {
            var client = SlidingClient(server, bob)
            client.connection = name
            client.follow()
            _ = try await client.sync()
            clients.append(client)
        }
        #expect(try await clients[0].ask().errcode == "M_UNKNOWN_POS")
        #expect(try await clients[1].ask().status == 200)
        let now = server.environment.clock.now()
        try await server.environment.database.write { connection in
            _ = try SlidingConnectionStore(connection).end(unusedSince: now, limit: 10)
        }
        #expect(try await clients[2].ask().errcode == "M_UNKNOWN_POS")
    }

    @Test func `who waits is woken by a message in a room of the range only`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let answer = try await server.watching {
            var client = SlidingClient(server, SyncServer.bob)
            client.follow()
            _ = try await client.sync()
            let waiting = client
            return try await withThrowingTaskGroup(of: Answer?.self) { group in
                group.addTask { try await waiting.ask(timeout: 20_000) }
                group.addTask {
                    try await Task.sleep(for: .milliseconds(50))
                    try await server.message("wake", room)
                    return nil
                }
                for try await answer in group { if let answer { return answer } }
                throw CancellationError()
            }
        }
        #expect(answer.slidingTimeline(room) == ["wake"])
    }

    @Test func `a greater limit brings the events before again`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        for number in 1...5 { try await server.message("m\(number)", room) }
        for shape in [SlidingShape.simplified, .stable] {
            var client = SlidingClient(server, bob, shape)
            client.follow(limit: 1)
            #expect(try await client.sync().slidingTimeline(room) == ["m5"])
            client.subscribe(to: room, limit: 3)
            let expanded = try await client.sync()
            #expect(expanded.slidingTimeline(room) == ["m3", "m4", "m5"])
            #expect(expanded.sliding(room)?[shape.expandedTimelineKey] == true)
            #expect(expanded.sliding(room)?["initial"] == nil)
            #expect(expanded.sliding(room)?["num_live"] == 0)
            #expect(try await client.sync().slidingRooms == [])
            // What the client has, it is not sent again.
            client.subscriptions = [:]
            #expect(try await client.sync().slidingRooms == [])
            client.subscribe(to: room, limit: 3)
            #expect(try await client.sync().slidingRooms == [])
        }
    }

    @Test func `a position serves to page back`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        for number in 1...3 { try await server.message("m\(number)", room) }
        var client = SlidingClient(server, bob, .stable)
        client.follow(limit: 1)
        let answer = try await client.sync()
        let start = try #require(answer.sliding(room)?["prev_batch"]?.string)
        let before = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&limit=2&from=\(start)", as: bob)
        #expect(before["chunk"]?.elements.map(Answer.name) == ["m2", "m1"])
        let here = try await server.call(
            .get, "v3/rooms/\(room)/messages?dir=b&limit=1&from=\(try #require(client.pos))", as: bob)
        #expect(here["chunk"]?.elements.map(Answer.name) == ["m3"])
    }

    @Test func `counting that was left unfinished goes on, without anything new`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        for number in 0..<20 { try await server.message("\(number)", room) }
        var client = SlidingClient(server, bob)
        client.follow()
        _ = try await client.sync()
        #expect(try await client.sync().slidingRooms == [])
        try await server.environment.database.write { connection in
            _ = try connection.execute("UPDATE unread_counts SET is_partial = 1")
        }
        let next = try await client.sync()
        #expect(next.sliding(room)?["notification_count"] == 20)
        #expect(next.sliding(room)?["timeline"] == nil)
        #expect(try await client.sync().slidingRooms == [])
    }

    @Test func `what is not as it should be is refused`() async throws {
        let server = try await SyncServer()
        func code(_ shape: SlidingShape, _ lists: JSONValue, _ rooms: JSONValue = [:]) async throws -> String? {
            var client = SlidingClient(server, bob, shape)
            client.lists = lists
            client.subscriptions = rooms
            let answer = try await client.ask()
            #expect(answer.errcode == nil || answer.status == 400)
            return answer.errcode
        }
        let list: JSONValue = ["timeline_limit": 1, "required_state": [:]]
        let many = JSONValue.object(Dictionary(uniqueKeysWithValues: (0...100).map { ("l\($0)", list) }))
        let rooms = JSONValue.object(Dictionary(uniqueKeysWithValues: (0...100).map { ("!r\($0):test", list) }))
        #expect(try await code(.stable, many) == "M_INVALID_PARAM")
        #expect(try await code(.stable, [:], rooms) == "M_INVALID_PARAM")
        #expect(try await code(.stable, ["a list": list]) == "M_INVALID_PARAM")
        #expect(try await code(.stable, ["l": ["timeline_limit": 1, "range": [3, 1]]]) == "M_INVALID_PARAM")
        #expect(try await code(.stable, ["l": ["timeline_limit": 1, "range": [3]]]) == "M_BAD_JSON")
        #expect(try await code(.stable, ["l": ["required_state": [:]]]) == "M_MISSING_PARAM")
        #expect(try await code(.stable, ["l": ["timeline_limit": 1, "required_state": []]]) == "M_BAD_JSON")
        #expect(try await code(.simplified, ["l": ["timeline_limit": 1, "required_state": [:]]]) == "M_BAD_JSON")
        #expect(try await code(.simplified, ["l": ["timeline_limit": -1]]) == "M_INVALID_PARAM")
        #expect(try await code(.stable, ["l": list], ["!unknown:test": list]) == nil)
    }
}
