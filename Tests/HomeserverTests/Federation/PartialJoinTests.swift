import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

/// A room of Alice's with many members, and Bob's server, which joins it without knowing them.
private struct LargeRoom: Sendable {
    static let members = 60

    let servers: TwoServers
    let c: TestHomeserver
    let carol: TestHomeserver.Client
    let room: RoomID

    /// Three servers run; Carol is in the room too. Nobody tells `b.test` the room's state until `tellState`.
    static func run(
        _ version: String = "12", _ test: (LargeRoom) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let c = try await TestHomeserver("c.test", on: servers.network)
            let carol = try await c.register("carol")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await c.instance.run() }
                let room = try await servers.alice.createRoom(version, ["name": "Large"])
                try await servers.a.fill(room, members)
                try await carol.join(room, via: servers.a)
                try await servers.agree(room, on: c)
                let large = LargeRoom(servers: servers, c: c, carol: carol, room: room)
                large.holdState(of: ["a.test", "c.test"])
                try await test(large)
                group.cancelAll()
            }
        }
    }

    /// These servers cannot be asked for a room's state.
    func holdState(of hosts: [String]) {
        servers.network.set { request in
            let asksState = request.pathAndQuery.contains("/v1/state")
            return asksState && hosts.contains(request.host) ? .unreachable : .delivered
        }
    }

    func tellState() { servers.network.set() }

    func isPartial() async throws -> Bool? { try await servers.b.reader.record(room)?.isPartial }

    /// Waits until `b.test` knows all members, and checks that it knows the room as `a.test` does.
    func becomesWhole() async throws {
        try await eventually { try await isPartial() == false }
        try await servers.agree(room)
        let (a, b) = (servers.a, servers.b)
        let server = b.name
        let nid = try #require(try await b.reader.record(room)?.nid)
        let (left, members) = try await b.environment.database.read { connection in
            (
                try b.reader.log(connection).partialEvents(room: nid).count,
                try RoomStore(connection).members(room: nid, membership: .join)
            )
        }
        #expect(left == 0)
        let told = try await a.reader.joinedMembers(try #require(try await a.reader.record(room)))
        #expect(Set(members.map(\.user)) == Set(told.map(\.user)))
        #expect(members.contains { $0.user.serverName == server })
    }
}

extension TestHomeserver {
    /// Lets users of this server join who have no accounts.
    func fill(_ room: RoomID, _ count: Int) async throws {
        let writer = RoomWriter(environment: environment, reader: reader)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<count {
                let user = try UserID("@member\(number):\(name)")
                group.addTask {
                    try await writer.send(
                        EventDraft(
                            type: .member, sender: user, stateKey: user.text, content: ["membership": "join"],
                            roomID: room))
                }
            }
            try await group.waitForAll()
        }
    }

    /// A message of a user who has no account.
    @discardableResult
    func say(_ text: String, _ room: RoomID, as number: Int) async throws -> StoredEvent {
        try await RoomWriter(environment: environment, reader: reader).send(
            EventDraft(
                type: .message, sender: UserID("@member\(number):\(name)"),
                content: ["msgtype": "m.text", "body": .string(text)], roomID: room))
    }

    /// The answer to a user's sync.
    func sync(_ client: Client, since: String? = nil, lazy: Bool) async throws -> JSONValue {
        var path = "/_matrix/client/v3/sync?timeout=0"
        if lazy { path += "&filter=" + percent(#"{"room":{"state":{"lazy_load_members":true}}}"#) }
        if let since { path += "&since=\(since)" }
        return try await client.ask(.get, path)
    }
}

extension TwoServers {
    /// Waits until a third server has the same state of a room as the first.
    func agree(_ room: RoomID, on c: TestHomeserver) async throws {
        try await eventually { try await a.state(room) == c.state(room) }
    }
}

@Suite("A room that is joined without its members", .serialized) struct PartialJoinTests {
    @Test func `a member whose server is away meanwhile is known once it is back`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let isAway: @Sendable (String, String) -> Bool = { host, path in host == "c.test" && path.contains("/key/")
            }
            servers.network.set { isAway($0.host, $0.pathAndQuery) ? .unreachable : .delivered }
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await large.isPartial() == false }
            #expect(try await servers.b.membership(large.carol.user, room) == nil)
            servers.network.set()
            try await eventually { try await servers.b.membership(large.carol.user, room) == .join }
            try await large.carol.say("back", room)
            try await eventually { try await servers.b.messages(room) == ["back"] }
            try await large.becomesWhole()
        }
    }

    @Test(arguments: ["12", "6", "1"])
    func `it is used at once, and whole later`(_ version: String) async throws {
        try await LargeRoom.run(version) { large in
            let (servers, room) = (large.servers, large.room)
            try await servers.bob.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)
            #expect(servers.network.paths.contains { $0.contains("send_join") && $0.contains("omit_members=true") })
            #expect(try await servers.b.state(room).count < 20)
            #expect(
                try await Set(servers.b.reader.joinedServers(#require(try await servers.b.reader.record(room))))
                    == Set([servers.a.name, servers.b.name, large.c.name]))

            // Messages go both ways, also of members of whom b.test was told nothing.
            try await servers.bob.say("from b", room)
            try await servers.a.say("from a", room, as: 7)
            try await eventually { try await large.c.membership(servers.bob.user, room) == .join }
            try await large.carol.say("from c", room)
            try await servers.alice.set("m.room.topic", ["topic": "meanwhile"], room)
            try await eventually { try await Set(servers.b.messages(room)) == ["from a", "from b", "from c"] }
            try await eventually { try await Set(servers.a.messages(room)) == ["from a", "from b", "from c"] }
            try await eventually { try await Set(large.c.messages(room)) == ["from a", "from b", "from c"] }
            try await eventually {
                try await servers.b.state(room)[StateKey(.topic, "")] == servers.a.state(room)[StateKey(.topic, "")]
            }
            #expect(try await large.isPartial() == true)

            large.tellState()
            try await large.becomesWhole()
            #expect(try await Set(servers.b.messages(room)) == ["from a", "from b", "from c"])
            try await servers.bob.say("afterwards", room)
            try await eventually { try await servers.a.messages(room).contains("afterwards") }
        }
    }

    @Test func `clients that load members lazily have it at once, others when it is whole`() async throws {
        try await LargeRoom.run { large in
            let (b, bob, room) = (large.servers.b, large.servers.bob, large.room)
            let tag = "/_matrix/client/v3/user/\(percent(bob.user.text))/rooms/\(percent(room.text))/tags/u.large"
            try await bob.ask(.put, tag, ["order": 0.5])
            try await bob.join(room, via: large.servers.a)
            try await large.servers.a.say("hello", room, as: 3)
            try await eventually { try await b.messages(room) == ["hello"] }
            let alice = large.servers.alice
            let typing = "/_matrix/client/v3/rooms/\(percent(room.text))/typing/\(percent(alice.user.text))"
            try await alice.ask(.put, typing, ["typing": true, "timeout": 30_000])
            try await eventually {
                let told = try await b.sync(bob, lazy: true)["rooms"]?["join"]?[room.text]?["ephemeral"]?["events"]
                return told?.elements.contains { $0["content"]?["user_ids"] == ["@alice:a.test"] } == true
            }

            // Another one types for longer than it takes to know the members, of which the clock here makes minutes.
            let member = try UserID("@member3:a.test")
            let until = b.environment.clock.now() + 86_400_000
            try await b.environment.database.write { connection in
                let nid = try #require(try RoomStore(connection).room(room)).nid
                try TypingStore(connection).set(member, room: nid, until: until, limit: 10)
            }

            let eager = try await b.sync(bob, lazy: false)
            #expect(eager["rooms"]?["join"]?[room.text] == nil)
            let lazy = try await b.sync(bob, lazy: true)
            let shown = try #require(lazy["rooms"]?["join"]?[room.text])
            let state = shown["state"]?["events"]?.elements ?? []
            #expect(state.contains { $0["type"]?.string == "m.room.name" })
            #expect(state.contains { $0["state_key"]?.string == "@member3:a.test" })
            #expect(
                shown["timeline"]?["events"]?.elements.contains { $0["content"]?["body"]?.string == "hello" } == true)
            // What needs all members waits, and is refused in the end.
            await #expect(throws: MatrixError.self) {
                try await bob.ask(.get, "/_matrix/client/v3/rooms/\(percent(room.text))/members")
            }
            #expect(
                try await bob.ask(.get, "/_matrix/client/v3/rooms/\(percent(room.text))/state/m.room.name")["name"]?
                    .string
                    == "Large")

            large.tellState()
            try await large.becomesWhole()
            let members = try await bob.ask(.get, "/_matrix/client/v3/rooms/\(percent(room.text))/joined_members")
            #expect(members["joined"]?.members.count == LargeRoom.members + 3)
            let later = try await b.sync(bob, since: eager["next_batch"]?.string, lazy: false)
            let whole = try #require(later["rooms"]?["join"]?[room.text])
            let told =
                (whole["state"]?["events"]?.elements ?? []) + (whole["timeline"]?["events"]?.elements ?? [])
            #expect(
                Set(told.filter { $0["type"]?.string == "m.room.member" }.compactMap { $0["state_key"]?.string }).count
                    == LargeRoom.members + 3)
            // What was said of it while it was hidden.
            let typers = (whole["ephemeral"]?["events"]?.elements ?? []).flatMap { event in
                event["content"]?["user_ids"]?.elements.compactMap(\.string) ?? []
            }
            #expect(typers.contains(member.text))
            #expect(whole["account_data"]?["events"]?.elements.contains { $0["type"] == "m.tag" } == true)
            // Who had it already hears whose devices matter now, and how many they are.
            let next = try await b.sync(bob, since: lazy["next_batch"]?.string, lazy: true)
            #expect((next["device_lists"]?["changed"]?.elements.count ?? 0) >= LargeRoom.members)
            let summary = next["rooms"]?["join"]?[room.text]?["summary"]
            #expect(summary?["m.joined_member_count"]?.integer == Int64(LargeRoom.members + 3))
            let after = try await b.sync(bob, since: later["next_batch"]?.string, lazy: false)
            #expect(after["rooms"]?["join"]?[room.text] == nil)
        }
    }

    @Test func `who reads and types counts by its server while members are not known`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let inside = try HandmadeServer("h.test", on: servers.network)
            let outside = try HandmadeServer("o.test", on: servers.network)
            let (eve, otto) = (try UserID("@eve:h.test"), try UserID("@otto:o.test"))
            _ = try await inside.join(eve, room, on: servers.a)
            try await servers.bob.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)
            #expect(try await servers.b.membership(eve, room) == nil)
            let said = try await servers.bob.say("who reads this?", room)
            func edus(of user: UserID) -> [JSONValue] {
                let read: JSONValue = ["event_ids": [.string(said.text)], "data": ["ts": 1]]
                return [
                    [
                        "edu_type": "m.receipt",
                        "content": .object([room.text: ["m.read": .object([user.text: read])]]),
                    ],
                    [
                        "edu_type": "m.typing",
                        "content": [
                            "room_id": .string(room.text), "user_id": .string(user.text), "typing": true,
                        ],
                    ],
                ]
            }
            #expect(try await outside.send([], edus: edus(of: otto), to: servers.b).status == 200)
            // Nor does a server speak for another's users.
            let carols = edus(of: large.carol.user)
            #expect(try await inside.send([], edus: edus(of: eve) + carols, to: servers.b).status == 200)
            let told = try await servers.b.sync(servers.bob, lazy: true)["rooms"]?["join"]?[room.text]?["ephemeral"]
            let events = told?["events"]?.elements ?? []
            let typing = events.first { $0["type"] == "m.typing" }?["content"]?["user_ids"]
            #expect(typing == [.string(eve.text)])
            let read = events.first { $0["type"] == "m.receipt" }?["content"]?[said.text]?["m.read"]?.members ?? []
            #expect(read.map(\.key) == [eve.text])
        }
    }

    @Test func `who had left is not told so again by a join without members`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let (b, bob) = (servers.b, servers.bob)
            let (ben, beth) = (try await b.register("ben"), try await b.register("beth"))
            large.tellState()
            for user in [ben, beth] {
                try await user.join(room, via: servers.a)
                try await large.becomesWhole()
                try await user.act("leave", room)
                try await eventually { try await servers.a.membership(user.user, room) == .leave }
            }
            try await beth.act("forget", room)
            func sync(_ user: TestHomeserver.Client, _ query: String) async throws -> JSONValue {
                try await user.ask(.get, "/_matrix/client/v3/sync?timeout=0&" + query)
            }
            let since = try #require(try await sync(ben, "")["next_batch"]?.string)
            let filter = "filter=" + percent(#"{"room":{"include_leave":true}}"#)
            func isKept() async throws {
                #expect(try await b.membership(ben.user, room) == .leave)
                #expect(try await sync(ben, "since=\(since)")["rooms"]?["leave"] == [:])
                #expect(try await sync(ben, filter)["rooms"]?["leave"]?[room.text] != nil)
                #expect(try await sync(beth, filter)["rooms"]?["leave"] == [:])
            }

            large.holdState(of: ["a.test", "c.test"])
            try await bob.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)
            try await isKept()
            large.tellState()
            try await large.becomesWhole()
            try await isKept()
        }
    }

    @Test func `what the whole state does not allow is taken back`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let handmade = try HandmadeServer("h.test", on: servers.network)
            let eve = try UserID("@eve:h.test")
            let (joined, before) = try await handmade.join(eve, room, on: servers.a)
            try await servers.alice.act("ban", room, on: eve)
            try await servers.bob.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)

            let bobsJoin = try #require(try await servers.b.state(room)[StateKey(.member, servers.bob.user.text)])
            let last = try #require(try await servers.b.event(bobsJoin)).pdu
            let levels = try #require(before.first { $0.type == .powerLevels })
            let message = try handmade.event(
                "m.room.message", by: eve, ["msgtype": "m.text", "body": "still here"], in: room, version: .v12,
                after: [last], auth: [joined, levels])
            let chain = before.filter { joined.authEvents.contains($0.id) || $0.id == levels.id }
            let alice = before.filter { $0.stateKey == "@alice:a.test" }
            handmade.answer(
                "/event_auth/",
                ["auth_chain": .array((chain + alice + [joined]).map { JSONValue($0.document.root) })])
            try await handmade.send([message.canonicalJSON], to: servers.b)
            try await eventually { try await servers.b.messages(room) == ["still here"] }
            // What follows it stays, though it was judged by a state that had its sender in it.
            try await servers.bob.say("who is that?", room)

            large.tellState()
            try await large.becomesWhole()
            #expect(try await servers.b.messages(room) == ["who is that?"])
            #expect(try await servers.b.event(message.id)?.flags == .rejected)
        }
    }

    /// Eve of a handmade server, who is in the room, and what authorizes what she says.
    private func eve(
        in large: LargeRoom
    ) async throws -> (server: HandmadeServer, user: UserID, joined: PDU, before: [PDU], levels: PDU) {
        let server = try HandmadeServer("h.test", on: large.servers.network)
        let user = try UserID("@eve:h.test")
        let (joined, before) = try await server.join(user, large.room, on: large.servers.a)
        let chain = before.filter { joined.authEvents.contains($0.id) || $0.stateKey == "@alice:a.test" } + [joined]
        server.answer("/event_auth/", ["auth_chain": .array(chain.map { JSONValue($0.document.root) })])
        return (server, user, joined, before, try #require(before.first { $0.type == .powerLevels }))
    }

    @Test func `who was banned before does not speak from a place before the ban`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let eve = try await eve(in: large)
            try await servers.alice.act("ban", room, on: eve.user)
            try await servers.bob.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)

            let message = try eve.server.event(
                "m.room.message", by: eve.user, ["msgtype": "m.text", "body": "still here"], in: room, version: .v12,
                after: [eve.joined], auth: [eve.joined, eve.levels])
            // The state before it is true, and has her in the room.
            let told = (eve.before + [eve.joined]).map { JSONValue.string($0.id.text) }
            eve.server.answer(
                "event_id=" + percent(message.id.text), ["pdu_ids": .array(told), "auth_chain_ids": []])
            try await eve.server.send([message.canonicalJSON], to: servers.b)
            try await eventually { try await servers.b.messages(room) == ["still here"] }
            try await servers.bob.say("who is that?", room)

            large.tellState()
            try await large.becomesWhole()
            #expect(try await servers.b.messages(room) == ["who is that?"])
            #expect(try await servers.b.event(message.id)?.flags == .softFailed)
            #expect(try await servers.b.membership(eve.user, room) == .ban)
            try await servers.bob.say("gone", room)
            try await eventually { try await servers.a.messages(room) == ["who is that?", "gone"] }
        }
    }

    @Test func `what was said before a ban stays, though the ban came before all was known`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let eve = try await eve(in: large)
            try await servers.bob.join(room, via: servers.a)
            let bobsJoin = try #require(try await servers.b.state(room)[StateKey(.member, servers.bob.user.text)])
            let message = try eve.server.event(
                "m.room.message", by: eve.user, ["msgtype": "m.text", "body": "hello"], in: room, version: .v12,
                after: [try #require(try await servers.b.event(bobsJoin)).pdu], auth: [eve.joined, eve.levels])
            for server in [servers.a, servers.b] {
                try await eve.server.send([message.canonicalJSON], to: server)
                try await eventually { try await server.messages(room) == ["hello"] }
            }
            try await servers.alice.act("ban", room, on: eve.user)
            try await eventually { try await servers.b.membership(eve.user, room) == .ban }
            #expect(try await large.isPartial() == true)

            large.tellState()
            try await large.becomesWhole()
            #expect(try await servers.b.messages(room) == ["hello"])
            #expect(try await servers.b.event(message.id)?.flags == [])
        }
    }

    @Test func `after a restart its completion goes on`() async throws {
        let network = LoopNetwork()
        let a = try await TestHomeserver("a.test", on: network)
        let alice = try await a.register("alice")
        let first = try await TestHomeserver("b.test", on: network)
        let bob = try await first.register("bob")
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await a.instance.run() }
            let room = try await alice.createRoom("12", ["name": "Large"])
            try await a.fill(room, 100)
            // The ids of the state are told, the events are not.
            network.set { request in
                let path = request.pathAndQuery
                return path.contains("/v1/event/") || path.contains("/v1/state/") ? .unreachable : .delivered
            }
            try await withThrowingTaskGroup(of: Void.self) { inner in
                inner.addTask { await first.instance.run() }
                try await bob.join(room, via: a)
                try await eventually { network.paths.contains { $0.contains("/state_ids/") } }
                inner.cancelAll()
            }
            #expect(try await first.reader.record(room)?.isPartial == true)
            network.set()
            let second = TestHomeserver(restarting: first, on: network)
            group.addTask { await second.instance.run() }
            try await eventually { try await second.reader.record(room)?.isPartial == false }
            #expect(try await a.state(room) == second.state(room))
            #expect(try await second.state(room).count > 100)
            group.cancelAll()
        }
    }

    @Test func `another server tells the state when the one that answered the join does not`() async throws {
        try await LargeRoom.run { large in
            try await large.servers.bob.join(large.room, via: large.servers.a)
            large.holdState(of: ["a.test"])
            try await large.becomesWhole()
            #expect(large.servers.network.paths.contains { $0.hasPrefix("c.test/") && $0.contains("/state_ids/") })
        }
    }

    @Test func `a join goes by the next server when one fails`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            servers.network.set { request in
                request.host == "a.test" && request.pathAndQuery.contains("send_join") ? .unreachable : .delivered
            }
            let path = "/_matrix/client/v3/join/\(percent(room.text))?via=dead.test&via=a.test&via=c.test"
            try await servers.bob.ask(.post, path, [:])
            #expect(try await servers.b.membership(servers.bob.user, room) == .join)
            let asked = servers.network.paths.filter { $0.contains("/send_join/") }.map { $0.prefix(6) }
            #expect(asked == ["a.test", "a.test", "c.test"])
            large.tellState()
            try await large.becomesWhole()
        }
    }

    @Test func `another of our users joins meanwhile, with the help of who knows the members`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let banned = try await servers.b.register("banned")
            let brenda = try await servers.b.register("brenda")
            try await servers.alice.act("ban", room, on: banned.user)
            // Who is refused by one server is not to find another that has not heard of the ban yet.
            try await eventually { try await large.c.membership(banned.user, room) == .ban }
            try await servers.bob.join(room, via: servers.a)
            await #expect(throws: MatrixError.self) { try await banned.join(room, via: servers.a) }
            try await brenda.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)
            #expect(try await servers.b.membership(brenda.user, room) == .join)
            try await brenda.say("me too", room)
            try await eventually { try await servers.a.messages(room) == ["me too"] }
            large.tellState()
            try await large.becomesWhole()
            #expect(try await servers.b.membership(banned.user, room) == .ban)
        }
    }

    @Test func `a room that is left meanwhile is given up, and can be joined again`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            try await servers.bob.join(room, via: servers.a)
            try await servers.bob.say("hello and goodbye", room)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await eventually { try await large.isPartial() == false }
            try await servers.bob.join(room, via: servers.a)
            #expect(try await large.isPartial() == true)
            large.tellState()
            try await large.becomesWhole()
        }
    }

    @Test func `who is kicked meanwhile is out`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            try await servers.bob.join(room, via: servers.a)
            try await servers.alice.act("kick", room, on: servers.bob.user)
            try await eventually { try await servers.b.membership(servers.bob.user, room) == .leave }
            try await eventually { try await large.isPartial() == false }
            await #expect(throws: MatrixError.self) { try await servers.bob.say("but", room) }
        }
    }

    @Test func `other servers are told what is certain, and sent elsewhere for the rest`() async throws {
        try await LargeRoom.run { large in
            let (servers, room) = (large.servers, large.room)
            let handmade = try HandmadeServer("h.test", on: servers.network)
            _ = try await handmade.join(UserID("@eve:h.test"), room, on: servers.a)
            try await servers.bob.join(room, via: servers.a)
            let said = try await servers.bob.say("mine", room)
            let other = try await servers.alice.say("not mine", room)
            try await eventually { try await servers.b.event(other) != nil }
            let (id, path) = (percent(room.text), "/_matrix/federation/v1")
            let code = "ORG.MATRIX.MSC3895_UNABLE_DUE_TO_PARTIAL_STATE"
            for request in [
                "state_ids/\(id)?event_id=\(percent(said.text))", "state/\(id)?event_id=\(percent(said.text))",
            ] {
                let answer = try await handmade.ask(servers.b, .get, "\(path)/\(request)")
                #expect(answer.status == 403 && answer.body["errcode"]?.string == code)
            }
            let user = percent("@adam:h.test")
            for verb in ["make_join", "make_knock", "make_leave"] {
                let answer = try await handmade.ask(servers.b, .get, "\(path)/\(verb)/\(id)/\(user)?ver=12")
                #expect(answer.status == 404 && answer.body["errcode"]?.string == code)
            }
            let own = try await handmade.ask(servers.b, .get, "\(path)/event/\(percent(said.text))")
            #expect(own.status == 200 && own.body["pdus"]?.elements.count == 1)
            let others = try await handmade.ask(servers.b, .get, "\(path)/event/\(percent(other.text))")
            #expect(others.status == 404)
            let chain = try await handmade.ask(servers.b, .get, "\(path)/event_auth/\(id)/\(percent(said.text))")
            #expect((chain.body["auth_chain"]?.elements.count ?? 0) > 2)
            large.tellState()
            try await large.becomesWhole()
            let state = try await handmade.ask(
                servers.b, .get, "\(path)/state_ids/\(id)?event_id=\(percent(said.text))")
            #expect((state.body["pdu_ids"]?.elements.count ?? 0) > LargeRoom.members)
        }
    }
}
