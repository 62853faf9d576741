import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Sliding sync: memberships") struct SlidingMembershipTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol

    private func forget(_ room: RoomID, _ user: UserID, _ server: SyncServer) async throws {
        try await server.environment.database.write { connection in
            let record = try #require(try RoomStore(connection).room(room))
            try RoomStore(connection).forget(room: record.nid, user: user)
        }
    }

    @Test(arguments: [SlidingShape.simplified, .stable])
    func `an invite shows stripped state, a join the room, and a leave itself`(_ shape: SlidingShape) async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea")
        try await server.message("before", room)
        var client = SlidingClient(server, bob, shape)
        client.follow(limit: 2)
        #expect(try await client.sync().slidingRooms == [])
        try await server.set(.invite, bob, room, by: alice)
        let invited = try await client.sync()
        let stripped = invited.sliding(room)?[shape.strippedStateKey]?.elements ?? []
        #expect(
            Set(stripped.map(Answer.name)) == [
                "m.room.create", "m.room.name", "m.room.join_rules", "@alice:test join", "@bob:test invite",
            ])
        #expect(invited.sliding(room)?["timeline"] == nil)
        #expect(invited.sliding(room)?["required_state"] == nil)
        #expect(invited.sliding(room)?["joined_count"] == nil)
        #expect(invited.sliding(room)?["membership"] == (shape == .stable ? "invite" : nil))
        try await server.message("not for the invited", room)
        #expect(try await client.sync().slidingRooms == [])
        try await server.set(.join, bob, room)
        let joined = try await client.sync()
        #expect(joined.sliding(room)?["initial"] == true)
        #expect(joined.sliding(room)?["name"] == "tea")
        #expect(joined.slidingTimeline(room) == ["not for the invited", "@bob:test join"])
        #expect(joined.sliding(room)?["num_live"] == 1)
        #expect(joined.sliding(room)?[shape.strippedStateKey] == nil)
        try await server.message("last", room)
        try await server.set(.leave, bob, room)
        try await server.message("unseen", room)
        let left = try await client.sync()
        #expect(left.slidingTimeline(room) == ["last", "@bob:test leave"])
        #expect(left.slidingState(room) == ["@bob:test leave"])
        #expect(left.sliding(room)?["membership"] == (shape == .stable ? "leave" : nil))
        #expect(left.roomCount == 1)
        try await server.message("unseen too", room)
        let nothing = try await client.sync()
        #expect(nothing.slidingRooms == [])
        #expect(nothing.roomCount == 0)
        try await server.set(.join, bob, room)
        #expect(try await client.sync().sliding(room)?["initial"] == true)
    }

    @Test func `an invite that is declined shows that and no more`() async throws {
        let server = try await SyncServer()
        for shape in [SlidingShape.simplified, .stable] {
            let room = try await server.room(named: "secret")
            try await server.set(.invite, bob, room, by: alice)
            var client = SlidingClient(server, bob, shape)
            client.follow(state: shape == .stable ? ["include": [[:]]] : [["*", "*"]])
            _ = try await client.sync()
            try await server.set(.leave, bob, room)
            let answer = try await client.sync()
            #expect(answer.slidingState(room) == ["@bob:test leave"])
            #expect(answer.slidingTimeline(room) == ["@bob:test leave"])
            #expect(answer.sliding(room)?["name"] == nil)
            #expect(answer.sliding(room)?["stripped_state"]?.count ?? 0 == (shape == .stable ? 1 : 0))
            #expect(answer.sliding(room)?["invite_state"] == nil)
            #expect(try await client.sync().slidingRooms == [])
            var another = SlidingClient(server, bob, shape)
            another.follow()
            #expect(try await another.sync().sliding(room) == nil)
        }
    }

    @Test func `rooms the user left are shown if they were before, those the user was put out of always`() async throws
    {
        let server = try await SyncServer()
        let left = try await server.room(named: "left", with: [bob])
        let kicked = try await server.room(named: "kicked", with: [bob])
        let banned = try await server.room(named: "banned", with: [bob])
        let never = try await server.room(named: "never")
        var before = SlidingClient(server, bob)
        before.follow(state: [["m.room.member", "$ME"]])
        _ = try await before.sync()
        try await server.set(.leave, bob, left)
        try await server.set(.leave, bob, kicked, by: alice)
        try await server.set(.ban, bob, banned, by: alice)
        try await server.set(.ban, bob, never, by: alice)
        var anew = SlidingClient(server, bob)
        anew.connection = "anew"
        anew.follow(state: [["m.room.member", "$ME"]])
        let fresh = try await anew.sync()
        #expect(fresh.slidingRooms == [kicked.text, banned.text])
        #expect(fresh.slidingState(kicked) == ["@bob:test leave"])
        #expect(fresh.slidingState(banned) == ["@bob:test ban"])
        try await forget(left, bob, server)
        let told = try await before.sync()
        #expect(told.slidingRooms == [left.text, kicked.text, banned.text])
        #expect(told.slidingState(left) == ["@bob:test leave"])
        #expect(try await before.sync().slidingRooms == [])
        // Somebody who was in a room may look at it again.
        before.subscribe(to: kicked, limit: 1)
        #expect(try await before.sync().slidingRooms == [])
        var outside = SlidingClient(server, carol)
        outside.subscribe(to: kicked)
        #expect(try await outside.sync().slidingRooms == [])
    }

    @Test func `a leave that was not asked about yet is told when it is`() async throws {
        let server = try await SyncServer()
        let first = try await server.room(named: "first", with: [bob])
        let second = try await server.room(named: "second", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow(0...1)
        _ = try await client.sync()
        try await server.set(.leave, bob, first)
        try await server.message("newer", second)
        client.follow(0...0)
        #expect(try await client.sync().slidingRooms == [second.text])
        #expect(try await client.sync().slidingRooms == [])
        client.follow(0...1)
        #expect(try await client.sync().slidingTimeline(first) == ["@bob:test leave"])
        #expect(try await client.sync().roomCount == 1)
    }

    @Test func `an invite to a room elsewhere comes and goes`() async throws {
        let server = try await SyncServer()
        let room = try RoomID("!elsewhere:other.example")
        let invite = ReceivedInvite(
            user: bob, roomID: room, version: .v11, sender: try UserID("@dora:other.example"), membership: .invite,
            eventID: try EventID("$invite:other.example"), event: Array("{}".utf8),
            strippedState: JSONValue.array([
                ["type": "m.room.name", "state_key": "", "content": ["name": "far"], "sender": "@dora:other.example"],
                [
                    "type": "m.room.member", "state_key": "@bob:test", "content": ["membership": "invite"],
                    "sender": "@dora:other.example",
                ],
            ]).serialized())
        for shape in [SlidingShape.simplified, .stable] {
            try await server.environment.database.write { connection in
                _ = try RoomStore(connection).saveInvite(invite, sealer: .plain)
            }
            var client = SlidingClient(server, bob, shape)
            client.follow(filters: [shape == .stable ? "is_invited" : "is_invite": true])
            let answer = try await client.sync()
            #expect(answer.sliding(room)?[shape.strippedStateKey]?.count == 2)
            #expect(try await client.sync().slidingRooms == [])
            client.follow()
            try await server.environment.database.write { connection in
                _ = try RoomStore(connection).removeInvite(of: SyncServer.bob, to: room)
            }
            let gone = try await client.sync()
            if shape == .stable {
                #expect(gone.sliding(room)?["membership"] == "leave")
                #expect(
                    gone.sliding(room)?["stripped_state"]?.elements.map(Answer.name) == ["@bob:test leave"])
            } else {
                #expect(gone.slidingState(room) == ["@bob:test leave"])
                #expect(gone.sliding(room)?["invite_state"] == nil)
            }
            #expect(try await client.sync().slidingRooms == [])
        }
        // Of somebody who is ignored, nothing.
        try await server.environment.database.write { connection in
            _ = try RoomStore(connection).saveInvite(invite, sealer: .plain)
        }
        try await server.setAccountData(
            "m.ignored_user_list", ["ignored_users": ["@dora:other.example": [:]]], of: bob)
        var client = SlidingClient(server, bob)
        client.follow()
        #expect(try await client.sync().slidingRooms == [])
    }

    @Test func `who comes back sees no more of the room than the room lets`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "closed", visibility: "joined", with: [bob])
        var client = SlidingClient(server, bob)
        client.follow()
        _ = try await client.sync()
        try await server.set(.leave, bob, room)
        try await server.message("hidden", room)
        try await server.set(.join, bob, room)
        try await server.message("shown", room)
        let answer = try await client.sync()
        #expect(answer.slidingTimeline(room).suffix(3) == ["@bob:test leave", "@bob:test join", "shown"])
        #expect(!answer.slidingTimeline(room).contains("hidden"))
    }
}
