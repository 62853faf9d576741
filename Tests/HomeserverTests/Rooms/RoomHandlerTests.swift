import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@Suite("Rooms over the client API") struct RoomHandlerTests {
    let alice = RoomFixture.alice
    let bob = RoomFixture.bob

    private func clients() async throws -> RoomClients { RoomClients(try await RoomFixture()) }

    // MARK: createRoom

    @Test func `a private room has the spec's defaults and is encrypted`() async throws {
        let clients = try await clients()
        let room = try await clients.room(alice, ["name": "Tea", "topic": "Oolong"])
        #expect(room.isHash)
        #expect(try await clients.state(room, .joinRules) == ["join_rule": "invite"])
        #expect(try await clients.state(room, .guestAccess) == ["guest_access": "can_join"])
        #expect(try await clients.state(room, .historyVisibility) == ["history_visibility": "shared"])
        #expect(try await clients.state(room, .encryption) == ["algorithm": "m.megolm.v1.aes-sha2"])
        #expect(try await clients.state(room, .name) == ["name": "Tea"])
        #expect(try await clients.state(room, .topic)?["topic"] == "Oolong")
        let levels = try await clients.state(room, .powerLevels)
        #expect(levels?["users"] == [:] && levels?["events"]?["m.room.tombstone"] == 150 && levels?["invite"] == 0)
    }

    @Test func `a published room is public, not encrypted, and has its alias`() async throws {
        let clients = try await clients()
        let room = try await clients.room(
            alice, ["visibility": "public", "room_alias_name": "tea", "room_version": "10"])
        #expect(try await clients.state(room, .joinRules) == ["join_rule": "public"])
        #expect(try await clients.state(room, .encryption) == nil)
        #expect(try await clients.state(room, .canonicalAlias) == ["alias": "#tea:test"])
        #expect(try await clients.state(room, .powerLevels)?["users"] == .object([alice.text: 100]))
        #expect(try await clients.state(room, .create)?["creator"] == .string(alice.text))
        #expect(try await clients.server.reader.record(room)?.isPublished == true)

        let again = try await clients.call(alice, .post, "createRoom", ["room_alias_name": "tea"])
        #expect(again.status == 400 && again.errcode == "M_ROOM_IN_USE")
        #expect(try await clients.call(alice, .get, "joined_rooms")["joined_rooms"] == [.string(room.text)])
    }

    @Test func `trusted invitees are creators in version 12 and have 100 before`() async throws {
        let clients = try await clients()
        let body: JSONValue = ["preset": "trusted_private_chat", "invite": [.string(bob.text)], "is_direct": true]
        let new = try await clients.room(alice, body)
        #expect(try await clients.state(new, .create)?["additional_creators"] == [.string(bob.text)])
        #expect(try await clients.state(new, .member, bob.text)?["is_direct"] == true)
        var older = body
        older["room_version"] = "11"
        let old = try await clients.room(alice, older)
        #expect(try await clients.state(old, .create)?["additional_creators"] == nil)
        #expect(try await clients.state(old, .powerLevels)?["users"]?[bob.text] == 100)
    }

    @Test func `initial state, level overrides and creation content are heeded`() async throws {
        let clients = try await clients()
        let room = try await clients.room(
            alice,
            [
                "creation_content": ["type": "m.space", "m.federate": false, "room_version": "1"],
                "power_level_content_override": ["events_default": 50],
                "initial_state": [
                    ["type": "m.room.join_rules", "content": ["join_rule": "knock"]],
                    ["type": "x.own", "state_key": "k", "content": ["a": 1]],
                ],
            ])
        let create = try await clients.state(room, .create)
        #expect(create?["room_version"] == "12" && create?["type"] == "m.space" && create?["m.federate"] == false)
        #expect(try await clients.state(room, .joinRules) == ["join_rule": "knock"])
        #expect(try await clients.state(room, EventType("x.own"), "k") == ["a": 1])
        #expect(try await clients.state(room, .powerLevels)?["events_default"] == 50)
        #expect(try await clients.state(room, .encryption) == nil)
    }

    @Test(
        arguments: [
            (["room_version": "99"], "M_UNSUPPORTED_ROOM_VERSION"), (["preset": "x"], "M_INVALID_PARAM"),
            (["name": 5], "M_BAD_JSON"), (["invite": ["bob"]], "M_INVALID_PARAM"),
            (["invite_3pid": [["medium": "email"]]], "M_MISSING_PARAM"),
            (["room_alias_name": "a:b"], "M_INVALID_PARAM"),
            (["initial_state": [["content": [:]]]], "M_BAD_JSON"),
            (["creation_content": ["additional_creators": "x"]], "M_BAD_JSON"),
            (["power_level_content_override": ["users": ["@alice:test": 100]]], "M_INVALID_ROOM_STATE"),
            (["power_level_content_override": ["ban": 1.5]], "M_BAD_JSON"),
        ] as [(JSONValue, String)])
    func `what cannot be made is refused with the spec's code`(body: JSONValue, code: String) async throws {
        let clients = try await clients()
        let answer = try await clients.call(alice, .post, "createRoom", body)
        #expect(answer.status == 400 && answer.errcode == code)
        #expect(try await clients.call(alice, .get, "joined_rooms")["joined_rooms"] == [])
    }

    // MARK: Sending

    @Test(arguments: ["1", "2", "3", "10", "11", "12"])
    func `a redaction can be sent like any event in all versions`(version: String) async throws {
        let clients = try await clients()
        let room = try await clients.room(alice, ["room_version": .string(version)])
        let sent = try await clients.call(
            alice, .put, "rooms/\(RoomClients.path(room.text))/send/m.room.message/1", ["body": "x"])
        let id = try EventID(sent["event_id"]?.string ?? "")
        for (path, body) in [
            ("send/m.room.redaction/2", ["redacts": .string(id.text)] as JSONValue),
            ("redact/\(RoomClients.path(id.text))/3", ["reason": "y"]),
        ] {
            let answer = try await clients.call(alice, .put, "rooms/\(RoomClients.path(room.text))/\(path)", body)
            #expect(answer.status == 200)
            let redaction = try await clients.server.reader.event(EventID(answer["event_id"]?.string ?? ""))
            #expect(redaction?.pdu.redacts == id)
        }
        #expect(try await clients.server.reader.event(id)?.pdu.content["body"] == nil)
    }

    @Test func `the same transaction id has the same answer, another path another`() async throws {
        let clients = try await clients()
        let room = try await clients.room(alice)
        let base = "rooms/\(RoomClients.path(room.text))/send"
        let first = try await clients.call(alice, .put, "\(base)/m.room.message/1", ["body": "x"])
        let again = try await clients.call(alice, .put, "\(base)/m.room.message/1", ["body": "other"])
        let other = try await clients.call(alice, .put, "\(base)/m.sticker/1", ["body": "x"])
        #expect(first.status == 200 && first["event_id"] == again["event_id"] && first["event_id"] != other["event_id"])
    }

    @Test func `strangers get 403, floats 400, and state needs its level`() async throws {
        let clients = try await clients()
        let room = try await clients.room(alice, ["preset": "public_chat"])
        let base = "rooms/\(RoomClients.path(room.text))"
        let stranger = try await clients.call(bob, .put, "\(base)/send/m.room.message/1", ["body": "x"])
        #expect(stranger.status == 403 && stranger.errcode == "M_FORBIDDEN")
        let float = try await clients.call(alice, .put, "\(base)/send/m.room.message/1", ["body": 0.5])
        #expect(float.status == 400 && float.errcode == "M_BAD_JSON")
        _ = try await clients.call(bob, .post, "\(base)/join")
        #expect(try await clients.call(bob, .put, "\(base)/state/m.room.name", ["name": "b"]).status == 403)
        #expect(try await clients.call(alice, .put, "\(base)/state/m.room.name", ["name": "a"]).status == 200)
        #expect(try await clients.state(room, .name) == ["name": "a"])
        let alias = try await clients.call(
            alice, .put, "\(base)/state/m.room.canonical_alias/", ["alias": "#no:test"])
        #expect(alias.status == 400 && alias.errcode == "M_BAD_ALIAS")
    }

    // MARK: Memberships

    @Test func `an invited user joins, leaves, is banned, unbanned and forgets`() async throws {
        let clients = try await clients()
        let room = try await clients.room(alice)
        let base = "rooms/\(RoomClients.path(room.text))"
        func membership() async throws -> Membership? {
            try await clients.server.reader.membership(of: bob, in: room)?.membership
        }
        #expect(try await clients.call(bob, .post, "\(base)/join").status == 403)
        let invite = try await clients.call(alice, .post, "\(base)/invite", ["user_id": .string(bob.text)])
        #expect(invite.status == 200)
        #expect(try await membership() == .invite)
        #expect(
            try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))")["room_id"]?.string == room.text)
        #expect(try await clients.call(bob, .post, "\(base)/forget").status == 400)
        #expect(try await clients.call(bob, .post, "\(base)/kick", ["user_id": .string(alice.text)]).status == 403)
        #expect(try await clients.call(bob, .post, "\(base)/leave", ["reason": "tea"]).status == 200)
        #expect(try await clients.state(room, .member, bob.text)?["reason"] == "tea")
        #expect(try await clients.call(bob, .post, "\(base)/leave").status == 200)
        #expect(try await clients.call(alice, .post, "\(base)/kick", ["user_id": .string(bob.text)]).status == 403)
        #expect(try await clients.call(alice, .post, "\(base)/unban", ["user_id": .string(bob.text)]).status == 403)
        #expect(try await clients.call(alice, .post, "\(base)/ban", ["user_id": .string(bob.text)]).status == 200)
        #expect(try await membership() == .ban)
        #expect(try await clients.call(alice, .post, "\(base)/unban", ["user_id": .string(bob.text)]).status == 200)
        #expect(try await clients.call(bob, .post, "\(base)/forget").status == 200)
        let known = try await clients.server.environment.database.read { try RoomStore($0).memberships(of: bob) }
        #expect(known.isEmpty)
        _ = try await clients.call(alice, .post, "\(base)/invite", ["user_id": .string(bob.text)])
        let back = try await clients.server.environment.database.read { try RoomStore($0).memberships(of: bob) }
        #expect(back.map(\.membership) == [.invite])
    }

    @Test func `members of an allowed room may join a restricted one, others not`() async throws {
        let clients = try await clients()
        let space = try await clients.room(alice, ["preset": "public_chat"])
        let rule: JSONValue = [
            "join_rule": "restricted", "allow": [["type": "m.room_membership", "room_id": .string(space.text)]],
        ]
        let room = try await clients.room(
            alice, ["initial_state": [["type": "m.room.join_rules", "content": rule]]])
        #expect(try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))").status == 403)
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(space.text))")
        #expect(try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))").status == 200)
        let member = try await clients.state(room, .member, bob.text)
        #expect(member?["join_authorised_via_users_server"] == .string(alice.text))
    }

    @Test func `a knock is let in by an invite`() async throws {
        let clients = try await clients()
        let room = try await clients.room(
            alice, ["initial_state": [["type": "m.room.join_rules", "content": ["join_rule": "knock"]]]])
        let knock = try await clients.call(bob, .post, "knock/\(RoomClients.path(room.text))", ["reason": "please"])
        #expect(knock.status == 200)
        #expect(try await clients.state(room, .member, bob.text)?["membership"] == "knock")
        let base = "rooms/\(RoomClients.path(room.text))"
        #expect(
            try await clients.call(alice, .post, "\(base)/invite", ["user_id": .string(bob.text)]).status == 200)
        #expect(try await clients.call(bob, .post, "\(base)/join").status == 200)
    }

    @Test func `guests join only where they may`() async throws {
        let clients = try await clients()
        let guest = try UserID("@guest1:test")
        let closed = try await clients.room(alice, ["preset": "public_chat"])
        let open = try await clients.room(
            alice,
            [
                "preset": "public_chat",
                "initial_state": [["type": "m.room.guest_access", "content": ["guest_access": "can_join"]]],
            ])
        let refused = try await clients.call(guest, .post, "rooms/\(RoomClients.path(closed.text))/join")
        #expect(refused.status == 403 && refused.errcode == "M_GUEST_ACCESS_FORBIDDEN")
        #expect(try await clients.call(guest, .post, "rooms/\(RoomClients.path(open.text))/join").status == 200)
    }

    @Test func `a room nobody here is in is asked for elsewhere, and else not found`() async throws {
        let clients = try await clients()
        let answer = try await clients.call(bob, .post, "join/\(RoomClients.path("!x:elsewhere"))")
        #expect(answer.status == 404)
        #expect(try await clients.call(bob, .post, "join/\(RoomClients.path("#x:test"))").status == 404)
        #expect(try await clients.call(bob, .post, "join/nonsense").errcode == "M_INVALID_PARAM")
    }

    // MARK: Aliases and upgrades

    @Test func `aliases are made by members, found by all and removed by who made them`() async throws {
        let clients = try await clients()
        let room = try await clients.room(alice, ["preset": "public_chat"])
        let path = "directory/room/\(RoomClients.path("#tea:test"))"
        let body: JSONValue = ["room_id": .string(room.text)]
        #expect(try await clients.call(bob, .put, path, body).status == 403)
        #expect(try await clients.call(alice, .put, path, body).status == 200)
        #expect(try await clients.call(alice, .put, path, body).status == 409)
        let found = try await clients.call(nil, .get, path)
        #expect(found["room_id"]?.string == room.text && found["servers"] == ["test"])
        let list = try await clients.call(alice, .get, "rooms/\(RoomClients.path(room.text))/aliases")
        #expect(list["aliases"] == ["#tea:test"])
        #expect(try await clients.call(bob, .get, "rooms/\(RoomClients.path(room.text))/aliases").status == 403)
        let base = "rooms/\(RoomClients.path(room.text))"
        _ = try await clients.call(alice, .put, "\(base)/state/m.room.canonical_alias", ["alias": "#tea:test"])
        #expect(try await clients.call(bob, .delete, path).status == 403)
        #expect(try await clients.call(alice, .delete, path).status == 200)
        #expect(try await clients.call(nil, .get, path).errcode == "M_NOT_FOUND")
        #expect(try await clients.state(room, .canonicalAlias) == [:])
    }

    @Test(arguments: ["10", "12"], ["11", "12"])
    func `an upgraded room points to its successor`(from: String, to: String) async throws {
        let clients = try await clients()
        let room = try await clients.room(
            alice, ["preset": "public_chat", "room_version": .string(from), "name": "Tea", "room_alias_name": "tea"])
        let path = "rooms/\(RoomClients.path(room.text))/upgrade"
        #expect(try await clients.call(bob, .post, path, ["new_version": .string(to)]).status == 403)
        #expect(
            try await clients.call(alice, .post, path, ["new_version": "x"]).errcode == "M_UNSUPPORTED_ROOM_VERSION")
        let answer = try await clients.call(alice, .post, path, ["new_version": .string(to)])
        let new = try RoomID(answer["replacement_room"]?.string ?? "")
        #expect(try await clients.state(room, .tombstone)?["replacement_room"]?.string == new.text)
        #expect(try await clients.state(new, .create)?["predecessor"]?["room_id"]?.string == room.text)
        #expect(try await clients.state(new, .name) == ["name": "Tea"])
        #expect(try await clients.state(new, .canonicalAlias)?["alias"] == "#tea:test")
        let found = try await clients.call(nil, .get, "directory/room/\(RoomClients.path("#tea:test"))")
        #expect(found["room_id"]?.string == new.text)
    }

    @Test func `a changed profile reaches the rooms, and who departs leaves them`() async throws {
        let clients = try await clients()
        let room = try await clients.room(alice, ["preset": "public_chat"])
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))")
        let memberships = MembershipEditing(writer: clients.server.writer, collaborators: RoomCollaborators())
        await memberships.profileChanged(of: bob, displayname: "Bobby", avatarURL: nil)
        #expect(try await clients.state(room, .member, bob.text)?["displayname"] == "Bobby")
        await memberships.leaveAllRooms(bob)
        #expect(try await clients.state(room, .member, bob.text)?["membership"] == "leave")
    }

    @Test func `the same annotation twice is refused, and a thread in a thread`() async throws {
        let clients = try await clients()
        let user = alice
        let room = try await clients.room(user)
        func send(_ type: String, _ transaction: String, _ content: JSONValue) async throws -> Answer {
            try await clients.call(
                user, .put, "rooms/" + RoomClients.path(room.text) + "/send/\(type)/\(transaction)", content)
        }
        let event = try await send("m.room.message", "1", ["body": "x"])["event_id"] ?? .null
        func relation(_ type: String, to event: JSONValue, _ key: String? = nil) -> JSONValue {
            ["m.relates_to": .fields(["rel_type": .string(type), "event_id": event, "key": key.map { .string($0) }])]
        }
        let plus = relation("m.annotation", to: event, "+")
        let reaction = try await send("m.reaction", "2", plus)
        #expect(reaction.status == 200)
        let again = try await send("m.reaction", "3", plus)
        #expect(again.status == 400)
        #expect(again.errcode == "M_DUPLICATE_ANNOTATION")
        #expect(try await send("m.reaction", "4", relation("m.annotation", to: event, "-")).status == 200)
        // A repeated request is not a second reaction.
        #expect(try await send("m.reaction", "2", plus).body == reaction.body)
        let id = reaction["event_id"]?.string ?? ""
        let redaction = try await clients.call(
            user, .put, "rooms/" + RoomClients.path(room.text, "redact", id, "5"), [:])
        #expect(redaction.status == 200)
        #expect(try await send("m.reaction", "6", plus).status == 200)

        let child = try await send("m.room.message", "7", relation("m.thread", to: event))["event_id"] ?? .null
        let nested = try await send("m.room.message", "8", relation("m.thread", to: child))
        #expect(nested.status == 400)
        #expect(nested.errcode == "M_UNKNOWN")
    }
}
