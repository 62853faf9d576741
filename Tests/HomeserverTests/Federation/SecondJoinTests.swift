import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

/// Another of our users comes into a room by another server, and what that tells of the room's state.
@Suite("A join by another server into a room that is known") struct SecondJoinTests {
    /// Bob of `b.test` is in a room of Alice's, and Eve of a handmade server, who knows an old state of it.
    private struct Scene: Sendable {
        let servers: TwoServers
        let h: HandmadeServer
        let eve: UserID
        let room: RoomID
        let version: RoomVersion
        /// Eve's join, and all that was there before.
        let join: PDU
        let before: [PDU]

        static func play(_ version: String, _ test: (Scene) async throws -> Void) async throws {
            try await TwoServers.run { servers in
                let h = try HandmadeServer("h.test", on: servers.network)
                let eve = try UserID("@eve:h.test")
                let room = try await servers.sharedRoom(version, ["power_level_content_override": ["invite": 0]])
                let (join, before) = try await h.join(eve, room, on: servers.a)
                try await servers.agree(room)
                try await test(
                    Scene(
                        servers: servers, h: h, eve: eve, room: room, version: join.version, join: join,
                        before: before))
            }
        }

        /// Lets Eve's server take users of `b.test` in.
        /// - Parameters:
        ///   - last: what a join is to follow.
        ///   - state: the state after that.
        ///   - extra: what the answer says beside that.
        func takeIn(_ user: UserID, after last: PDU, state: [PDU], _ extra: [String: JSONValue] = [:]) {
            let rules = version.rules
            let auth = state.filter { event in
                [.powerLevels, .joinRules].contains(event.type) || event.stateKey == eve.text
                    || (event.type == .create && !rules.roomIDIsCreateEventHash)
            }
            let content: JSONValue = [
                "membership": "join", "join_authorised_via_users_server": .string(eve.text),
            ]
            h.answer(
                "/make_join/",
                [
                    "room_version": .string(version.text),
                    "event": [
                        "type": "m.room.member", "room_id": .string(room.text), "sender": .string(user.text),
                        "state_key": .string(user.text), "content": content, "depth": .integer(last.depth + 1),
                        "prev_events": [.string(last.id.text)],
                        "auth_events": .array(auth.map { .string($0.id.text) }),
                    ],
                ])
            var answer = extra
            answer["state"] = .array(state.map { JSONValue($0.document.root) })
            answer["auth_chain"] = .array((before + [join]).map { JSONValue($0.document.root) })
            let (name, key, version) = (h.name, h.key, version)
            h.answer("/send_join/") { [answer] body in
                let join = try PDU(parsing: body, version: version)
                let signed = try join.adding(
                    signature: EventSignatures.signature(of: join, by: key), of: name, keyID: HandmadeServer.keyID)
                var answer = answer
                answer["event"] = JSONValue(signed.document.root)
                return .object(answer)
            }
        }

        /// Lets a user in by way of Eve's server.
        func join(_ client: TestHomeserver.Client) async throws {
            try await client.ask(.post, "/_matrix/client/v3/join/\(percent(room.text))?via=h.test", [:])
        }
    }

    @Test(arguments: [("11", true), ("11", false), ("12", true)])
    func `an old state that is told does not take the place of what is known`(
        _ version: String, claimsToKnow: Bool
    ) async throws {
        try await Scene.play(version) { scene in
            let (servers, room) = (scene.servers, scene.room)
            // Nobody of b.test can say who is in this room.
            let club = try await servers.alice.createRoom("11")
            let rules = try await servers.alice.set(
                "m.room.join_rules",
                [
                    "join_rule": "restricted",
                    "allow": [["type": "m.room_membership", "room_id": .string(club.text)]],
                ], room)
            let last = try #require(try await servers.a.event(rules)).pdu
            try await servers.alice.set("m.room.topic", ["topic": "new"], room)
            let name = try await servers.alice.set("m.room.name", ["name": "New"], room)
            try await servers.agree(room)

            let brenda = try await servers.b.register("brenda")
            let old = scene.before.filter { $0.type != .joinRules } + [last, scene.join]
            scene.takeIn(brenda.user, after: last, state: old, ["members_omitted": false])
            // It says of all that b.test has that it has it too.
            if claimsToKnow { scene.h.answer("/event/", ["pdus": []]) }
            try await scene.join(brenda)
            #expect(servers.network.paths.contains { $0.hasPrefix("h.test/") && $0.contains("/send_join/") })

            let state = try await servers.b.state(room)
            #expect(state[StateKey(.name, "")] == name && state[StateKey(.topic, "")] != nil)
            #expect(try await servers.b.membership(brenda.user, room) == .join)
            #expect(try await servers.b.membership(servers.bob.user, room) == .join)
            // Who does not know what was newest here cannot have told all of the join.
            if !claimsToKnow {
                try await eventually { try await servers.a.membership(brenda.user, room) == .join }
            }
            try await brenda.say("hello", room)
            try await eventually { try await servers.a.messages(room) == ["hello"] }
            #expect(try await servers.a.membership(brenda.user, room) == .join)
            try await servers.agree(room)
        }
    }

    @Test func `whoever is in the room is told, and knows the same`() async throws {
        try await TwoServers.run { servers in
            let c = try await TestHomeserver("c.test", on: servers.network)
            let carol = try await c.register("carol")
            let brenda = try await servers.b.register("brenda")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await c.instance.run() }
                let club = try await servers.sharedRoom("11")
                for client in [carol, brenda] { try await client.join(club, via: servers.a) }
                try await eventually { try await servers.a.membership(brenda.user, club) == .join }
                let room = try await servers.alice.restricted(
                    to: club, "12", ["power_level_content_override": ["invite": 50]])
                for client in [servers.bob, carol] { try await client.join(room, via: servers.a) }
                try await servers.agree(room)

                // Bob is there and may not invite, so that Alice's server vouches.
                try await brenda.join(room, via: servers.a)
                let id = try #require(try await servers.b.state(room)[StateKey(.member, brenda.user.text)])
                let join = try #require(try await servers.b.event(id))
                #expect(join.pdu.content["join_authorised_via_users_server"]?.string == servers.alice.user.text)
                #expect(join.position != nil)
                try await eventually { try await c.membership(brenda.user, room) == .join }
                try await servers.agree(room)
                try await servers.agree(room, on: c)
                try await brenda.say("hello", room)
                for server in [servers.a, c] {
                    try await eventually { try await server.messages(room) == ["hello"] }
                }
                group.cancelAll()
            }
        }
    }

    @Test(arguments: ["members_omitted", "org.matrix.msc3706.partial_state"])
    func `a resident that leaves out the members unasked is not believed`(_ name: String) async throws {
        try await Scene.play("11") { scene in
            let (servers, room) = (scene.servers, scene.room)
            // Eve's server does not have this, so that b.test wants to merge it with the whole state.
            try await servers.bob.act("leave", room)
            try await eventually {
                try await servers.b.environment.database.read { connection in
                    try ["a.test", "h.test"].allSatisfy {
                        try Outbox(connection).pendingPDUs(for: $0, limit: 1).isEmpty
                    }
                }
            }
            let state = scene.before + [scene.join]
            scene.takeIn(
                servers.bob.user, after: scene.join, state: state.filter { $0.type != .member },
                [name: true, "servers_in_room": ["a.test", "h.test"]])
            servers.network.set { request in
                request.host == "a.test" && request.pathAndQuery.contains("/make_join/") ? .unreachable : .delivered
            }
            await #expect(throws: MatrixError.self) { try await scene.join(servers.bob) }
            #expect(
                servers.network.paths.contains { $0.hasPrefix("h.test/") && $0.contains("omit_members=false") })
            #expect(try await servers.b.reader.record(room)?.isPartial == false)
            #expect(try await servers.b.membership(servers.bob.user, room) == .leave)
        }
    }
}
