import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Sync") struct SyncTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    @Test func `a first sync has the state, the timeline and all sections`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        try await server.message("hello", room)
        let answer = try await server.sync(alice)
        #expect(answer.status == 200)
        #expect(
            answer.timeline(room) == [
                "m.room.create", "@alice:test join", "m.room.power_levels", "m.room.join_rules",
                "m.room.history_visibility", "m.room.name", "@bob:test join", "hello",
            ])
        let joined = try #require(answer.room(room))
        #expect(joined["timeline"]?["limited"] == false)
        for part in ["state", "ephemeral", "account_data"] { #expect(joined[part]?["events"] == []) }
        #expect(joined["summary"] == ["m.joined_member_count": 2, "m.invited_member_count": 0])
        #expect(joined["unread_notifications"] == ["highlight_count": 0, "notification_count": 0])
        #expect(answer["device_one_time_keys_count"] == ["signed_curve25519": 0])
        #expect(answer["device_unused_fallback_key_types"] == [])
        // What changed meanwhile no later sync tells.
        #expect(answer["device_lists"] == ["changed": ["@alice:test"], "left": []])
        #expect(answer["to_device"]?["events"] == [])
        #expect(answer["account_data"]?["events"]?.elements.map { $0["type"] } == ["m.push_rules"])
        let last = joined["timeline"]?["events"]?.elements.last
        #expect(last?["room_id"] == nil)
        #expect(last?["unsigned"]?["membership"] == "join")
        #expect((last?["unsigned"]?["age"]?.integer ?? -1) >= 0)
    }

    @Test func `the same tokens have the same answer, and nothing new is nothing`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let first = try await server.sync(bob)
        try await server.message("one", room)
        let second = try await server.sync(bob, since: first.next)
        #expect(second.timeline(room) == ["one"])
        #expect(second.state(room) == [])
        let again = try await server.sync(bob, since: first.next)
        #expect(again.timeline(room) == ["one"])
        #expect(again.next == second.next)
        let third = try await server.sync(bob, since: second.next)
        #expect(third.next == second.next)
        #expect(third["rooms"] == ["join": [:], "invite": [:], "knock": [:], "leave": [:]])
    }

    @Test func `a gap is limited, has a way back, and its state changes`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "old", with: [bob])
        let first = try await server.sync(bob)
        try await server.state(.name, ["name": "newer"], room)
        let tea = try await server.state(.topic, ["topic": "tea"], room)
        try await server.state(.name, ["name": "newest"], room)
        for number in 1...3 { try await server.message("m\(number)", room) }
        try await server.state(.topic, ["topic": "coffee"], room)
        let answer = try await server.sync(bob, since: first.next, filter: ["room": ["timeline": ["limit": 2]]])
        #expect(answer.timeline(room) == ["m3", "m.room.topic"])
        #expect(answer.room(room)?["timeline"]?["limited"] == true)
        #expect(answer.state(room) == ["m.room.name", "m.room.topic"])
        let contents = answer.room(room)?["state"]?["events"]?.elements.compactMap { $0["content"] }
        #expect(contents?.contains(["name": "newest"]) == true)
        #expect(contents?.contains(["topic": "tea"]) == true)
        let change = answer.room(room)?["timeline"]?["events"]?.elements.last?["unsigned"]
        #expect(change?["prev_content"] == ["topic": "tea"])
        #expect(change?["replaces_state"]?.string == tea.id.text)
        let back = try #require(answer.room(room)?["timeline"]?["prev_batch"]?.string)
        let page = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&limit=3&from=\(back)", as: bob)
        #expect(page["chunk"]?.elements.map(Answer.name) == ["m2", "m1", "m.room.name"])
    }

    @Test func `a timeline begins behind a gap in the history`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let missing = try await server.message("missing", room)
        try await server.message("behind", room)
        try await server.environment.database.write { connection in
            _ = try connection.execute(
                """
                INSERT INTO backward_extremities (room_nid, event_id) VALUES (\(missing.roomNID), \(missing.id.text))
                """)
        }
        let answer = try await server.sync(bob)
        #expect(answer.timeline(room) == ["behind"])
        #expect(answer.room(room)?["timeline"]?["limited"] == true)
        #expect(answer.state(room).count == 7)
    }

    @Test func `the state after the timeline is sent to those who ask`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let first = try await server.sync(bob)
        try await server.state(.topic, ["topic": "tea"], room)
        try await server.message("last", room)
        for name in ["", "org.matrix.msc4222."] {
            let answer = try await server.sync(bob, since: first.next, timeout: 0, "&\(name)use_state_after=true")
            let state = answer.room(room)?["\(name)state_after"]
            #expect(Answer.names(state) == ["m.room.topic"])
            #expect(answer.timeline(room) == ["m.room.topic", "last"])
        }
    }

    @Test func `an invite, a join and a leave are told as such`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea")
        try await server.message("before", room)
        var answer = try await server.sync(bob)
        try await server.set(.invite, bob, room, by: alice)
        answer = try await server.sync(bob, since: answer.next)
        let stripped = answer.room(room, "invite")?["invite_state"]
        #expect(
            Set(Answer.names(stripped)) == [
                "m.room.create", "m.room.name", "m.room.join_rules", "@alice:test join", "@bob:test invite",
            ])
        try await server.set(.join, bob, room)
        answer = try await server.sync(bob, since: answer.next, filter: ["room": ["timeline": ["limit": 2]]])
        #expect(answer.timeline(room) == ["@bob:test invite", "@bob:test join"])
        #expect(answer.state(room).contains("m.room.create"))
        #expect(answer["device_lists"]?["changed"]?.elements.contains("@alice:test") == true)
        try await server.message("hello", room)
        try await server.set(.leave, bob, room)
        try await server.message("unseen", room)
        let left = try await server.sync(bob, since: answer.next)
        #expect(left.timeline(room, "leave") == ["hello", "@bob:test leave"])
        #expect(left["device_lists"]?["left"] == ["@alice:test"])
        #expect(try await server.sync(bob, since: left.next).room(room, "leave") == nil)
        #expect(try await server.sync(bob).room(room, "leave") == nil)
        let all = try await server.sync(bob, filter: ["room": ["include_leave": true]])
        #expect(all.timeline(room, "leave").last == "@bob:test leave")
        try await server.environment.database.write { connection in
            let record = try RoomStore(connection).room(room)
            try RoomStore(connection).forget(room: record?.nid ?? 0, user: bob)
        }
        #expect(try await server.sync(bob, filter: ["room": ["include_leave": true]]).room(room, "leave") == nil)
    }

    @Test func `an invite that is declined shows no more than that`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        try await server.set(.invite, bob, room, by: alice)
        let first = try await server.sync(bob)
        try await server.set(.leave, bob, room)
        let answer = try await server.sync(bob, since: first.next)
        #expect(answer.timeline(room, "leave") == ["@bob:test leave"])
        #expect(answer.state(room, "leave") == [])
    }

    @Test func `history is as visible as the room has it`() async throws {
        let server = try await SyncServer()
        for (visibility, seen) in [("shared", true), ("joined", false), ("invited", false)] {
            let room = try await server.room(visibility: visibility)
            try await server.message("before", room)
            try await server.set(.join, bob, room)
            try await server.message("after", room)
            let timeline = try await server.sync(bob).timeline(room)
            #expect(timeline.contains("before") == seen)
            #expect(timeline.suffix(2) == ["@bob:test join", "after"])
        }
    }

    @Test func `members are loaded lazily`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        try await server.message("one", room, by: carol)
        let filter: JSONValue = ["room": ["state": ["lazy_load_members": true], "timeline": ["limit": 1]]]
        let first = try await server.sync(bob, filter: filter)
        #expect(first.timeline(room) == ["one"])
        let members = first.state(room).filter { $0.hasPrefix("@") }
        #expect(members == ["@bob:test join", "@carol:test join"])
        try await server.message("two", room)
        let second = try await server.sync(bob, since: first.next, filter: filter)
        #expect(second.state(room) == ["@alice:test join"])
    }

    @Test func `a filter picks events, fields and rooms`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        let other = try await server.room(with: [bob])
        try await server.message("from alice", room)
        try await server.message("from bob", room, by: bob)
        var answer = try await server.sync(
            bob, filter: ["room": ["rooms": [.string(room.text)], "timeline": ["types": ["m.room.mess*"]]]])
        #expect(answer.timeline(room) == ["from alice", "from bob"])
        #expect(answer.room(other) == nil)
        answer = try await server.sync(
            bob, filter: ["room": ["timeline": ["not_senders": ["@bob:test"], "types": ["m.room.message"]]]])
        #expect(answer.timeline(room) == ["from alice"])
        answer = try await server.sync(
            bob,
            filter: [
                "event_fields": ["type", "content.body"], "room": ["timeline": ["limit": 1], "state": ["types": []]],
            ])
        #expect(
            answer.room(room)?["timeline"]?["events"] == [["type": "m.room.message", "content": ["body": "from bob"]]])
        #expect(answer.state(room) == [])
        #expect(try await server.sync(bob, filter: 7).errcode == "M_INVALID_PARAM")
        #expect(try await server.call(.get, "v3/sync?filter=%7B", as: bob).errcode == "M_BAD_JSON")
        #expect(try await server.sync(bob, since: "s1_x").errcode == "M_UNKNOWN")
    }

    @Test func `the transaction id is for the device that sent`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let origin = SendOrigin(user: alice, device: try DeviceID("D1"), scope: "x", transactionID: "txn \"1\"")
        try await server.message("mine", room, origin: origin)
        func transaction(_ device: String) async throws -> JSONValue? {
            let answer = try await server.sync(alice, device: device)
            return answer.room(room)?["timeline"]?["events"]?.elements.last?["unsigned"]?["transaction_id"]
        }
        #expect(try await transaction("D1") == "txn \"1\"")
        #expect(try await transaction("D2") == nil)
    }

    @Test func `messages of the ignored are left out`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": ["@bob:test": [:]]], of: alice)
        let first = try await server.sync(alice)
        try await server.message("bad", room, by: bob)
        try await server.message("good", room)
        #expect(try await server.sync(alice, since: first.next).timeline(room) == ["good"])
    }

    @Test func `account data of rooms and of the user is told once`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let first = try await server.sync(alice)
        try await server.setAccountData("m.tag", ["tags": [:]], of: alice, room: room)
        try await server.setAccountData("own", ["a": 1], of: alice)
        let answer = try await server.sync(alice, since: first.next)
        #expect(answer.room(room)?["account_data"]?["events"] == [["type": "m.tag", "content": ["tags": [:]]]])
        #expect(answer["account_data"]?["events"] == [["type": "own", "content": ["a": 1]]])
        let next = try await server.sync(alice, since: answer.next)
        #expect(next.room(room) == nil)
        #expect(next["account_data"]?["events"] == [])
    }
}
