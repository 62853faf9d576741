import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

/// Every field of a filter, one by one. Spec: <https://spec.matrix.org/v1.19/client-server-api/#filtering>
@Suite("Filters of a sync") struct SyncFilterTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    @Test func `event_format federation gives events as servers have them, event_fields picks from them`() async throws
    {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let event = try await server.message("one", room)
        let limit: JSONValue = ["timeline": ["limit": 1], "state": ["types": []]]
        var answer = try await server.sync(bob, filter: ["event_format": "federation", "room": limit])
        let whole = answer.room(room)?["timeline"]?["events"]?.elements.first
        #expect(whole == (try JSONValue.parse(event.pdu.canonicalJSON)))
        #expect(whole?["auth_events"]?.array != nil)
        answer = try await server.sync(
            bob, filter: ["event_format": "federation", "event_fields": ["depth", "content.body"], "room": limit])
        let picked = answer.room(room)?["timeline"]?["events"]?.elements.first
        #expect(picked == ["depth": .integer(event.pdu.depth), "content": ["body": "one"]])
        answer = try await server.sync(bob, filter: ["event_format": "client", "room": limit])
        #expect(answer.room(room)?["timeline"]?["events"]?.elements.first?["event_id"] == .string(event.id.text))
    }

    @Test func `event_fields knows dots within names`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        try await server.writer.send(
            EventDraft(type: .message, sender: alice, content: ["a.b": ["c": 1, "d": 2], "e": 3], roomID: room))
        let answer = try await server.sync(
            bob, filter: ["event_fields": ["content.a\\.b.c", "no.such"], "room": ["timeline": ["limit": 1]]])
        #expect(answer.room(room)?["timeline"]?["events"]?.elements == [["content": ["a.b": ["c": 1]]]])
    }

    @Test func `account_data filters the user's data, room account_data that of rooms`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let other = try await server.room()
        for type in ["x.one", "x.two", "y.three"] {
            try await server.setAccountData(type, type == "x.two" ? ["url": "mxc://a/b"] : [:], of: alice)
            try await server.setAccountData(type, type == "x.two" ? ["url": "mxc://a/b"] : [:], of: alice, room: room)
        }
        try await server.setAccountData("x.one", [:], of: alice, room: other)
        func types(_ filter: JSONValue) async throws -> (user: [String], room: [String], other: [String]) {
            let answer = try await server.sync(
                alice, filter: ["account_data": filter, "room": ["account_data": filter]])
            func names(_ list: JSONValue?) -> [String] {
                (list?["events"]?.elements ?? []).compactMap { $0["type"]?.string }.filter { $0 != "m.push_rules" }
            }
            return (
                names(answer["account_data"]).sorted(), names(answer.room(room)?["account_data"]).sorted(),
                names(answer.room(other)?["account_data"])
            )
        }
        var found = try await types([:])
        #expect(found == (["x.one", "x.two", "y.three"], ["x.one", "x.two", "y.three"], ["x.one"]))
        found = try await types(["types": ["x.*"], "not_types": ["*.two"]])
        #expect(found == (["x.one"], ["x.one"], ["x.one"]))
        found = try await types(["types": []])
        #expect(found == ([], [], []))
        found = try await types(["senders": ["@bob:test"]])
        #expect(found == ([], [], []))
        found = try await types(["not_senders": ["@bob:test"], "types": ["y*"]])
        #expect(found == (["y.three"], ["y.three"], []))
        found = try await types(["contains_url": true])
        #expect(found == (["x.two"], ["x.two"], []))
        found = try await types(["rooms": [.string(room.text)], "types": ["x.one"]])
        #expect(found.room == ["x.one"])
        #expect(found.other == [])
        found = try await types(["not_rooms": [.string(room.text)], "types": ["x.one"]])
        #expect(found.room == [])
        #expect(found.other == ["x.one"])
    }

    @Test func `presence filters by sender and type`() async throws {
        let server = try await SyncServer { $0.presence.isEnabled = true }
        _ = try await server.room(with: [bob, carol])
        for user in [bob, carol] {
            _ = try await server.presence.set(user, state: "online", message: nil)
        }
        func seen(_ filter: JSONValue) async throws -> [String] {
            let answer = try await server.sync(alice, filter: ["presence": filter], "&set_presence=offline")
            return (answer["presence"]?["events"]?.elements ?? []).compactMap { $0["sender"]?.string }
                .filter { $0 != "@alice:test" }.sorted()
        }
        #expect(try await seen([:]) == ["@bob:test", "@carol:test"])
        #expect(try await seen(["senders": ["@bob:test"]]) == ["@bob:test"])
        #expect(try await seen(["not_senders": ["@bob:test"]]) == ["@carol:test"])
        #expect(try await seen(["not_types": ["m.pres*"]]) == [])
        #expect(try await seen(["types": ["m.other"]]) == [])
    }

    @Test func `rooms and not_rooms, of all and of each part`() async throws {
        let server = try await SyncServer()
        let one = try await server.room(with: [bob])
        let two = try await server.room(with: [bob])
        let invited = try await server.room()
        try await server.set(.invite, bob, invited, by: alice)
        func joined(_ filter: JSONValue) async throws -> Answer {
            try await server.sync(bob, filter: ["room": filter])
        }
        var answer = try await joined(["rooms": [.string(one.text)]])
        #expect(answer.room(one) != nil)
        #expect(answer.room(two) == nil)
        #expect(answer.room(invited, "invite") == nil)
        answer = try await joined(["rooms": [.string(one.text)], "not_rooms": [.string(one.text)]])
        #expect(answer.room(one) == nil)
        answer = try await joined(["not_rooms": [.string(one.text)]])
        #expect(answer.room(one) == nil)
        #expect(answer.room(two) != nil)
        #expect(answer.room(invited, "invite") != nil)
        // A part alone: the state of a room whose timeline is not wanted is told nevertheless.
        answer = try await joined(["timeline": ["not_rooms": [.string(one.text)]]])
        #expect(answer.timeline(one) == [])
        #expect(answer.state(one).contains("m.room.create"))
        #expect(!answer.timeline(two).isEmpty)
        answer = try await joined(["state": ["rooms": [.string(two.text)]], "timeline": ["limit": 1]])
        #expect(answer.state(one) == [])
        #expect(!answer.state(two).isEmpty)
    }

    @Test func `timeline and state filter by type, sender and url`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        try await server.message("alice", room)
        try await server.message("bob", room, by: bob)
        try await server.writer.send(
            EventDraft(
                type: .message, sender: carol, content: ["body": "file", "url": "mxc://a/b"], roomID: room))
        func timeline(_ filter: JSONValue) async throws -> [String] {
            try await server.sync(bob, filter: ["room": ["timeline": filter]]).timeline(room)
        }
        #expect(try await timeline(["types": ["m.room.message"]]) == ["alice", "bob", "file"])
        #expect(try await timeline(["types": ["m.room.*"], "not_types": ["*e*e*"]]).contains("alice") == false)
        #expect(
            try await timeline(["types": ["*message"], "senders": ["@bob:test", "@carol:test"]]) == ["bob", "file"])
        #expect(
            try await timeline([
                "types": ["*message"], "senders": ["@bob:test", "@carol:test"], "not_senders": ["@bob:test"],
            ]) == ["file"])
        #expect(try await timeline(["contains_url": true]) == ["file"])
        #expect(try await timeline(["types": ["*message"], "contains_url": false]) == ["alice", "bob"])
        #expect(try await timeline(["types": ["*message"], "limit": 1]) == ["file"])
        func state(_ filter: JSONValue) async throws -> [String] {
            try await server.sync(bob, filter: ["room": ["timeline": ["limit": 1], "state": filter]]).state(room)
        }
        #expect(
            try await state(["types": ["m.room.create", "m.room.join*"]]) == ["m.room.create", "m.room.join_rules"])
        #expect(try await state(["senders": ["@carol:test"]]) == ["@carol:test join"])
        #expect(try await state(["not_types": ["m.room.*"]]) == [])
    }

    @Test func `ephemeral filters receipts and typing, and whose they are`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        let event = try await server.message("one", room)
        for user in [bob, carol] {
            let path = "v3/rooms/\(room)/receipt/m.read/\(PercentEncoding.encode(event.id.text))"
            _ = try await server.call(.post, path, as: user, [:])
            _ = try await server.call(
                .put, "v3/rooms/\(room)/typing/\(user)", as: user, ["typing": true, "timeout": 20_000])
        }
        func seen(_ filter: JSONValue) async throws -> (types: [String], readers: [String], typing: JSONValue?) {
            let answer = try await server.sync(alice, filter: ["room": ["ephemeral": filter]])
            let events = answer.room(room)?["ephemeral"]?["events"]?.elements ?? []
            let receipts = events.first { $0["type"] == "m.receipt" }?["content"]?[event.id.text]?["m.read"]
            let typing = events.first { $0["type"] == "m.typing" }?["content"]?["user_ids"]
            return (events.compactMap { $0["type"]?.string }, receipts?.object?.keys.sorted() ?? [], typing)
        }
        var found = try await seen([:])
        #expect(found.types == ["m.receipt", "m.typing"])
        #expect(found.readers == ["@bob:test", "@carol:test"])
        found = try await seen(["not_types": ["m.typing"]])
        #expect(found.types == ["m.receipt"])
        found = try await seen(["types": ["m.typ*"]])
        #expect(found.types == ["m.typing"])
        found = try await seen(["not_senders": ["@bob:test"]])
        #expect(found.readers == ["@carol:test"])
        #expect(found.typing == ["@carol:test"])
        found = try await seen(["rooms": []])
        #expect(found.types == [])
    }

    @Test func `include_leave shows rooms that were left, with their account data`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        try await server.setAccountData("m.tag", ["tags": [:]], of: bob, room: room)
        try await server.set(.leave, bob, room)
        #expect(try await server.sync(bob, filter: ["room": ["include_leave": false]]).room(room, "leave") == nil)
        let left = try await server.sync(bob, filter: ["room": ["include_leave": true]]).room(room, "leave")
        #expect(left?["account_data"]?["events"] == [["type": "m.tag", "content": ["tags": [:]]]])
    }

    @Test func `state that a filter keeps out of the timeline is told beside it`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "old", with: [bob])
        let first = try await server.sync(bob)
        try await server.state(.name, ["name": "new"], room)
        try await server.message("hello", room)
        let filter: JSONValue = ["room": ["timeline": ["types": ["m.room.message"]]]]
        let answer = try await server.sync(bob, since: first.next, filter: filter)
        #expect(answer.timeline(room) == ["hello"])
        #expect(answer.room(room)?["state"]?["events"]?.elements.map { $0["content"] } == [["name": "new"]])
        // Even if nothing of it is in the timeline.
        let next = try await server.sync(bob, since: answer.next, filter: filter)
        try await server.state(.topic, ["topic": "tea"], room)
        let last = try await server.sync(bob, since: next.next, filter: filter)
        #expect(last.timeline(room) == [])
        #expect(last.state(room) == ["m.room.topic"])
    }

    @Test func `members who changed within a gap are told, lazily or not`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let first = try await server.sync(bob)
        try await server.set(.leave, carol, room)
        for number in 0..<5 { try await server.message("\(number)", room) }
        for isRedundant in [true, false] {
            let filter: JSONValue = [
                "room": [
                    "timeline": ["limit": 2],
                    "state": ["lazy_load_members": true, "include_redundant_members": .bool(isRedundant)],
                ]
            ]
            let answer = try await server.sync(bob, since: first.next, filter: filter)
            #expect(answer.room(room)?["timeline"]?["limited"] == true)
            #expect(answer.state(room) == ["@alice:test join", "@carol:test leave"])
        }
        // Only the filter of the state turns lazy loading on.
        let all = try await server.sync(
            bob, filter: ["room": ["timeline": ["limit": 1, "lazy_load_members": true]]])
        #expect(all.state(room).filter { $0.hasPrefix("@") }.count == 3)
    }

    @Test func `full_state with lazy loading has the own member, the heroes and what changed in the gap`() async throws
    {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob, carol])
        let first = try await server.sync(bob)
        try await server.message("one", room)
        let filter: JSONValue = ["room": ["state": ["lazy_load_members": true]]]
        let answer = try await server.sync(bob, since: first.next, filter: filter, "&full_state=true")
        #expect(answer.timeline(room) == ["one"])
        #expect(answer.room(room)?["summary"]?["m.heroes"] == ["@alice:test", "@carol:test"])
        #expect(
            answer.state(room).filter { $0.hasPrefix("@") } == [
                "@alice:test join", "@bob:test join", "@carol:test join",
            ])
    }

    @Test func `state_after comes alone`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let answer = try await server.sync(bob, since: nil, timeout: 0, "&use_state_after=true")
        #expect(answer.room(room)?["state"] == nil)
        #expect(answer.room(room)?["state_after"]?["events"]?.elements.isEmpty == false)
        let unstable = try await server.sync(bob, since: nil, timeout: 0, "&org.matrix.msc4222.use_state_after=true")
        #expect(unstable.room(room)?["state"] == nil)
        #expect(unstable.room(room)?["org.matrix.msc4222.state_after"] != nil)
    }

    @Test func `an invite shows when its sender is no longer ignored, and hides while invites are blocked`()
        async throws
    {
        let server = try await SyncServer()
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": ["@alice:test": [:]]], of: bob)
        let room = try await server.room()
        try await server.set(.invite, bob, room, by: alice)
        let first = try await server.sync(bob)
        #expect(first.room(room, "invite") == nil)
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": [:]], of: bob)
        let second = try await server.sync(bob, since: first.next)
        #expect(second.room(room, "invite") != nil)
        try await server.setAccountData("m.invite_permission_config", ["default_action": "block"], of: bob)
        #expect(try await server.sync(bob).room(room, "invite") == nil)
        let third = try await server.sync(bob, since: second.next)
        try await server.setAccountData("m.invite_permission_config", [:], of: bob)
        #expect(try await server.sync(bob, since: third.next).room(room, "invite") != nil)
    }

    @Test func `receipts of several threads on one event are all told`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let event = try await server.message("one", room)
        let path = "v3/rooms/\(room)/receipt/m.read/\(PercentEncoding.encode(event.id.text))"
        _ = try await server.call(.post, path, as: bob, [:])
        _ = try await server.call(.post, path, as: bob, ["thread_id": "main"])
        let events = try await server.sync(alice).room(room)?["ephemeral"]?["events"]?.elements ?? []
        let threads = events.map { $0["content"]?[event.id.text]?["m.read"]?["@bob:test"]?["thread_id"]?.string ?? "-" }
        #expect(threads.sorted() == ["-", "main"])
    }
}
