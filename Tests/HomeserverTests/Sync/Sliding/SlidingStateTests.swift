import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Sliding sync: state") struct SlidingStateTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    @Test func `the state that is asked for comes, by key, by type, one's own and all`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        func state(_ wanted: JSONValue, _ shape: SlidingShape = .simplified) async throws -> [String] {
            var client = SlidingClient(server, bob, shape)
            client.follow(limit: 1, state: wanted)
            return try await client.sync().slidingState(room)
        }
        #expect(try await state([["m.room.name", ""], ["m.room.topic", ""]]) == ["m.room.name"])
        #expect(try await state([["m.room.member", "$ME"]]) == ["@bob:test join"])
        let members = ["@alice:test join", "@bob:test join", "@carol:test join"]
        #expect(try await state([["m.room.member", "*"]]) == members)
        #expect(try await state([["m.room.name", "*"]]) == ["m.room.name"])
        let rest = [
            "m.room.create", "m.room.history_visibility", "m.room.join_rules", "m.room.name", "m.room.power_levels",
        ]
        #expect(try await state([["*", "*"]]) == members + rest)
        #expect(try await state([["*", ""]]) == rest)
        #expect(try await state([["*", "*"], ["m.room.member", "$LAZY"]]) == ["@carol:test join"] + rest)
        #expect(
            try await state([["*", "*"], ["m.room.member", "$LAZY"], ["m.room.member", "$ME"]])
                == ["@bob:test join", "@carol:test join"] + rest)
        // The shape of the specification.
        #expect(try await state(["include": [["type": "m.room.name"]]], .stable) == ["m.room.name"])
        #expect(try await state(["include": [[:]]], .stable) == members + rest)
        #expect(
            try await state(["include": [[:]], "exclude": [["type": "m.room.member"]]], .stable) == rest)
        #expect(
            try await state(["include": [[:]], "lazy_members": true], .stable) == ["@carol:test join"] + rest)
        #expect(
            try await state(
                [
                    "include": [[:], ["type": "m.room.member", "state_key": "@bob:test"]], "lazy_members": true,
                    "exclude": [["type": "m.room.create"]],
                ], .stable) == ["@bob:test join", "@carol:test join"] + rest.dropFirst())
        #expect(try await state(["include": [["state_key": "@bob:test"]]], .stable) == ["@bob:test join"])
    }

    @Test func `changes of the state come, and what is asked for in addition`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow(limit: 1, state: [["m.room.topic", ""]])
        #expect(try await client.sync().slidingState(room) == [])
        try await server.state(.topic, ["topic": "one"], room)
        try await server.state(.name, ["name": "coffee"], room)
        let changed = try await client.sync()
        #expect(changed.slidingState(room) == ["m.room.topic"])
        #expect(changed.sliding(room)?["name"] == "coffee")
        #expect(changed.sliding(room)?["limited"] == true)
        client.follow(limit: 1, state: [["m.room.topic", ""], ["m.room.join_rules", ""]])
        #expect(try await client.sync().slidingState(room) == ["m.room.join_rules"])
        #expect(try await client.sync().slidingRooms == [])
        // What was taken back and is asked for again is there still.
        client.follow(limit: 1, state: [["m.room.topic", ""]])
        try await server.message("unrelated", room)
        #expect(try await client.sync().slidingState(room) == [])
        client.follow(limit: 1, state: [["m.room.topic", ""], ["m.room.join_rules", ""]])
        #expect(try await client.sync().slidingRooms == [])
        // But not what changed meanwhile.
        client.follow(limit: 1, state: [["m.room.topic", ""]])
        _ = try await client.sync()
        try await server.state(.joinRules, ["join_rule": "invite"], room)
        #expect(try await client.sync().slidingState(room) == [])
        client.follow(limit: 1, state: [["m.room.topic", ""], ["m.room.join_rules", ""]])
        #expect(try await client.sync().slidingState(room) == ["m.room.join_rules"])
    }

    @Test func `members come when they are of use, once, and again when they change`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        try await server.message("hello", room)
        var client = SlidingClient(server, bob)
        client.follow(limit: 1, state: [["m.room.member", "$LAZY"]])
        #expect(try await client.sync().slidingState(room) == ["@alice:test join"])
        try await server.message("again", room)
        #expect(try await client.sync().slidingState(room) == [])
        try await server.message("I too", room, by: carol)
        #expect(try await client.sync().slidingState(room) == ["@carol:test join"])
        try await server.set(.join, carol, room, name: "Caroline")
        let renamed = try await client.sync()
        #expect(renamed.slidingState(room) == ["@carol:test join"])
        #expect(renamed.sliding(room)?["required_state"]?.elements.first?["content"]?["displayname"] == "Caroline")
        try await server.message("still I", room, by: carol)
        #expect(try await client.sync().slidingState(room) == [])
        // A change in a gap is told when the member is of use.
        try await server.set(.join, carol, room, name: "Carol")
        try await server.message("one", room)
        try await server.message("two", room)
        let gap = try await client.sync()
        #expect(gap.sliding(room)?["limited"] == true)
        #expect(gap.slidingState(room) == [])
        try await server.message("here", room, by: carol)
        #expect(try await client.sync().slidingState(room) == ["@carol:test join"])
    }

    @Test func `heroes, name, avatar and counts come as they change`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        for shape in [SlidingShape.simplified, .stable] {
            var client = SlidingClient(server, bob, shape)
            client.follow(limit: 5)
            let first = try await client.sync()
            #expect(first.sliding(room)?["name"] == nil)
            #expect(first.sliding(room)?["heroes"] == [["user_id": "@alice:test", "displayname": "Alice"]])
            try await server.set(.join, carol, room)
            let joined = try await client.sync()
            #expect(joined.sliding(room)?["joined_count"] == 3)
            #expect(joined.sliding(room)?["heroes"]?.count == 2)
            try await server.state(.name, ["name": "tea"], room)
            try await server.state(.avatar, ["url": "mxc://test/a"], room)
            let named = try await client.sync()
            #expect(named.sliding(room)?["name"] == "tea")
            #expect(named.sliding(room)?["avatar"] == "mxc://test/a")
            #expect(named.sliding(room)?["heroes"] == nil)
            #expect(named.sliding(room)?["joined_count"] == nil)
            try await server.state(.name, ["name": ""], room)
            try await server.state(.avatar, [:], room)
            let unnamed = try await client.sync()
            #expect(unnamed.sliding(room)?["name"] == (shape == .stable ? .null : nil))
            #expect(unnamed.sliding(room)?["avatar"] == .null)
            #expect(unnamed.sliding(room)?["heroes"]?.count == 2)
            try await server.set(.leave, carol, room)
        }
    }

    @Test func `state that is set no more is told as a stub`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        try await server.state(.topic, ["topic": "gone soon"], room)
        for shape in [SlidingShape.simplified, .stable] {
            var client = SlidingClient(server, bob, shape)
            let wanted: JSONValue =
                shape == .stable ? ["include": [["type": "m.room.topic"]]] : [["m.room.topic", ""]]
            client.follow(limit: 1, state: wanted)
            #expect(try await client.sync().slidingState(room) == ["m.room.topic"])
            let last = try await server.message("after", room)
            // As when a fork is resolved: the state after the last event has no topic.
            try await server.environment.database.write { connection in
                let old = try #require(last.stateAfter)
                let number = try #require(
                    try server.rooms.states.numbers(of: [StateKey(.topic, "")], connection)[StateKey(.topic, "")])
                let writer = StateWriter(connection, server.rooms.states)
                let change = try writer.applying([number: nil], to: StateChange(old))
                try writer.store(change, room: last.roomNID)
                _ = try connection.execute(
                    """
                    UPDATE rooms SET state = \(change.root.bytes), head_version = head_version + 1
                    WHERE room_nid = \(last.roomNID)
                    """)
            }
            let answer = try await client.sync()
            let told = answer.sliding(room)?["required_state"]
            #expect(told == (shape == .stable ? [["type": "m.room.topic", "state_key": ""]] : nil))
            if shape == .simplified {
                try await server.environment.database.write { connection in
                    let root = try #require(last.stateAfter)
                    _ = try connection.execute(
                        """
                        UPDATE rooms SET state = \(root.bytes), head_version = head_version + 1
                        WHERE room_nid = \(last.roomNID)
                        """)
                }
            }
        }
    }
}
