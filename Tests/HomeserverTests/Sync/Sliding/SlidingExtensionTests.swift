import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Sliding sync: extensions") struct SlidingExtensionTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func names(_ list: JSONValue?) -> [String] { (list?.elements ?? []).compactMap { $0["type"]?.string } }

    @Test func `messages to a device come until it says that it has them`() async throws {
        let server = try await SyncServer { $0.limits.toDevicePerSync = 3 }
        try await server.sendToDevice(["a", "b", "c", "d"], to: bob)
        var client = SlidingClient(server, bob)
        client.extensions = ["to_device": ["enabled": true]]
        let first = try await client.sync()
        #expect(names(first.extensionPart("to_device")?["events"]) == ["a", "b", "c"])
        // Asked again without a token, they come again.
        #expect(names(try await client.sync().extensionPart("to_device")?["events"]) == ["a", "b", "c"])
        let next = try #require(first.extensionPart("to_device")?["next_batch"])
        client.extensions = ["to_device": ["enabled": true, "since": next]]
        let second = try await client.sync()
        #expect(names(second.extensionPart("to_device")?["events"]) == ["d"])
        client.extensions = ["to_device": ["enabled": true]]
        #expect(names(try await client.sync().extensionPart("to_device")?["events"]) == ["d"])
        client.extensions = ["to_device": ["enabled": true, "limit": 1, "since": "nonsense"]]
        #expect(try await client.ask().errcode == "M_INVALID_PARAM")
        client.extensions = ["to_device": ["enabled": false]]
        #expect(try await client.sync().extensionPart("to_device") == nil)
    }

    @Test func `devices learn whose keys changed, whomever they share a room with`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        var client = SlidingClient(server, bob)
        client.connection = "encryption"
        client.extensions = ["e2ee": ["enabled": true]]
        let first = try await client.sync()
        #expect(first.extensionPart("e2ee")?["device_lists"] == nil)
        #expect(first.extensionPart("e2ee")?["device_one_time_keys_count"] == ["signed_curve25519": 0])
        #expect(first.extensionPart("e2ee")?["device_unused_fallback_key_types"] == [])
        try await server.set(.join, carol, room)
        #expect(
            try await client.sync().extensionPart("e2ee")?["device_lists"] == ["changed": ["@carol:test"], "left": []])
        try await server.set(.leave, carol, room)
        #expect(
            try await client.sync().extensionPart("e2ee")?["device_lists"] == ["changed": [], "left": ["@carol:test"]])
        #expect(try await client.sync().extensionPart("e2ee")?["device_lists"] == ["changed": [], "left": []])
        try await server.set(.leave, bob, room)
        #expect(
            try await client.sync().extensionPart("e2ee")?["device_lists"] == ["changed": [], "left": ["@alice:test"]])
    }

    @Test func `account data comes of the rooms that are asked about, and what was missed later`() async throws {
        let server = try await SyncServer()
        let first = try await server.room(named: "first", with: [bob])
        let second = try await server.room(named: "second", with: [bob])
        try await server.setAccountData("global", ["a": 1], of: bob)
        try await server.setAccountData("m.tag", ["tags": [:]], of: bob, room: first)
        try await server.setAccountData("m.tag", ["tags": [:]], of: bob, room: second)
        var client = SlidingClient(server, bob)
        client.follow(0...0, limit: 1)
        client.extensions = ["account_data": ["enabled": true]]
        let start = try await client.sync().extensionPart("account_data")
        #expect(Set(names(start?["global"])) == ["global", "m.push_rules"])
        #expect(start?["rooms"]?.members.map(\.key) == [second.text])
        client.follow(0...1, limit: 1)
        let wider = try await client.sync().extensionPart("account_data")
        #expect(wider?["global"] == [])
        #expect(wider?["rooms"] == .object([first.text: [["type": "m.tag", "content": ["tags": [:]]]]]))
        client.follow(0...0, limit: 1)
        try await server.setAccountData("u.first", [:], of: bob, room: first)
        try await server.setAccountData("u.second", [:], of: bob, room: second)
        try await server.setAccountData("global", ["a": 2], of: bob)
        let news = try await client.sync().extensionPart("account_data")
        #expect(news?["rooms"] == .object([second.text: [["type": "u.second", "content": [:]]]]))
        #expect(news?["global"] == [["type": "global", "content": ["a": 2]]])
        _ = try await client.sync()
        client.follow(0...1, limit: 1)
        let missed = try await client.sync().extensionPart("account_data")
        #expect(missed?["rooms"] == .object([first.text: [["type": "u.first", "content": [:]]]]))
        // Some lists and some rooms only.
        client.extensions = ["account_data": ["enabled": true, "lists": [], "rooms": [.string(second.text)]]]
        client.subscribe(to: second, limit: 1)
        try await server.setAccountData("u.first", ["b": 1], of: bob, room: first)
        try await server.setAccountData("u.second", ["b": 1], of: bob, room: second)
        let scoped = try await client.sync().extensionPart("account_data")
        #expect(scoped?["rooms"]?.members.map(\.key) == [second.text])
        client.extensions = ["account_data": ["enabled": true, "lists": ["none"], "rooms": []]]
        #expect(try await client.sync().extensionPart("account_data")?["rooms"] == [:])
        client.extensions = ["account_data": ["enabled": true, "lists": ["all"]]]
        #expect(
            try await client.sync().extensionPart("account_data")?["rooms"]
                == .object([first.text: [["type": "u.first", "content": ["b": 1]]]]))
    }

    @Test func `receipts come of what is shown, one's own always, private ones of nobody else`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let old = try await server.message("old", room)
        let new = try await server.message("new", room)
        func read(_ user: UserID, _ event: StoredEvent, _ type: String = "m.read", _ body: JSONValue = [:]) async throws
        {
            let path = "v3/rooms/\(room)/receipt/\(type)/\(PercentEncoding.encode(event.id.text))"
            #expect(try await server.call(.post, path, as: user, body).status == 200)
        }
        try await read(carol, old)
        try await read(bob, old, "m.read.private")
        try await read(alice, new)
        var client = SlidingClient(server, bob)
        client.follow(limit: 1)
        client.extensions = ["receipts": ["enabled": true]]
        func users(_ answer: Answer, _ event: StoredEvent, _ type: String = "m.read") -> Set<String> {
            let receipts = answer.extensionPart("receipts")?["rooms"]?[room.text]
            #expect(receipts == nil || receipts?["type"] == "m.receipt")
            return Set((receipts?["content"]?[event.id.text]?[type]?.members ?? []).map(\.key))
        }
        let first = try await client.sync()
        #expect(users(first, new) == ["@alice:test"])
        #expect(users(first, old) == [])
        #expect(users(first, old, "m.read.private") == ["@bob:test"])
        try await read(carol, new, "m.read.private")
        #expect(try await client.sync().extensionPart("receipts")?["rooms"] == [:])
        try await read(carol, new, "m.read", ["thread_id": "main"])
        let second = try await client.sync()
        #expect(users(second, new) == ["@carol:test"])
        let content = second.extensionPart("receipts")?["rooms"]?[room.text]?["content"]
        #expect(content?[new.id.text]?["m.read"]?["@carol:test"]?["thread_id"] == "main")
        #expect(second.slidingRooms == [])
        // Out of the range, and back.
        client.lists = [:]
        _ = try await client.sync()
        let newest = try await server.message("newest", room)
        try await read(carol, newest)
        _ = try await client.sync()
        client.follow(limit: 1)
        let back = try await client.sync()
        #expect(users(back, newest) == ["@carol:test"])
        // To read on is news: the counts changed.
        #expect(back.sliding(room)?["notification_count"] == 2)
        try await read(bob, newest)
        let own = try await client.sync()
        #expect(own.sliding(room)?["notification_count"] == 0)
        #expect(own.sliding(room)?["timeline"] == nil)
        #expect(try await client.sync().slidingRooms == [])
    }

    @Test func `typing comes when it begins and ends`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        func type(_ isTyping: Bool) async throws {
            let body: JSONValue = isTyping ? ["typing": true, "timeout": 60_000] : ["typing": false]
            let path = "v3/rooms/\(room)/typing/@alice:test"
            #expect(try await server.call(.put, path, as: alice, body).status == 200)
        }
        try await type(true)
        var client = SlidingClient(server, bob)
        client.follow(limit: 1)
        client.extensions = ["typing": ["enabled": true]]
        let typing: JSONValue = ["type": "m.typing", "content": ["user_ids": ["@alice:test"]]]
        #expect(try await client.sync().extensionPart("typing")?["rooms"]?[room.text] == typing)
        #expect(try await client.sync().extensionPart("typing")?["rooms"] == [:])
        try await type(false)
        #expect(
            try await client.sync().extensionPart("typing")?["rooms"]?[room.text]
                == ["type": "m.typing", "content": ["user_ids": []]])
    }

    @Test func `threads that the user follows are told as that changes`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let root = try await server.message("root", room)
        let key = SlidingAssembly.threadsKey
        var client = SlidingClient(server, bob)
        client.extensions = .object([key: ["enabled": true, "limit": 1]])
        #expect(try await client.sync().extensionPart(key) == nil)
        func change(_ user: UserID, _ isFollowed: Bool) async throws {
            try await server.environment.database.write { connection in
                let store = ThreadSubscriptionStore(connection)
                if isFollowed {
                    _ = try store.subscribe(user, room: root.roomNID, root: root.id, cause: nil)
                } else {
                    try store.unsubscribe(user, room: root.roomNID, root: root.id, at: 1)
                }
            }
        }
        try await change(alice, true)
        #expect(try await client.sync().extensionPart(key) == nil)
        try await change(bob, true)
        let told = try await client.sync().extensionPart(key)
        #expect(told?["subscribed"]?[room.text]?[root.id.text]?["automatic"] == false)
        #expect(told?["prev_batch"]?.string?.hasPrefix("h1_") == true)
        #expect(try await client.sync().extensionPart(key) == nil)
        try await change(bob, false)
        #expect(try await client.sync().extensionPart(key)?["unsubscribed"]?[room.text]?[root.id.text] != nil)
    }

    @Test func `sticky events come once, and again with a room that is new`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "call", with: [bob])
        let late = try await server.room(named: "late")
        func stick(_ text: String, _ room: RoomID) async throws {
            let event = try await server.message(text, room)
            let end = server.environment.clock.now() + 60_000
            try await server.environment.database.write { connection in
                _ = try connection.execute(
                    """
                    INSERT INTO sticky_events (event_nid, room_nid, expires)
                    VALUES (\(event.nid), \(event.roomNID), \(end))
                    """)
            }
        }
        let key = SlidingAssembly.stickyKey
        func told(_ answer: Answer, _ room: RoomID) -> [String] {
            Answer.names(answer.extensionPart(key)?["rooms"]?[room.text])
        }
        try await stick("one", room)
        try await stick("unseen", late)
        try await server.message("after", room)
        try await server.message("after", late)
        var client = SlidingClient(server, bob)
        client.follow(limit: 1)
        client.extensions = .object([key: ["enabled": true]])
        let first = try await client.sync()
        #expect(told(first, room) == ["one"])
        #expect(told(first, late) == [])
        let since = try #require(first.extensionPart(key)?["next_batch"])
        client.extensions = .object([key: ["enabled": true, "since": since]])
        #expect(told(try await client.sync(), room) == [])
        try await stick("two", room)
        // What the timeline has is not told again.
        let second = try await client.sync()
        #expect(second.slidingTimeline(room) == ["two"])
        #expect(told(second, room) == [])
        try await server.set(.join, bob, late)
        #expect(told(try await client.sync(), late) == ["unseen"])
        client.extensions = .object([key: ["enabled": true, "since": "nonsense"]])
        #expect(try await client.ask().errcode == "M_INVALID_PARAM")
    }
}
