import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Streams of a sync") struct SyncStreamsTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    @Test func `messages to a device stay until it asks for what comes next`() async throws {
        let server = try await SyncServer { $0.limits.toDevicePerSync = 2 }
        let first = try await server.sync(alice)
        try await server.sendToDevice(["a", "b", "c"], to: alice)
        func types(_ answer: Answer) -> [String?]? {
            answer["to_device"]?["events"]?.elements.map { $0["type"]?.string }
        }
        let second = try await server.sync(alice, since: first.next)
        #expect(types(second) == ["a", "b"])
        #expect(types(try await server.sync(alice, since: first.next)) == ["a", "b"])
        #expect(types(try await server.sync(alice, since: first.next, device: "D2")) == [])
        let third = try await server.sync(alice, since: second.next)
        #expect(types(third) == ["c"])
        // What was acknowledged is gone, what was not comes again.
        #expect(types(try await server.sync(alice, since: first.next)) == ["c"])
        #expect(types(try await server.sync(alice, since: third.next)) == [])
        #expect(types(try await server.sync(alice)) == [])
    }

    @Test func `a sync waits until there is something`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let first = try await server.sync(bob)
        let answer = try await server.watching {
            async let waiting = server.sync(bob, since: first.next, timeout: 20_000)
            while server.watcher.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
            try await Task.sleep(for: .milliseconds(50))
            try await server.message("wake up", room)
            return try await waiting
        }
        #expect(answer.timeline(room) == ["wake up"])
        #expect(server.watcher.waitingCount == 0)
    }

    @Test func `an invite, a device's message, account data, typing, devices and presence wake a sync too`()
        async throws
    {
        let server = try await SyncServer { $0.presence.isEnabled = true }
        let room = try await server.room(with: [bob])
        let other = try await server.room()
        let bob = bob
        let alice = alice
        let acts: [@Sendable () async throws -> Void] = [
            { try await server.set(.invite, bob, other, by: alice) },
            { try await server.sendToDevice(["x"], to: bob) },
            { try await server.setAccountData("own", [:], of: bob) },
            {
                try await server.environment.database.write { connection in
                    _ = try DeviceKeyStore(connection).noteChange(of: alice)
                }
            },
            { try await server.presence.set(alice, state: "unavailable", message: nil) },
            {
                _ = try await server.call(
                    .put, "v3/rooms/\(room)/typing/\(alice)", as: alice, ["typing": true, "timeout": 5_000])
            },
        ]
        try await server.watching {
            for act in acts {
                let since = try await server.sync(bob).next
                let start = ContinuousClock.now
                async let waiting = server.sync(bob, since: since, timeout: 55_000)
                while server.watcher.waitingCount == 0 { try await Task.sleep(for: .milliseconds(5)) }
                try await act()
                _ = try await waiting
                #expect(ContinuousClock.now - start < .seconds(40))
            }
        }
    }

    @Test func `what concerns others wakes nobody, and time runs out`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let first = try await server.sync(bob)
        let answer = try await server.watching {
            async let waiting = server.sync(bob, since: first.next, timeout: 200)
            try await server.message("not for bob", room)
            return try await waiting
        }
        #expect(answer["rooms"]?["join"] == [:])
        #expect(answer.next != first.next)
    }

    @Test func `too many syncs cannot wait`() async throws {
        let server = try await SyncServer { $0.limits.waitingSyncs = 0 }
        #expect(try await server.sync(alice).errcode == "M_LIMIT_EXCEEDED")
    }

    @Test func `receipts are told, private ones to their user only`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let one = try await server.message("one", room)
        let two = try await server.message("two", room)
        let first = try await server.sync(alice)
        func send(_ type: String, _ event: StoredEvent, _ body: JSONValue = [:]) async throws -> Int {
            let path = "v3/rooms/\(room)/receipt/\(type)/\(PercentEncoding.encode(event.id.text))"
            return try await server.call(.post, path, as: bob, body).status
        }
        #expect(try await send("m.read.private", two) == 200)
        #expect(try await server.sync(alice, since: first.next).room(room) == nil)
        #expect(try await send("m.read", one) == 200)
        let answer = try await server.sync(alice, since: first.next)
        let content = answer.room(room)?["ephemeral"]?["events"]?.elements.first?["content"]
        #expect(content?[one.id.text]?["m.read"]?["@bob:test"]?["ts"]?.integer != nil)
        #expect(content?[two.id.text] == nil)
        #expect(try await send("m.read", two) == 200)
        // A receipt does not go back.
        #expect(try await send("m.read", one) == 200)
        let own = try await server.sync(bob).room(room)?["ephemeral"]?["events"]?.elements.first?["content"]
        #expect(own?[two.id.text]?.object?.keys.sorted() == ["m.read", "m.read.private"])
        #expect(own?[one.id.text] == nil)
        #expect(try await send("m.odd", two) == 400)
        #expect(try await send("m.read", two, ["thread_id": "x"]) == 400)
        #expect(try await send("m.read", two, ["thread_id": "main"]) == 200)
    }

    @Test func `the unread are counted until they are read`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        func unread(_ since: String? = nil) async throws -> [Int64?] {
            let counts = try await server.sync(bob, since: since).room(room)?["unread_notifications"]
            return [counts?["notification_count"]?.integer, counts?["highlight_count"]?.integer]
        }
        #expect(try await unread() == [0, 0])
        let first = try await server.message("one", room)
        try await server.message("two", room)
        #expect(try await unread() == [2, 0])
        try await server.writer.send(
            EventDraft(
                type: .message, sender: alice,
                content: ["msgtype": "m.text", "body": "you", "m.mentions": ["user_ids": ["@bob:test"]]], roomID: room))
        #expect(try await unread() == [3, 1])
        let since = try await server.sync(bob).next
        let path = "v3/rooms/\(room)/read_markers"
        _ = try await server.call(
            .post, path, as: bob, ["m.read": .string(first.id.text), "m.fully_read": .string(first.id.text)])
        #expect(try await unread(since) == [2, 1])
        let data = try await server.sync(bob, since: since).room(room)?["account_data"]?["events"]?.elements.first
        #expect(data?["content"] == ["event_id": .string(first.id.text)])
        // To send is to have read.
        try await server.message("mine", room, by: bob)
        #expect(try await unread() == [0, 0])
        try await server.message("more", room)
        #expect(try await unread() == [1, 0])
    }

    @Test func `typing is told when it begins and when it ends`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let clock = try #require(server.environment.clock as? SyncClock)
        func type(_ body: JSONValue) async throws -> Int {
            try await server.call(.put, "v3/rooms/\(room)/typing/@alice:test", as: alice, body).status
        }
        func users(_ answer: Answer) -> JSONValue? {
            answer.room(room)?["ephemeral"]?["events"]?.elements.first?["content"]?["user_ids"]
        }
        var answer = try await server.sync(bob)
        #expect(try await type(["typing": true, "timeout": 1_000]) == 200)
        answer = try await server.sync(bob, since: answer.next)
        #expect(users(answer) == ["@alice:test"])
        #expect(users(try await server.sync(bob)) == ["@alice:test"])
        clock.advance(milliseconds: 2_000)
        try await server.receipts.expireTyping()
        answer = try await server.sync(bob, since: answer.next)
        #expect(users(answer) == [])
        #expect(try await type(["typing": false]) == 200)
        #expect(users(try await server.sync(bob, since: answer.next)) == nil)
        // Who comes in while somebody types is told so.
        let before = try await server.sync(carol)
        #expect(try await type(["typing": true, "timeout": 1_000]) == 200)
        answer = try await server.sync(carol, since: before.next)
        #expect(answer.room(room) == nil)
        try await server.set(.join, carol, room)
        #expect(users(try await server.sync(carol, since: answer.next)) == ["@alice:test"])
        let path = "v3/rooms/\(room)/typing/@bob:test"
        #expect(try await server.call(.put, path, as: alice, ["typing": true]).errcode == "M_FORBIDDEN")
    }

    @Test func `what other servers say of their users is taken in`() async throws {
        let server = try await SyncServer { $0.presence.isEnabled = true }
        let remote = try UserID("@dora:far.test")
        let origin = remote.serverName
        let room = try await server.room(with: [bob])
        let event = try await server.message("one", room)
        let first = try await server.sync(bob, since: nil, timeout: 0, "&set_presence=offline")
        func take(_ user: UserID) async throws {
            let receipt: JSONValue = .object([
                room.text: [
                    "m.read": .object([
                        user.text: ["event_ids": [.string(event.id.text)], "data": ["ts": 1]]
                    ])
                ]
            ])
            let typing: JSONValue = [
                "room_id": .string(room.text), "user_id": .string(user.text), "typing": true,
            ]
            let presence: JSONValue = [
                "push": [["user_id": .string(user.text), "presence": "online", "last_active_ago": 5]]
            ]
            func view(_ value: JSONValue) throws -> JSONView { try JSONDocument(value.serialized()).root }
            try await server.receipts.receiveReceipts(view(receipt), from: origin)
            try await server.receipts.receiveTyping(view(typing), from: origin)
            try await server.presence.receivePresence(view(presence), from: origin)
        }
        // Neither of users who are not in the room nor of other servers' users.
        try await take(remote)
        try await take(alice)
        let answer = try await server.sync(bob, since: first.next, timeout: 0, "&set_presence=offline")
        #expect(answer.room(room) == nil)
        #expect(answer["presence"]?["events"] == [])
    }

    @Test func `presence is told to those who share a room`() async throws {
        let server = try await SyncServer { $0.presence.isEnabled = true }
        _ = try await server.room(with: [bob])
        let first = try await server.sync(bob, since: nil, timeout: 0, "&set_presence=offline")
        #expect(first["presence"]?["events"] == [])
        let stranger = try await server.sync(carol, since: nil, timeout: 0, "&set_presence=offline")
        let path = "v3/presence/@alice:test/status"
        let set = try await server.call(
            .put, path, as: alice, ["presence": "unavailable", "status_msg": "tea"])
        #expect(set.status == 200)
        let answer = try await server.sync(bob, since: first.next, timeout: 0, "&set_presence=offline")
        let event = answer["presence"]?["events"]?.elements.first
        #expect(event?["sender"] == "@alice:test")
        #expect(event?["content"]?["presence"] == "unavailable")
        #expect(event?["content"]?["status_msg"] == "tea")
        let nothing = try await server.sync(carol, since: stranger.next, timeout: 0, "&set_presence=offline")
        #expect(nothing["presence"]?["events"] == [])
        #expect(try await server.call(.get, path, as: bob)["presence"] == "unavailable")
        #expect(try await server.call(.get, path, as: carol).errcode == "M_FORBIDDEN")
        // Who syncs is online, and offline some time after.
        _ = try await server.sync(alice)
        #expect(try await server.call(.get, path, as: bob)["presence"] == "online")
        (server.environment.clock as? SyncClock)?.advance(milliseconds: SyncLimits.offlineAfter * 4)
        try await server.presence.expire()
        #expect(try await server.call(.get, path, as: bob)["presence"] == "offline")
        #expect(try await server.call(.get, path, as: bob)["status_msg"] == "tea")
    }

    @Test func `changed devices are told to those who share a room`() async throws {
        let server = try await SyncServer()
        _ = try await server.room(with: [bob])
        let bobs = try await server.sync(bob)
        let carols = try await server.sync(carol)
        try await server.environment.database.write { [alice] connection in
            _ = try DeviceKeyStore(connection).noteChange(of: alice)
        }
        #expect(try await server.sync(bob, since: bobs.next)["device_lists"]?["changed"] == ["@alice:test"])
        #expect(try await server.sync(carol, since: carols.next)["device_lists"]?["changed"] == [])
    }
}
