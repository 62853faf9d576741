import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@Suite("Two servers in a room") struct SharedRoomTests {
    @Test(arguments: ["1", "2", "3", "6", "10", "11", "12"])
    func `a user of another server joins, and messages go both ways`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom(version)
            try await servers.alice.say("from a", room)
            try await eventually { try await servers.b.messages(room).contains("from a") }
            try await servers.bob.say("from b", room)
            try await eventually { try await servers.a.messages(room) == ["from a", "from b"] }
            try await servers.agree(room)
            #expect(try await servers.a.membership(servers.bob.user, room) == .join)
            #expect(try await servers.a.state(room).count >= 6)
        }
    }

    @Test(arguments: ["1", "2", "12"])
    func `forks are merged to the same state on both`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom(version, ["power_level_content_override": ["state_default": 0]])
            try await servers.alice.say("before", room)
            try await eventually { try await servers.b.messages(room) == ["before"] }

            servers.network.set { _ in .unreachable }
            for number in 0..<3 {
                try await servers.alice.set("m.room.topic", ["topic": .string("a\(number)")], room)
                try await servers.bob.set("m.room.topic", ["topic": .string("b\(number)")], room)
                try await servers.alice.set("test.a", ["n": .integer(Int64(number))], room)
                try await servers.bob.set("test.b", ["n": .integer(Int64(number))], room)
            }
            #expect(try await servers.a.state(room) != servers.b.state(room))
            servers.network.set()
            try await servers.alice.say("after a", room)
            try await servers.bob.say("after b", room)
            try await eventually { try await Set(servers.a.messages(room)) == ["before", "after a", "after b"] }
            try await eventually { try await Set(servers.b.messages(room)) == ["before", "after a", "after b"] }
            try await servers.agree(room)
            let state = try await servers.a.state(room)
            #expect(state[StateKey(EventType("test.a"), "")] != nil && state[StateKey(EventType("test.b"), "")] != nil)
        }
    }

    @Test func `events that were lost on the way are fetched`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            servers.network.set { $0.pathAndQuery.contains("/send/") ? .swallowed : .delivered }
            for number in 0..<20 { try await servers.alice.say("\(number)", room) }
            try await servers.alice.set("m.room.topic", ["topic": "lost"], room)
            try await eventually {
                try await servers.a.environment.database.read {
                    try Outbox($0).pendingPDUs(for: "b.test", limit: 1).isEmpty
                }
            }
            servers.network.set()
            try await servers.alice.say("last", room)
            try await eventually { try await servers.b.messages(room).last == "last" }
            #expect(try await servers.b.messages(room) == (0..<20).map(String.init) + ["last"])
            #expect(servers.network.paths.contains { $0.hasPrefix("a.test/") && $0.contains("get_missing_events") })
            try await servers.agree(room)
        }
    }

    @Test func `a server that was away long gets the newest event of each room and fetches the rest`() async throws {
        try await TwoServers.run({ $0.limits.outboxPerDestination = 3 }) { servers in
            let rooms = [try await servers.sharedRoom(), try await servers.sharedRoom("11")]
            servers.network.set { $0.host == "b.test" ? .unreachable : .delivered }
            for number in 0..<10 { for room in rooms { try await servers.alice.say("\(number)", room) } }
            try await eventually {
                try await servers.a.environment.database.read {
                    try Outbox($0).destination("b.test")?.isCatchingUp == true
                }
            }
            servers.network.set()
            for room in rooms {
                try await eventually { try await servers.b.messages(room) == (0..<10).map(String.init) }
            }
            try await eventually {
                try await servers.a.environment.database.read {
                    try Outbox($0).destination("b.test")?.isCatchingUp == false
                }
            }
            try await servers.alice.say("as usual", rooms[0])
            try await eventually { try await servers.b.messages(rooms[0]).last == "as usual" }
        }
    }

    @Test(arguments: ["1", "11", "12"])
    func `invites are signed by both, taken, declined and withdrawn`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let (alice, bob) = (servers.alice, servers.bob)
            let room = try await alice.createRoom(version, ["preset": "private_chat", "name": "Tea"])
            try await alice.act("invite", room, on: bob.user)
            let id = try #require(try await servers.a.state(room)[StateKey(.member, bob.user.text)])
            let event = try #require(try await servers.a.event(id))
            #expect(Set(event.pdu.signatures?.members.map(\.key) ?? []) == ["a.test", "b.test"])
            let sealer = servers.b.environment.sealer
            func invite() async throws -> ReceivedInvite? {
                try await servers.b.environment.database.read {
                    try RoomStore($0).invite(of: bob.user, to: room, sealer: sealer)
                }
            }
            let received = try #require(try await invite())
            #expect(received.sender == alice.user && received.eventID == id)

            try await bob.act("leave", room)
            #expect(try await invite() == nil)
            try await eventually { try await servers.a.membership(bob.user, room) == .leave }

            try await alice.act("invite", room, on: bob.user)
            #expect(try await invite() != nil)
            try await alice.act("kick", room, on: bob.user)
            try await eventually { try await invite() == nil }

            try await alice.act("invite", room, on: bob.user)
            try await bob.join(room, via: servers.a)
            #expect(try await invite() == nil)
            try await servers.agree(room)
            #expect(try await servers.b.membership(bob.user, room) == .join)
        }
    }

    @Test func `who is kicked learns it, who is banned cannot come back, who leaves is gone on both`() async throws {
        try await TwoServers.run { servers in
            let (alice, bob) = (servers.alice, servers.bob)
            let room = try await servers.sharedRoom()
            try await alice.act("kick", room, on: bob.user)
            try await eventually { try await servers.b.membership(bob.user, room) == .leave }
            try await bob.join(room, via: servers.a)
            #expect(try await servers.b.membership(bob.user, room) == .join)
            try await bob.act("leave", room)
            try await eventually { try await servers.a.membership(bob.user, room) == .leave }
            try await alice.act("ban", room, on: bob.user)
            await #expect(throws: MatrixError.self) { try await bob.join(room, via: servers.a) }
        }
    }

    @Test(arguments: ["8", "10", "12"])
    func `a restricted room lets in who is in the other room, vouched for by a resident`(_ version: String) async throws
    {
        try await TwoServers.run { servers in
            let club = try await servers.alice.createRoom("11")
            let room = try await servers.alice.restricted(to: club, version)
            await #expect(throws: MatrixError.self) { try await servers.bob.join(room, via: servers.a) }
            try await servers.bob.join(club, via: servers.a)
            try await servers.bob.join(room, via: servers.a)
            let id = try #require(try await servers.b.state(room)[StateKey(.member, servers.bob.user.text)])
            let join = try #require(try await servers.b.event(id))
            #expect(join.pdu.content["join_authorised_via_users_server"]?.string == servers.alice.user.text)
            #expect(Set(join.pdu.signatures?.members.map(\.key) ?? []) == ["a.test", "b.test"])
            try await servers.agree(room)
        }
    }

    @Test
    func `a resident of which nobody may invite says that it cannot grant a restricted join, and another is asked`()
        async throws
    {
        try await TwoServers.run { servers in
            let club = try await servers.sharedRoom("11")
            let room = try await servers.alice.restricted(
                to: club, "12", ["power_level_content_override": ["invite": 50]])
            try await servers.bob.join(room, via: servers.a)
            for shared in [club, room] {
                try await eventually { try await servers.b.reader.record(shared)?.isPartial == false }
            }
            // Bob's server is in both rooms, and knows that Eve is in the one; but he may not invite to the other.
            let c = try await TestHomeserver("c.test", on: servers.network)
            let eve = try await c.register("eve")
            try await eve.join(club, via: servers.b)
            try await eventually { try await servers.a.membership(eve.user, club) == .join }
            let refused = await #expect(throws: MatrixError.self) { try await eve.join(room, via: servers.b) }
            #expect(refused?.code == .unableToGrantJoin && refused?.status == 400)
            try await eve.ask(
                .post, "/_matrix/client/v3/join/\(percent(room.text))?via=b.test&via=a.test", [:])
            #expect(try await c.membership(eve.user, room) == .join)
        }
    }

    @Test func `a knock is heard, and answered with an invite`() async throws {
        try await TwoServers.run { servers in
            let (alice, bob) = (servers.alice, servers.bob)
            let room = try await alice.createRoom(
                "12",
                [
                    "preset": "private_chat",
                    "initial_state": [
                        ["type": "m.room.join_rules", "state_key": "", "content": ["join_rule": "knock"]]
                    ],
                ])
            try await bob.ask(
                .post, "/_matrix/client/v3/knock/\(percent(room.text))?via=a.test&server_name=a.test", [:])
            #expect(try await servers.a.membership(bob.user, room) == .knock)
            try await alice.act("invite", room, on: bob.user)
            try await bob.join(room, via: servers.a)
            #expect(try await servers.a.membership(bob.user, room) == .join)
        }
    }
}
