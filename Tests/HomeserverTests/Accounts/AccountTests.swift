import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@Suite("Accounts") struct AccountTests {
    private let password = "/_matrix/client/v3/account/password"

    @Test func `a new password ends the other devices`() async throws {
        let server = try await AccountServer()
        let one = try await server.register("alice")
        let two = try await server.logIn("alice")["access_token"]?.string ?? ""
        let wrong = try await server.confirmed(
            .post, password, token: one, ["new_password": "other"], user: "alice", password: "wrong")
        #expect(wrong.status == 401)
        #expect(wrong.errcode == "M_FORBIDDEN")
        let done = try await server.confirmed(.post, password, token: one, ["new_password": "other"], user: "alice")
        #expect(done.status == 200)
        #expect(try await server.whoami(one).status == 200)
        #expect(try await server.whoami(two).status == 401)
        #expect(try await server.logIn("alice").status == 403)
        #expect(try await server.logIn("alice", password: "other").status == 200)
    }

    @Test func `a confirmation is good for its own request and user only`() async throws {
        let server = try await AccountServer()
        let alice = try await server.register("alice")
        try await server.register("bob")
        let devices = "/_matrix/client/v3/delete_devices"
        let challenge = try await server.call(.post, devices, token: alice, ["devices": ["A"]])
        #expect(challenge.status == 401)
        #expect(challenge["flows"] == [["stages": ["m.login.password"]]])
        func auth(_ user: String) -> JSONValue {
            [
                "type": "m.login.password", "session": challenge["session"] ?? .null, "password": "secret",
                "identifier": ["type": "m.id.user", "user": .string(user)],
            ]
        }
        let other = try await server.call(.post, devices, token: alice, ["devices": ["B"], "auth": auth("alice")])
        #expect(other.status == 403)
        let stranger = try await server.call(.post, devices, token: alice, ["devices": ["A"], "auth": auth("bob")])
        #expect(stranger.status == 403)
        let same = try await server.call(.post, devices, token: alice, ["devices": ["A"], "auth": auth("alice")])
        #expect(same.status == 200)
    }

    @Test func `deactivation ends everything and leaves the rooms`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let answer = try await server.confirmed(
            .post, "/_matrix/client/v3/account/deactivate", token: token, ["erase": true], user: "alice")
        #expect(answer["id_server_unbind_result"] == "success")
        #expect(try await server.whoami(token).status == 401)
        #expect(try await server.logIn("alice").status == 403)
        #expect(try await server.call(.get, "/_matrix/client/v3/profile/@alice:a.test").status == 404)
        #expect(server.seen.notes.withLock { $0.departed.map(\.text) } == ["@alice:a.test"])
    }

    @Test func `devices are listed, named and deleted`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let other = try await server.logIn("alice", ["device_id": "OTHER"])["access_token"]?.string ?? ""
        let path = "/_matrix/client/v3/devices"
        #expect(try await server.call(.get, path, token: token)["devices"]?.count == 2)
        #expect(try await server.call(.put, "\(path)/OTHER", token: token, ["display_name": "x"]).status == 200)
        #expect(try await server.call(.get, "\(path)/OTHER", token: token)["display_name"] == "x")
        #expect(try await server.call(.put, "\(path)/NONE", token: token, ["display_name": "x"]).status == 404)
        #expect(try await server.call(.get, "\(path)/NONE", token: token).errcode == "M_NOT_FOUND")
        #expect(try await server.call(.get, "\(path)/%00", token: token).status == 400)
        #expect(try await server.confirmed(.delete, "\(path)/OTHER", token: token, user: "alice").status == 200)
        #expect(try await server.whoami(other).status == 401)
        #expect(server.seen.notes.withLock { $0.devices.count } == 4)
    }

    @Test func `a profile has fields of any kind within 64 KiB`() async throws {
        let server = try await AccountServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        let path = "/_matrix/client/v3/profile/@alice:a.test"
        #expect(try await server.call(.get, path).body == ["displayname": "alice"])
        #expect(try await server.call(.get, "\(path)/avatar_url").status == 404)
        for address in ["tea", "https://example.org/a.png", "mxc://a.test", "mxc://a.test/../x"] {
            let refused = try await server.call(
                .put, "\(path)/avatar_url", token: alice, ["avatar_url": .string(address)])
            #expect(refused.status == 400 && refused.errcode == "M_INVALID_PARAM")
        }
        #expect(try await server.call(.get, path).body == ["displayname": "alice"])
        #expect(try await server.call(.put, "\(path)/displayname", token: bob, ["displayname": "B"]).status == 403)
        let set = try await server.call(.put, "\(path)/displayname", token: alice, ["displayname": "A \"q\""])
        #expect(set.status == 200)
        #expect(try await server.call(.get, "\(path)/displayname").body == ["displayname": "A \"q\""])
        #expect(server.seen.notes.withLock { $0.profiles } == ["@alice:a.test A \"q\" -"])
        let custom = try await server.call(
            .put, "\(path)/org.example.job", token: alice, ["org.example.job": ["title": "x", "none": nil]])
        #expect(custom.status == 200)
        #expect(
            try await server.call(.get, "\(path)/org.example.job").body
                == ["org.example.job": ["title": "x", "none": nil]])
        let big = JSONValue.string(String(repeating: "x", count: 65_536))
        let large = try await server.call(.put, "\(path)/org.example.big", token: alice, ["org.example.big": big])
        #expect(large.errcode == "M_PROFILE_TOO_LARGE")
        let missing = try await server.call(.put, "\(path)/m.tz", token: alice, [:])
        #expect(missing.errcode == "M_MISSING_PARAM")
        let upper = try await server.call(.put, "\(path)/Upper", token: alice, ["Upper": 1])
        #expect(upper.errcode == "M_INVALID_PARAM")
        let long = String(repeating: "k", count: 256)
        #expect(
            try await server.call(.put, "\(path)/\(long)", token: alice, .object([long: 1])).errcode
                == "M_KEY_TOO_LARGE")
        #expect(try await server.call(.delete, "\(path)/org.example.job", token: alice).status == 200)
        #expect(try await server.call(.get, "\(path)/org.example.job").status == 404)
        #expect(try await server.call(.get, "/_matrix/client/v3/profile/@none:a.test").status == 404)
    }

    @Test func `an OpenID token names its user`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let given = try await server.call(
            .post, "/_matrix/client/v3/user/@alice:a.test/openid/request_token", token: token, [:])
        #expect(given["matrix_server_name"] == "a.test")
        let path = "/_matrix/federation/v1/openid/userinfo?access_token="
        let text = given["access_token"]?.string ?? ""
        #expect(try await server.call(.get, path + text)["sub"] == "@alice:a.test")
        #expect(try await server.call(.get, path + "x").status == 401)
        // It is no access token.
        #expect(try await server.whoami(text).status == 401)
    }

    @Test func `the directory finds by name and by id, not oneself`() async throws {
        let server = try await AccountServer()
        let alice = try await server.register("alice")
        try await server.register("albert")
        try await server.register("bob")
        let path = "/_matrix/client/v3/user_directory/search"
        let found = try await server.call(.post, path, token: alice, ["search_term": "AL"])
        #expect(found["results"]?.elements.map { $0["user_id"] } == ["@albert:a.test"])
        let wild = try await server.call(.post, path, token: alice, ["search_term": "%"])
        #expect(wild["results"] == [])
    }

    @Test func `the command line creates, resets and ends users`() async throws {
        let server = try await AccountServer()
        let administration = AccountAdministration(environment: server.environment)
        let user = try await administration.createUser("Carol", password: "one", isAdmin: true)
        #expect(user.text == "@carol:a.test")
        await #expect(throws: AccountAdministration.Refusal.inUse("carol")) {
            try await administration.createUser("carol", password: "x")
        }
        #expect(try await server.logIn("carol", password: "one").status == 200)
        try await administration.resetPassword(of: "@carol:a.test", to: "two")
        #expect(try await server.logIn("carol", password: "one").status == 403)
        #expect(try await server.logIn("carol", password: "two").status == 200)
        #expect(try await administration.listUsers().map(\.isAdmin) == [true])
        try await administration.deactivate("carol")
        #expect(try await server.logIn("carol", password: "two").status == 403)
    }
}
