import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import Testing

/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>
@Suite("Erasure") struct ErasureTests {
    private static func deactivate(_ client: TestHomeserver.Client, erase: Bool) async throws {
        try await client.ask(
            .post, "/_matrix/client/v3/account/deactivate",
            [
                "erase": .bool(erase),
                "auth": [
                    "type": "m.login.password", "password": "secret",
                    "identifier": ["type": "m.id.user", "user": .string(client.user.localpart)],
                ],
            ])
    }

    /// What a client reads of a room: bodies of messages, `-` for those without.
    private static func bodies(_ client: TestHomeserver.Client, _ room: RoomID) async throws -> [String] {
        let answer = try await client.ask(
            .get, "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=100")
        return (answer["chunk"]?.elements ?? []).filter { $0["type"] == "m.room.message" }
            .map { $0["content"]?["body"]?.string ?? "-" }.reversed()
    }

    @Test func `who was not there reads nothing of it`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            let carol = try await servers.a.register("carol")
            let dave = try await servers.a.register("dave")
            try await dave.join(room, via: servers.a)
            let secret = try await servers.alice.say("secret", room)
            try await eventually { try await servers.b.messages(room) == ["secret"] }
            try await servers.bob.say("mine stays", room)
            try await eventually { try await servers.a.messages(room).count == 2 }
            try await carol.join(room, via: servers.a)
            #expect(try await Self.bodies(carol, room) == ["secret", "mine stays"])

            try await Self.deactivate(servers.alice, erase: true)
            try await eventually { try await Self.bodies(carol, room) == ["-", "mine stays"] }
            #expect(try await Self.bodies(dave, room) == ["secret", "mine stays"])
            let one = try await carol.ask(
                .get, "/_matrix/client/v3/rooms/\(percent(room.text))/event/\(percent(secret.text))")
            #expect(one["content"] == [:])
            let sync = try await carol.ask(.get, "/_matrix/client/v3/sync")
            let text = String(decoding: sync.serialized(), as: UTF8.self)
            #expect(!text.contains("secret"))
            #expect(text.contains("mine stays"))

            // A server that comes now is given it redacted, the one that was there is not.
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let (join, _) = try await evil.join(try UserID("@mallory:evil.test"), room, on: servers.a)
            let path = "/_matrix/federation/v1/event/\(percent(secret.text))"
            let given = try await evil.ask(servers.a, .get, path)
            let pdus = try (given.body["pdus"]?.elements ?? []).map { try PDU(parsing: $0, version: join.version) }
            #expect(pdus.map(\.id) == [secret])
            #expect(pdus.first?.content.members.isEmpty == true)
            #expect(try await Self.bodies(servers.bob, room) == ["secret", "mine stays"])
        }
    }

    @Test func `an account that only ends keeps its words`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            let (host, other) = (try await servers.a.register("host"), try await servers.a.register("other"))
            try await host.join(room, via: servers.a)
            try await servers.alice.say("lasting", room)
            try await Self.deactivate(servers.alice, erase: false)
            try await other.join(room, via: servers.a)
            #expect(try await Self.bodies(other, room) == ["lasting"])
        }
    }

    @Test func `only an administrator brings an account back`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        _ = try await server.confirmed(
            .post, "/_matrix/client/v3/account/deactivate", token: token, ["erase": true], user: "alice")
        let again = try await server.call(
            .post, "/_matrix/client/v3/register",
            ["username": "alice", "password": "secret", "auth": ["type": "m.login.dummy"]])
        #expect(again.errcode == "M_USER_IN_USE")
        let administration = AccountAdministration(environment: server.environment)
        try await administration.reactivate("alice", password: "other")
        #expect(try await server.logIn("alice").status == 403)
        #expect(try await server.logIn("alice", password: "other").status == 200)
        await #expect(throws: AccountAdministration.Refusal.notDeactivated("alice")) {
            try await administration.reactivate("alice", password: "x")
        }
    }
}
