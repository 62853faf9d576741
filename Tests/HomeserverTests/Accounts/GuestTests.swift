import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@Suite("Guests") struct GuestTests {
    private static func guest(_ server: TestHomeserver) async throws -> TestHomeserver.Client {
        let answer = try await server.ask(.post, "/_matrix/client/v3/register?kind=guest", [:])
        return TestHomeserver.Client(
            server: server, user: try UserID(answer["user_id"]?.string ?? ""),
            token: answer["access_token"]?.string ?? "")
    }

    private static func refusal(_ act: () async throws -> Void) async throws -> String? {
        do { try await act() } catch let error as MatrixError { return error.code.text }
        return nil
    }

    @Test func `guests join only where they may, and leave when they may no more`() async throws {
        try await TwoServers.run {
            $0.registration.guests = true
        } _: { servers in
            let guest = try await Self.guest(servers.a)
            let open = try await servers.alice.createRoom("12")
            let join = "/_matrix/client/v3/rooms/\(percent(open.text))/join"
            let byJoining = try await Self.refusal { try await guest.ask(.post, join, [:]) }
            #expect(byJoining == "M_GUEST_ACCESS_FORBIDDEN")
            // Nor by setting the state that joining sets.
            let byState = try await Self.refusal {
                try await guest.set("m.room.member", ["membership": "join"], open, key: guest.user.text)
            }
            #expect(byState == "M_GUEST_ACCESS_FORBIDDEN")
            try await servers.alice.set("m.room.guest_access", ["guest_access": "can_join"], open)
            try await guest.ask(.post, join, [:])
            try await guest.say("hello", open)

            // Whether a room elsewhere takes guests cannot be told from here.
            let far = try await servers.bob.createRoom("12")
            try await servers.bob.set("m.room.guest_access", ["guest_access": "can_join"], far)
            let away = try await Self.refusal {
                try await guest.ask(
                    .post, "/_matrix/client/v3/rooms/\(percent(far.text))/join?via=b.test", [:])
            }
            #expect(away != nil)

            try await servers.alice.set("m.room.guest_access", ["guest_access": "forbidden"], open)
            let name = guest.user
            try await eventually { try await servers.a.membership(name, open) == .leave }
            #expect(try await servers.a.membership(servers.alice.user, open) == .join)
        }
    }

    @Test func `a guest who becomes a user keeps the name and the rooms`() async throws {
        try await TwoServers.run {
            $0.registration.guests = true
        } _: { servers in
            let guest = try await Self.guest(servers.a)
            let other = try await Self.guest(servers.a)
            let room = try await servers.alice.createRoom("12")
            try await servers.alice.set("m.room.guest_access", ["guest_access": "can_join"], room)
            try await guest.ask(.post, "/_matrix/client/v3/rooms/\(percent(room.text))/join", [:])

            func upgrade(_ name: String?, _ token: String) async throws -> JSONValue {
                try await servers.a.ask(
                    .post, "/_matrix/client/v3/register",
                    .fields([
                        "username": name.map { .string($0) }, "password": "secret",
                        "guest_access_token": .string(token), "auth": ["type": "m.login.dummy"],
                    ]))
            }
            let name = guest.user.localpart
            #expect(try await Self.refusal { _ = try await upgrade(nil, guest.token) } == "M_MISSING_PARAM")
            #expect(try await Self.refusal { _ = try await upgrade(name, other.token) } == "M_FORBIDDEN")
            #expect(try await Self.refusal { _ = try await upgrade("bobby", guest.token) } == "M_FORBIDDEN")
            #expect(try await Self.refusal { _ = try await upgrade("alice", servers.alice.token) } == "M_FORBIDDEN")

            let upgraded = try await upgrade(name, guest.token)
            #expect(upgraded["user_id"]?.string == guest.user.text)
            let user = TestHomeserver.Client(
                server: servers.a, user: guest.user, token: upgraded["access_token"]?.string ?? "")
            let who = try await user.ask(.get, "/_matrix/client/v3/account/whoami")
            #expect(who["is_guest"] == false)
            // Of that one nobody is a guest any more, so the rooms stay.
            try await servers.alice.set("m.room.guest_access", ["guest_access": "forbidden"], room)
            try await user.say("still here", room)
            #expect(try await Self.refusal { _ = try await upgrade(name, guest.token) } == "M_FORBIDDEN")
            let login = try await servers.a.ask(
                .post, "/_matrix/client/v3/login",
                [
                    "type": "m.login.password", "password": "secret",
                    "identifier": ["type": "m.id.user", "user": .string(name)],
                ])
            #expect(login["user_id"]?.string == guest.user.text)
        }
    }

    @Test func `a guest who is not seen for long is ended`() async throws {
        let server = try await AccountServer { $0.registration.guests = true }
        let guest = try await server.call(.post, "/_matrix/client/v3/register?kind=guest", [:])
        try await server.register("alice")
        let user = try UserID(guest["user_id"]?.string ?? "")
        func unseen() async throws -> [UserID] {
            let time = server.clock.now() - server.environment.configuration.timeouts.guestsKept
            return try await server.environment.database.read { try GuestStore($0).unseen(since: time, limit: 10) }
        }
        let month = server.environment.configuration.timeouts.guestsKept
        server.clock.advance(milliseconds: month - 1_000)
        #expect(try await server.whoami(guest["access_token"]?.string ?? "").status == 200)
        server.clock.advance(milliseconds: 2_000)
        #expect(try await unseen() == [])
        server.clock.advance(milliseconds: month)
        #expect(try await unseen() == [user])
    }

    @Test func `of a profile a guest changes the display name only`() async throws {
        let server = try await AccountServer { $0.registration.guests = true }
        let guest = try await server.call(.post, "/_matrix/client/v3/register?kind=guest", [:])
        let token = try #require(guest["access_token"]?.string)
        let path = "/_matrix/client/v3/profile/\(guest["user_id"]?.string ?? "")"
        #expect(
            try await server.call(.put, "\(path)/displayname", token: token, ["displayname": "G"]).status == 200)
        for field in ["avatar_url", "m.tz"] {
            let set = try await server.call(
                .put, "\(path)/\(field)", token: token, .object([field: "mxc://a.test/x"]))
            #expect(set.errcode == "M_GUEST_ACCESS_FORBIDDEN")
            let deleted = try await server.call(.delete, "\(path)/\(field)", token: token)
            #expect(deleted.errcode == "M_GUEST_ACCESS_FORBIDDEN")
        }
        #expect(try await server.call(.delete, "\(path)/displayname", token: token).status == 200)
    }
}
