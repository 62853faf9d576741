import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("What came before sync") struct OldSyncTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func names(_ list: JSONValue?) -> [String] { (list?.elements ?? []).map(Answer.name) }

    @Test func `initialSync has rooms with state and messages, and where the stream goes on`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let invited = try await server.room()
        try await server.set(.invite, bob, invited, by: alice)
        let left = try await server.room(with: [bob])
        try await server.set(.leave, bob, left)
        try await server.setAccountData("own", [:], of: bob)
        try await server.setAccountData("m.tag", ["tags": [:]], of: bob, room: room)
        for text in ["one", "two", "three"] { try await server.message(text, room) }
        let answer = try await server.call(.get, "v3/initialSync?limit=2", as: bob)
        #expect(answer.status == 200)
        let rooms = answer["rooms"]?.elements ?? []
        #expect(rooms.compactMap { $0["membership"]?.string } == ["join", "invite"])
        let joined = rooms.first
        #expect(joined?["room_id"] == .string(room.text))
        #expect(names(joined?["messages"]?["chunk"]) == ["two", "three"])
        let state = names(joined?["state"])
        #expect(state.contains("m.room.name"))
        #expect(joined?["visibility"] == "private")
        #expect(joined?["account_data"] == [["type": "m.tag", "content": ["tags": [:]]]])
        #expect(rooms.last?["invite"]?["content"]?["membership"] == "invite")
        #expect(answer["account_data"]?.elements.contains(["type": "own", "content": [:]]) == true)
        #expect(answer["presence"] == [])
        let start = try #require(joined?["messages"]?["start"]?.string)
        let page = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&limit=1&from=\(start)", as: bob)
        #expect(names(page["chunk"]) == ["one"])
        let archived = try await server.call(.get, "v3/initialSync?archived=true", as: bob)
        let memberships = (archived["rooms"]?.elements ?? []).compactMap { $0["membership"]?.string }
        #expect(memberships == ["join", "invite", "leave"])

        let end = try #require(answer["end"]?.string)
        try await server.message("news", room)
        let events = try await server.call(.get, "v3/events?from=\(end)&timeout=0", as: bob)
        #expect(events["start"] == .string(end))
        #expect(names(events["chunk"]) == ["news"])
        #expect(events["chunk"]?.elements.first?["room_id"] == .string(room.text))
    }

    @Test func `events come in order from all rooms, in pages, and none is lost`() async throws {
        let server = try await SyncServer()
        let rooms = [try await server.room(with: [bob]), try await server.room(with: [bob])]
        let hidden = try await server.room()
        var end = try #require(try await server.call(.get, "v3/events?timeout=0", as: bob)["end"]?.string)
        var sent: [String] = []
        for number in 0..<(SyncLimits.eventStreamPage + 50) {
            sent.append("\(number)")
            try await server.message("\(number)", rooms[number % 2])
        }
        try await server.message("hidden", hidden)
        try await server.set(.leave, bob, rooms[0])
        try await server.message("after", rooms[0])
        var got: [String] = []
        for _ in 0..<5 {
            let page = try await server.call(.get, "v3/events?timeout=0&from=\(end)", as: bob)
            end = try #require(page["end"]?.string)
            if page["chunk"] == [] { break }
            got += names(page["chunk"])
        }
        #expect(got == sent + ["@bob:test leave"])
    }

    @Test func `the stream waits, and has invites, typing, receipts, presence and account data`() async throws {
        let server = try await SyncServer { $0.presence.isEnabled = true }
        let room = try await server.room(with: [bob])
        let event = try await server.message("one", room)
        let end = try #require(try await server.call(.get, "v3/events?timeout=0", as: bob)["end"]?.string)
        let waited = try await server.watching {
            async let waiting = server.call(.get, "v3/events?from=\(end)&timeout=20000", as: bob)
            while server.watcher.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
            try await Task.sleep(for: .milliseconds(30))
            try await server.message("wake up", room)
            return try await waiting
        }
        #expect(names(waited["chunk"]).contains("wake up"))
        let next = try #require(waited["end"]?.string)
        let invited = try await server.room()
        try await server.set(.invite, bob, invited, by: alice)
        _ = try await server.call(
            .post, "v3/rooms/\(room)/receipt/m.read/\(PercentEncoding.encode(event.id.text))", as: alice, [:])
        _ = try await server.call(
            .put, "v3/rooms/\(room)/typing/\(alice)", as: alice, ["typing": true, "timeout": 20_000])
        _ = try await server.presence.set(alice, state: "unavailable", message: nil)
        try await server.setAccountData("own", [:], of: bob)
        try await server.setAccountData("m.tag", ["tags": [:]], of: bob, room: room)
        let page = try await server.call(.get, "v3/events?from=\(next)&timeout=0", as: bob)
        let types = page["chunk"]?.elements.compactMap { $0["type"]?.string } ?? []
        for type in ["m.room.member", "m.receipt", "m.typing", "m.presence", "own", "m.tag"] {
            #expect(types.contains(type), "\(type)")
        }
        #expect(try await server.call(.get, "v3/events?from=nonsense", as: bob).errcode == "M_UNKNOWN")
    }

    @Test func `a world-readable room can be followed from outside, another cannot`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", visibility: "world_readable")
        let closed = try await server.room()
        try await server.message("one", room)
        let snapshot = try await server.call(.get, "v3/rooms/\(room)/initialSync?limit=1", as: carol)
        #expect(snapshot.status == 200)
        #expect(snapshot["room_id"] == .string(room.text))
        #expect(snapshot["membership"] == nil)
        #expect(names(snapshot["messages"]?["chunk"]) == ["one"])
        #expect(names(snapshot["state"]).contains("m.room.create"))
        #expect(try await server.call(.get, "v3/rooms/\(closed)/initialSync", as: carol).errcode == "M_FORBIDDEN")
        #expect(try await server.call(.get, "v3/events?room_id=\(closed)", as: carol).errcode == "M_FORBIDDEN")
        let end = try #require(snapshot["messages"]?["end"]?.string)
        let carol = carol
        let answer = try await server.watching {
            async let waiting = server.call(
                .get, "v3/events?room_id=\(room)&from=\(end)&timeout=20000", as: carol)
            while server.watcher.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
            try await Task.sleep(for: .milliseconds(30))
            try await server.message("wake up", room)
            return try await waiting
        }
        #expect(names(answer["chunk"]) == ["wake up"])
        #expect(server.watcher.waitingCount == 0)
    }

    @Test func `who left sees the room as it was then`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "old", with: [bob])
        try await server.message("seen", room)
        try await server.set(.leave, bob, room)
        try await server.state(.name, ["name": "new"], room)
        let answer = try await server.call(.get, "v3/rooms/\(room)/initialSync?limit=2", as: bob)
        #expect(answer["membership"] == "leave")
        #expect(names(answer["messages"]?["chunk"]) == ["seen", "@bob:test leave"])
        let name = answer["state"]?.elements.first { $0["type"] == "m.room.name" }
        #expect(name?["content"] == ["name": "old"])
    }

    @Test func `one event is found by its id alone, by those who may see it`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let event = try await server.message("one", room)
        let path = "v3/events/\(PercentEncoding.encode(event.id.text))"
        #expect(try await server.call(.get, path, as: bob)["content"]?["body"] == "one")
        #expect(try await server.call(.get, path, as: carol).errcode == "M_NOT_FOUND")
        #expect(try await server.call(.get, "v3/events/$none", as: bob).errcode == "M_NOT_FOUND")
    }
}
