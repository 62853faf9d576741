import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

/// A room is joined while a server of one of its members is away, so that its keys cannot be had.
@Suite("State that could not be had when a room was joined", .serialized) struct LeftOutStateTests {
    /// Carol of `c.test` is in Alice's room; Bob joins while nobody tells him the keys of `c.test`.
    private func play(
        _ version: String, _ test: (TwoServers, TestHomeserver, TestHomeserver.Client, RoomID) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let c = try await TestHomeserver("c.test", on: servers.network)
            let carol = try await c.register("carol")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await c.instance.run() }
                let room = try await servers.alice.createRoom(
                    version, ["power_level_content_override": ["events_default": 0, "state_default": 0]])
                try await carol.join(room, via: servers.a)
                try await servers.agree(room, on: c)
                try await carol.set("m.room.topic", ["topic": "hers"], room)
                try await servers.agree(room, on: c)
                servers.network.set { request in
                    request.host == "c.test" && request.pathAndQuery.contains("/key/") ? .unreachable : .delivered
                }
                try await servers.bob.join(room, via: servers.a)
                #expect(try await servers.b.membership(carol.user, room) == nil)
                try await eventually { try await c.membership(servers.bob.user, room) == .join }
                try await test(servers, c, carol, room)
                group.cancelAll()
            }
        }
    }

    @Test(arguments: ["12", "6", "1"])
    func `it is taken in once it can be had, and what was rejected without it is judged again`(
        _ version: String
    ) async throws {
        try await play(version) { servers, c, carol, room in
            // It is not asked for until the message was judged without it.
            try await servers.askAgain(in: room, at: .max)
            servers.network.set()
            let message = try await carol.say("am I here?", room)
            try await eventually { try await servers.b.reader.event(message)?.flags.contains(.rejected) == true }
            #expect(try await servers.b.messages(room) == [])
            try await servers.bob.say("I am", room)

            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            try await eventually { try await Set(servers.b.messages(room)) == ["am I here?", "I am"] }
            #expect(try await servers.b.reader.event(message)?.flags == [])
            try await servers.agree(room)

            // All three talk, and nothing is left to be asked for.
            try await carol.say("all well", room)
            try await servers.bob.say("indeed", room)
            try await eventually { try await servers.b.messages(room).count == 4 }
            try await eventually { try await Set(c.messages(room)).isSuperset(of: ["all well", "indeed"]) }
            try await eventually {
                let nid = try #require(try await servers.b.reader.record(room)?.nid)
                return try await servers.b.environment.database.read {
                    try PartialRoomStore($0).roomWithLeftOut(nid) == nil
                }
            }
        }
    }

    @Test func `clients that load members lazily are told of it, whatever it is`() async throws {
        try await play("12") { servers, c, carol, room in
            // Carol, who was away, named the room before Bob came.
            let (_, first) = try await synced(servers.bob, room, since: nil)
            try await servers.askAgain(in: room, at: 0)
            servers.network.set()
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            let (state, _) = try await synced(servers.bob, room, since: first)
            #expect(state.contains("m.room.topic"))
        }
    }

    /// The types of the state that a lazy sync tells of a room, and where to go on.
    private func synced(
        _ client: TestHomeserver.Client, _ room: RoomID, since: String?
    ) async throws -> (Set<String>, String) {
        let answer = try await client.server.sync(client, since: since, lazy: true)
        let joined = answer["rooms"]?["join"]?[room.text]
        let events = (joined?["state"]?["events"]?.elements ?? []) + (joined?["timeline"]?["events"]?.elements ?? [])
        return (Set(events.compactMap { $0["type"]?.string }), try #require(answer["next_batch"]?.string))
    }

    @Test func `a room that was left is not asked for`() async throws {
        try await play("12") { servers, _, carol, room in
            try await servers.bob.ask(.post, "/_matrix/client/v3/rooms/\(percent(room.text))/leave", [:])
            servers.network.set()
            try await eventually {
                let nid = try #require(try await servers.b.reader.record(room)?.nid)
                return try await servers.b.environment.database.read {
                    try PartialRoomStore($0).roomWithLeftOut(nid) == nil
                }
            }
            #expect(try await servers.b.membership(carol.user, room) == nil)
        }
    }
}

extension TwoServers {
    /// Sets when `b.test` asks again for what was left out of a room, milliseconds since 1970.
    fileprivate func askAgain(in room: RoomID, at time: Int64) async throws {
        let nid = try #require(try await b.reader.record(room)?.nid)
        // A try that is under way would set it anew.
        try await eventually {
            try await b.environment.database.write {
                try $0.execute(
                    "UPDATE partial_rooms SET retry_at = \(time) WHERE room_nid = \(nid) AND lease_until = 0") == 1
            }
        }
    }
}
