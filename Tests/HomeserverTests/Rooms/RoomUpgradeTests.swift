import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@Suite("Upgrading rooms") struct RoomUpgradeTests {
    let alice = RoomFixture.alice
    let bob = RoomFixture.bob
    private let carol = "@carol:test"

    private func upgrade(
        _ clients: RoomClients, _ room: RoomID, by user: UserID, _ body: JSONValue
    ) async throws -> RoomID {
        let answer = try await clients.call(user, .post, "rooms/\(RoomClients.path(room.text))/upgrade", body)
        try #require(answer.status == 200, "\(answer.body)")
        return try RoomID(answer["replacement_room"]?.string ?? "")
    }

    private func set(
        _ clients: RoomClients, _ room: RoomID, by user: UserID, _ type: String, _ key: String = "",
        _ content: JSONValue
    ) async throws {
        let path = "rooms/\(RoomClients.path(room.text))/state/\(RoomClients.path(type, key))"
        let answer = try await clients.call(user, .put, path, content)
        try #require(answer.status == 200, "\(type): \(answer.body)")
    }

    @Test(arguments: RoomVersion.all, [RoomVersion.v1, .v6, .v11, .v12])
    func `a room of every version can become one of another`(from: RoomVersion, to: RoomVersion) async throws {
        let clients = RoomClients(try await RoomFixture())
        let room = try await clients.room(
            alice,
            [
                "preset": "public_chat", "room_version": .string(from.text), "name": "Tea", "topic": "Oolong",
                "room_alias_name": "tea", "creation_content": ["m.federate": false, "type": "m.space"],
            ])
        let base = "rooms/\(RoomClients.path(room.text))"
        try await set(clients, room, by: alice, "m.room.server_acl", "", ["allow": ["*"], "deny": ["evil.test"]])
        try await set(clients, room, by: alice, "m.space.child", "!child:test", ["via": ["test"]])
        try await set(clients, room, by: alice, "m.space.child", "!gone:test", [:])
        try await set(clients, room, by: alice, "org.example.own", "", ["x": 1])
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))")
        _ = try await clients.call(alice, .post, "\(base)/ban", ["user_id": .string(carol), "reason": "spam"])

        let new = try await upgrade(clients, room, by: alice, ["new_version": .string(to.text)])
        let create = try await clients.state(new, .create)
        #expect(create?["room_version"]?.string == to.text)
        #expect(create?["predecessor"]?["room_id"]?.string == room.text)
        #expect(create?["type"] == "m.space" && create?["m.federate"] == false)
        #expect(new.isHash == to.rules.roomIDIsCreateEventHash)
        #expect(try await clients.state(new, .name) == ["name": "Tea"])
        #expect(try await clients.state(new, .joinRules)?["join_rule"] == "public")
        #expect(try await clients.state(new, .serverACL)?["deny"] == ["evil.test"])
        #expect(try await clients.state(new, .spaceChild, "!child:test") == ["via": ["test"]])
        #expect(try await clients.state(new, .spaceChild, "!gone:test") == nil)
        #expect(try await clients.state(new, EventType("org.example.own")) == nil)
        #expect(try await clients.state(new, .member, carol)?["membership"] == "ban")
        #expect(try await clients.state(new, .member, bob.text) == nil, "nobody is carried over who did not ask")
        let users = try await clients.state(new, .powerLevels)?["users"]
        #expect(users?[alice.text] == (to.rules.authorization.privilegedCreators ? nil : 100))

        // The old room says where to go, and is quiet.
        #expect(try await clients.state(room, .tombstone)?["replacement_room"]?.string == new.text)
        #expect(try await clients.state(room, .canonicalAlias) == [:])
        #expect(try await clients.state(new, .canonicalAlias)?["alias"] == "#tea:test")
        let levels = try await clients.state(room, .powerLevels)
        #expect(levels?["events_default"] == 50 && levels?["invite"] == 50)
        let found = try await clients.call(nil, .get, "directory/room/\(RoomClients.path("#tea:test"))")
        #expect(found["room_id"]?.string == new.text)
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(new.text))")
        #expect(try await clients.state(new, .member, bob.text)?["membership"] == "join")
    }

    /// Who may upgrade a room need not be its admin, and does not become one before version 12.
    @Test func `a moderator who upgrades a room has no more power there`() async throws {
        let clients = RoomClients(try await RoomFixture())
        let levels: JSONValue = [
            "users": .object([alice.text: 100, bob.text: 50]), "events": ["m.room.tombstone": 50, "m.room.name": 80],
        ]
        let room = try await clients.room(
            alice,
            [
                "preset": "public_chat", "room_version": "10", "name": "Tea", "power_level_content_override": levels,
            ])
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))")
        let before = try await clients.state(room, .powerLevels)
        let new = try await upgrade(clients, room, by: bob, ["new_version": "11"])
        #expect(try await clients.state(new, .powerLevels) == before)
        #expect(try await clients.state(new, .name) == ["name": "Tea"])
        let path = "rooms/\(RoomClients.path(new.text))/state/m.room.name"
        #expect(try await clients.call(bob, .put, path, ["name": "Mine"]).status == 403)
    }

    @Test func `levels written as texts become integers`() async throws {
        let clients = RoomClients(try await RoomFixture())
        let room = try await clients.room(alice, ["preset": "public_chat", "room_version": "9"])
        try await set(
            clients, room, by: alice, "m.room.power_levels", "",
            [
                "users": .object([alice.text: "100", bob.text: "+050"]), "ban": " 60 ", "events": ["m.room.name": "70"],
                "notifications": ["room": "20"], "invite": "60",
            ])
        let new = try await upgrade(clients, room, by: alice, ["new_version": "11"])
        let levels = try await clients.state(new, .powerLevels)
        #expect(levels?["users"] == .object([alice.text: 100, bob.text: 50]))
        #expect(levels?["ban"] == 60 && levels?["events"]?["m.room.name"] == 70)
        #expect(levels?["notifications"] == ["room": 20])
        // What was above 50 already is not lowered.
        #expect(try await clients.state(room, .powerLevels)?["invite"] == "60")
    }

    @Test func `additional creators are those of the request, in versions that have them`() async throws {
        let clients = RoomClients(try await RoomFixture())
        let room = try await clients.room(
            alice,
            [
                "preset": "public_chat", "room_version": "12",
                "creation_content": ["additional_creators": .array([.string(carol)])],
            ])
        let base = "rooms/\(RoomClients.path(room.text))"
        let malformed: JSONValue = ["new_version": "12", "additional_creators": ["bob"]]
        #expect(try await clients.call(alice, .post, "\(base)/upgrade", malformed).status == 400)
        let creators: JSONValue = .array([.string(bob.text), .string(alice.text), .string(bob.text)])
        let new = try await upgrade(clients, room, by: alice, ["new_version": "12", "additional_creators": creators])
        #expect(try await clients.state(new, .create)?["additional_creators"] == .array([.string(bob.text)]))
        #expect(try await clients.state(new, .powerLevels)?["users"]?[bob.text] == nil)

        // Before, the field is ignored, and who was above all levels has the highest.
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(new.text))")
        let old = try await upgrade(clients, new, by: bob, ["new_version": "11", "additional_creators": ["nobody"]])
        #expect(try await clients.state(old, .create)?["additional_creators"] == nil)
        let users = try await clients.state(old, .powerLevels)?["users"]
        #expect(users?[alice.text] == 100 && users?[bob.text] == 100)
    }

    @Test func `who joins takes tags, direct chats and silence along`() async throws {
        let server = try await RoomFixture()
        let clients = RoomClients(server)
        let room = try await clients.room(alice, ["preset": "public_chat", "room_version": "11"])
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(room.text))")
        let sealer = server.reader.sealer
        let mute: JSONValue = [
            "actions": [],
            "conditions": [["kind": "event_match", "key": "room_id", "pattern": .string(room.text)]],
        ]
        let (user, friend) = (bob, alice)
        try await server.reader.database.write { connection in
            let store = AccountDataStore(connection, sealer)
            _ = try store.set("m.tag", Array(#"{"tags":{"m.favourite":{}}}"#.utf8), of: user, room: room)
            let direct = JSONValue.object([friend.text: .array([.string(room.text)])])
            _ = try store.set("m.direct", direct.serialized(), of: user)
            var rules = PushRuleset(user: user)
            try rules.put(PushRule(.override, id: room.text, mute))
            try rules.put(PushRule(.room, id: room.text, ["actions": ["notify"]]))
            _ = try store.set("m.push_rules", rules.content.serialized(), of: user)
        }
        let new = try await upgrade(clients, room, by: alice, ["new_version": "12"])
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(new.text))")

        // A room that calls itself the successor, and is not.
        let pretender = try await clients.room(
            alice,
            [
                "preset": "public_chat",
                "creation_content": ["predecessor": ["room_id": .string(room.text), "event_id": "$x"]],
            ])
        _ = try await clients.call(bob, .post, "join/\(RoomClients.path(pretender.text))")

        try await server.reader.database.read { connection in
            let store = AccountDataStore(connection, sealer)
            let tags = try store.content("m.tag", of: user, room: new).map { String(decoding: $0, as: UTF8.self) }
            #expect(tags == #"{"tags":{"m.favourite":{}}}"#)
            #expect(try store.content("m.tag", of: user, room: pretender) == nil)
            let direct = try store.content("m.direct", of: user).map { try JSONValue.parse($0) }
            #expect(direct == .object([friend.text: .array([.string(room.text), .string(new.text)])]))
            let rules = try #require(try store.pushRules(of: [user])[user])
            #expect(rules.rule(.override, new.text)?.json["conditions"]?.elements.first?["pattern"]?.string == new.text)
            #expect(rules.rule(.room, new.text) != nil)
            #expect(rules.rule(.override, room.text) != nil)
            #expect(rules.rule(.room, pretender.text) == nil)
        }
    }
}
