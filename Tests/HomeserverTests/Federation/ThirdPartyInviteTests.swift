import Cryptography
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@Suite("Invites to addresses") struct ThirdPartyInviteTests {
    private let identity: Ed25519.SigningKey
    private let token = "pc98"

    init() throws { identity = try Ed25519.SigningKey(seed: [UInt8](repeating: 3, count: 32)) }

    /// A room to which Alice has invited an address.
    private func room(_ servers: TwoServers, _ version: String) async throws -> RoomID {
        let room = try await servers.alice.createRoom(version, ["preset": "private_chat"])
        let key = Base64.encode(identity.publicKey.bytes, .standardUnpadded)
        try await servers.alice.set(
            "m.room.third_party_invite",
            [
                "display_name": "b…@x…", "key_validity_url": "https://id.test/valid", "public_key": .string(key),
                "public_keys": [["public_key": .string(key)]],
            ], room, key: token)
        return room
    }

    private func signed(_ user: UserID, by key: Ed25519.SigningKey? = nil) -> JSONValue {
        SignedJSON.sign(
            ["mxid": .string(user.text), "token": .string(token)], as: "id.test", keyID: "ed25519:0",
            with: key ?? identity)
    }

    /// What the identity server says to `b.test`.
    private func bind(_ servers: TwoServers, _ room: RoomID, _ signed: JSONValue) async throws {
        let bob = servers.bob.user.text
        _ = try await servers.b.ask(
            .put, "/_matrix/federation/v1/3pid/onbind",
            [
                "medium": "email", "address": "bob@x.test", "mxid": .string(bob),
                "invites": [
                    [
                        "medium": "email", "address": "bob@x.test", "mxid": .string(bob),
                        "room_id": .string(room.text), "sender": .string(servers.alice.user.text), "signed": signed,
                    ]
                ],
            ])
    }

    @Test(arguments: ["1", "11", "12"])
    func `a user whose address was invited is invited by the inviter's server`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let room = try await room(servers, version)
            try await bind(servers, room, signed(servers.bob.user))
            #expect(try await servers.a.membership(servers.bob.user, room) == .invite)
            let id = try #require(try await servers.a.state(room)[StateKey(.member, servers.bob.user.text)])
            let event = try #require(try await servers.a.event(id)).pdu
            #expect(event.sender == servers.alice.user)
            #expect(event.content["third_party_invite"]?["display_name"]?.string == "b…@x…")
            try await servers.bob.join(room, via: servers.a)
            try await servers.agree(room)
        }
    }

    @Test(arguments: ["1", "12"])
    func `who proves to have the address joins by that, and nobody else does`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let room = try await room(servers, version)
            let join = "/_matrix/client/v3/join/\(percent(room.text))?via=a.test"
            func proof(of user: UserID, by key: Ed25519.SigningKey) -> JSONValue {
                SignedJSON.sign(
                    [
                        "mxid": .string(user.text), "token": .string(token),
                        "sender": .string(servers.alice.user.text),
                    ], as: "id.test", keyID: "ed25519:0", with: key)
            }
            let other = try Ed25519.SigningKey(seed: [UInt8](repeating: 4, count: 32))
            let (bob, here) = (servers.bob, try await servers.a.register("anna"))
            let wrong: [(JSONValue, Int)] = [
                (proof(of: bob.user, by: other), 403), (proof(of: here.user, by: identity), 400),
                (["mxid": .string(bob.user.text)], 400),
            ]
            for (proof, status) in wrong {
                let error = await #expect(throws: MatrixError.self) {
                    try await bob.ask(.post, join, ["third_party_signed": proof])
                }
                #expect(error?.status == status)
            }
            #expect(try await servers.a.membership(bob.user, room) == nil)
            for user in [bob, here] {
                try await user.ask(.post, join, ["third_party_signed": proof(of: user.user, by: identity)])
                #expect(try await servers.a.membership(user.user, room) == .join)
            }
            try await servers.agree(room)
        }
    }

    @Test func `a server that is in the room makes the invite itself, and all others take it`() async throws {
        try await TwoServers.run { servers in
            let room = try await room(servers, "11")
            let carl = try await servers.b.register("carl")
            try await servers.alice.act("invite", room, on: carl.user)
            try await carl.join(room, via: servers.a)
            try await bind(servers, room, signed(servers.bob.user))
            #expect(try await servers.b.membership(servers.bob.user, room) == .invite)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .invite }
            #expect(!servers.network.paths.contains { $0.contains("exchange_third_party_invite") })
            try await servers.bob.join(room, via: servers.a)
            try await servers.agree(room)
        }
    }

    @Test func `who cannot show the identity server's signature is not invited, nor is anybody else's user`()
        async throws
    {
        try await TwoServers.run { servers in
            let room = try await room(servers, "12")
            let other = try Ed25519.SigningKey(seed: [UInt8](repeating: 5, count: 32))
            try await bind(servers, room, signed(servers.bob.user, by: other))
            await #expect(throws: MatrixError.self) {
                try await bind(servers, room, signed(try UserID("@eve:b.test")))
            }
            #expect(try await servers.a.membership(servers.bob.user, room) == nil)

            let evil = try HandmadeServer("evil.test", on: servers.network)
            let event: JSONValue = [
                "type": "m.room.member", "room_id": .string(room.text), "sender": .string(servers.alice.user.text),
                "state_key": .string(servers.bob.user.text),
                "content": ["membership": "invite", "third_party_invite": ["signed": signed(servers.bob.user)]],
            ]
            let path = "/_matrix/federation/v1/exchange_third_party_invite/\(percent(room.text))"
            #expect(try await evil.ask(servers.a, .put, path, event).status == 403)
            #expect(try await evil.ask(servers.a, .put, path, ["type": "m.room.member"]).status == 400)
            #expect(try await servers.a.membership(servers.bob.user, room) == nil)
        }
    }

    @Test func `a query of a kind that nobody knows is answered so`() async throws {
        try await TwoServers.run { servers in
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let answer = try await evil.ask(servers.a, .get, "/_matrix/federation/v1/query/weather?at=home")
            #expect(answer.status == 404 && answer.body["errcode"]?.string == "M_UNRECOGNIZED")
            // This server is no policy server.
            let refused = try await evil.ask(servers.a, .post, "/_matrix/policy/v1/sign", ["type": "x"])
            #expect(refused.status == 404 && refused.body["errcode"]?.string == "M_UNRECOGNIZED")
        }
    }
}
