import HTTPMessages
import HTTPTypes
import Homeserver
import MatrixAPI
import MatrixModel
import Testing

@Suite("Spaces") struct SpaceTests {
    private func space(_ client: TestHomeserver.Client, _ name: String) async throws -> RoomID {
        try await client.createRoom("12", ["name": .string(name), "creation_content": ["type": "m.space"]])
    }

    private func add(
        _ child: RoomID, to space: RoomID, by client: TestHomeserver.Client, via server: String,
        order: String? = nil, suggested: Bool = false
    ) async throws {
        var content: JSONValue = ["via": [.string(server)], "suggested": .bool(suggested)]
        if let order { content["order"] = .string(order) }
        try await client.set("m.space.child", content, space, key: child.text)
    }

    private func ask(
        _ client: TestHomeserver.Client, _ root: RoomID, _ query: String = ""
    ) async throws -> (rooms: [JSONValue], next: String?) {
        let answer = try await client.ask(.get, "/_matrix/client/v1/rooms/\(percent(root.text))/hierarchy?\(query)")
        return (answer["rooms"]?.array ?? [], answer["next_batch"]?.string)
    }

    private func names(_ rooms: [JSONValue]) -> [String] { rooms.map { $0["name"]?.string ?? "" } }

    @Test func `a space is shown depth first in its order, page by page, without what the user may not see`()
        async throws
    {
        try await TwoServers.run { servers in
            let (alice, eve) = (servers.alice, try await servers.a.register("eve"))
            let root = try await space(alice, "root")
            let inner = try await space(alice, "inner")
            let open = try await alice.createRoom("12", ["name": "open"])
            let secret = try await alice.createRoom("12", ["name": "secret", "preset": "private_chat"])
            let deep = try await alice.createRoom("12", ["name": "deep"])
            let club = try await alice.restricted(to: open, "12", ["name": "club"])
            try await add(open, to: root, by: alice, via: "a.test", order: "b")
            try await add(inner, to: root, by: alice, via: "a.test", order: "a", suggested: true)
            try await add(secret, to: root, by: alice, via: "a.test")
            try await add(club, to: root, by: alice, via: "a.test", order: "c")
            try await add(deep, to: inner, by: alice, via: "a.test", suggested: true)
            // A space that holds itself ends all the same.
            try await add(root, to: inner, by: alice, via: "a.test")

            #expect(names(try await ask(alice, root).rooms) == ["root", "inner", "deep", "open", "club", "secret"])
            #expect(names(try await ask(eve, root).rooms) == ["root", "inner", "deep", "open"])
            try await eve.join(open, via: servers.a)
            #expect(names(try await ask(eve, root).rooms) == ["root", "inner", "deep", "open", "club"])
            #expect(names(try await ask(eve, root, "max_depth=1").rooms) == ["root", "inner", "open", "club"])
            #expect(names(try await ask(eve, root, "max_depth=0").rooms) == ["root"])
            #expect(names(try await ask(alice, root, "suggested_only=true").rooms) == ["root", "inner", "deep"])

            var seen: [String] = []
            var from: String?
            repeat {
                let page = try await ask(alice, root, "limit=2&max_depth=3" + (from.map { "&from=\($0)" } ?? ""))
                #expect(page.rooms.count <= 2)
                seen += names(page.rooms)
                from = page.next
            } while from != nil
            #expect(seen == ["root", "inner", "deep", "open", "club", "secret"])
            let first = try await ask(alice, root, "limit=2&max_depth=3")
            let token = try #require(first.next)
            for query in ["from=\(token)&max_depth=2", "from=\(token)&suggested_only=true", "from=h9", "limit=0"] {
                let error = await #expect(throws: MatrixError.self) { try await ask(alice, root, query) }
                #expect(error?.code == .invalidParameter)
            }
            let entry = try #require(first.rooms.first)
            #expect(entry["room_type"]?.string == "m.space" && entry["room_version"]?.string == "12")
            #expect(entry["num_joined_members"]?.integer == 1)
            let children = entry["children_state"]?.array ?? []
            #expect(children.map { $0["state_key"]?.string } == [inner, open, club, secret].map(\.text))
            #expect(children.allSatisfy { $0["origin_server_ts"]?.integer != nil && $0["event_id"] == nil })

            let error = await #expect(throws: MatrixError.self) { try await ask(eve, secret) }
            #expect(error?.code == .forbidden)
            let unknown = try RoomID("!nowhere:a.test")
            #expect(await #expect(throws: MatrixError.self) { try await ask(eve, unknown) }?.code == .forbidden)
        }
    }

    @Test func `what is of another server is asked there, once`() async throws {
        try await TwoServers.run { servers in
            let (alice, bob) = (servers.alice, servers.bob)
            let root = try await space(bob, "root")
            let far = try await space(alice, "far")
            let open = try await alice.createRoom("12", ["name": "open"])
            let secret = try await alice.createRoom("12", ["name": "secret", "preset": "private_chat"])
            let shared = try await alice.createRoom("12", ["name": "invited", "preset": "private_chat"])
            try await alice.act("invite", shared, on: bob.user)
            try await add(far, to: root, by: bob, via: "a.test")
            for (room, order) in [(open, "a"), (secret, "b"), (shared, "c")] {
                try await add(room, to: far, by: alice, via: "a.test", order: order)
            }
            #expect(names(try await ask(bob, root).rooms) == ["root", "far", "open", "invited"])
            let asked = servers.network.paths.filter { $0.contains("/federation/v1/hierarchy/") }
            #expect(asked.count == 1)
            #expect(names(try await ask(bob, root).rooms) == ["root", "far", "open", "invited"])
            #expect(servers.network.paths.filter { $0.contains("/federation/v1/hierarchy/") }.count == 1)

            let evil = try HandmadeServer("evil.test", on: servers.network)
            func told(_ room: RoomID) async throws -> (status: Int, body: JSONView) {
                try await evil.ask(servers.a, .get, "/_matrix/federation/v1/hierarchy/\(percent(room.text))")
            }
            let answer = try await told(far)
            #expect(answer.status == 200)
            #expect(answer.body["children"]?.elements.map { $0["name"]?.string } == ["open"])
            #expect(
                Set(answer.body["inaccessible_children"]?.elements.map { $0.string ?? "" } ?? [])
                    == [secret.text, shared.text])
            #expect(try await told(secret).status == 404)
            try await alice.set(
                "m.room.server_acl", ["allow": ["*"], "deny": ["evil.test"], "allow_ip_literals": true], far)
            #expect(try await told(far).status == 404)
        }
    }

    @Test func `a room is summed up for who may see it, here and elsewhere`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("11", ["name": "Tea", "room_alias_name": "tea"])
            let secret = try await servers.alice.createRoom("11", ["preset": "private_chat"])
            func path(_ name: String) -> String {
                "/_matrix/client/v1/room_summary/\(percent(name))?via=a.test"
            }
            for name in [room.text, "#tea:a.test"] {
                let summary = try await servers.bob.ask(.get, path(name))
                #expect(summary["room_id"]?.string == room.text && summary["name"]?.string == "Tea")
                #expect(summary["join_rule"]?.string == "public" && summary["room_version"]?.string == "11")
                #expect(summary["membership"] == nil)
            }
            #expect(try await servers.alice.ask(.get, path(room.text))["membership"]?.string == "join")
            #expect(try await servers.a.ask(.get, path(room.text))["name"]?.string == "Tea")
            let error = await #expect(throws: MatrixError.self) {
                try await servers.bob.ask(.get, path(secret.text))
            }
            #expect(error?.code == .notFound)
        }
    }

    @Test func `a restricted room's summary names the rooms that let in, and these show it elsewhere`() async throws {
        try await TwoServers.run { servers in
            let club = try await servers.alice.createRoom("12")
            let room = try await servers.alice.restricted(to: club)
            let path = "/_matrix/client/v1/room_summary/\(percent(room.text))?via=a.test"
            #expect(try await servers.alice.ask(.get, path)["allowed_room_ids"] == [.string(club.text)])
            try await servers.bob.join(club, via: servers.a)
            // Bob's server knows by these alone that he may see the room.
            #expect(try await servers.bob.ask(.get, path)["allowed_room_ids"] == [.string(club.text)])
            // The paths of before the summary was in the specification.
            for old in ["summary/\(percent(room.text))", "rooms/\(percent(room.text))/summary"] {
                let summary = try await servers.bob.ask(
                    .get, "/_matrix/client/unstable/im.nheko.summary/\(old)?via=a.test")
                #expect(summary["room_id"]?.string == room.text && summary["join_rule"] == "restricted")
                #expect(summary["im.nheko.summary.room_version"] == "12" && summary["im.nheko.summary.version"] == "12")
                #expect(summary["im.nheko.summary.encryption"] == summary["encryption"])
            }
        }
    }
}
