import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("Sessions") struct SessionTests {
    @Test func `a password logs in by localpart, by user ID, in capitals and in the old form`() async throws {
        let server = try await AccountServer()
        try await server.register("alice")
        for name in ["alice", "@alice:a.test", "ALICE"] {
            let answer = try await server.logIn(name)
            #expect(answer.status == 200)
            #expect(answer["user_id"] == "@alice:a.test")
            #expect(answer.body["well_known", "m.homeserver", "base_url"] == "https://a.test")
        }
        let old = try await server.call(
            .post, "/_matrix/client/v3/login",
            ["type": "m.login.password", "user": "alice", "password": "secret"])
        #expect(old.status == 200)
    }

    @Test(arguments: [("alice", "wrong"), ("nobody", "secret"), ("@alice:b.test", "secret")])
    func `a wrong password and an unknown user are told alike`(name: String, password: String) async throws {
        let server = try await AccountServer()
        try await server.register("alice")
        let answer = try await server.logIn(name, password: password)
        #expect(answer.status == 403)
        #expect(answer.errcode == "M_FORBIDDEN")
    }

    @Test func `failures are limited, successes are not`() async throws {
        let server = try await AccountServer {
            $0.rateLimits.isEnabled = true
            $0.rateLimits.logins = .init(burst: 3, perSecond: 0.1)
        }
        try await server.register("alice")
        for _ in 0..<8 { #expect(try await server.logIn("alice").status == 200) }
        for _ in 0..<3 { #expect(try await server.logIn("alice", password: "wrong").status == 403) }
        let limited = try await server.logIn("alice")
        #expect(limited.status == 429)
        #expect((limited["retry_after_ms"]?.integer ?? 0) > 0)
        server.clock.advance(milliseconds: 11_000)
        #expect(try await server.logIn("alice").status == 200)
    }

    @Test func `a known device gets a new token and the old one ends`() async throws {
        let server = try await AccountServer()
        try await server.register("alice")
        let first = try await server.logIn("alice", ["device_id": "PHONE", "initial_device_display_name": "one"])
        let second = try await server.logIn("alice", ["device_id": "PHONE", "initial_device_display_name": "two"])
        let token = try #require(second["access_token"]?.string)
        #expect(try await server.whoami(first["access_token"]?.string ?? "").status == 401)
        let device = try await server.call(.get, "/_matrix/client/v3/devices/PHONE", token: token)
        #expect(device["display_name"] == "one")
    }

    @Test func `logging out ends the token and the device, and a foreign token says so`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        #expect(try await server.whoami(token).status == 200)
        #expect(try await server.call(.post, "/_matrix/client/v3/logout", token: token, [:]).status == 200)
        let after = try await server.whoami(token)
        #expect(after.status == 401)
        #expect(after.errcode == "M_UNKNOWN_TOKEN")
        #expect(after["soft_logout"] == false)
        #expect(try await server.call(.get, "/_matrix/client/v3/account/whoami").errcode == "M_MISSING_TOKEN")
        let again = try await server.logIn("alice")
        let devices = try await server.call(
            .get, "/_matrix/client/v3/devices", token: again["access_token"]?.string ?? "")
        #expect(devices["devices"]?.count == 1)
    }

    @Test func `logging out everywhere ends all tokens`() async throws {
        let server = try await AccountServer()
        let one = try await server.register("alice")
        let two = try await server.logIn("alice")["access_token"]?.string ?? ""
        #expect(try await server.whoami(two).status == 200)
        #expect(try await server.call(.post, "/_matrix/client/v3/logout/all", token: one, [:]).status == 200)
        #expect(try await server.whoami(one).status == 401)
        #expect(try await server.whoami(two).status == 401)
    }

    @Test func `the old pair lives until the new one is used`() async throws {
        let server = try await AccountServer()
        try await server.register("alice")
        let first = try await server.logIn("alice", ["refresh_token": true])
        let access = try #require(first["access_token"]?.string)
        let refresh = try #require(first["refresh_token"])
        #expect(first["expires_in_ms"] == 3_600_000)
        let path = "/_matrix/client/v3/refresh"
        let lost = try await server.call(.post, path, ["refresh_token": refresh])
        let second = try await server.call(.post, path, ["refresh_token": refresh])
        #expect(second.status == 200)
        #expect(try await server.whoami(access).status == 200)
        #expect(try await server.whoami(lost["access_token"]?.string ?? "").status == 401)
        #expect(try await server.whoami(second["access_token"]?.string ?? "").status == 200)
        #expect(try await server.whoami(access).status == 401)
        let reused = try await server.call(.post, path, ["refresh_token": refresh])
        #expect(reused.status == 401)
        #expect(reused.errcode == "M_UNKNOWN_TOKEN")
        let third = try await server.call(.post, path, ["refresh_token": second["refresh_token"] ?? .null])
        #expect(third.status == 200)
    }

    @Test func `an expired token is softly logged out and can be refreshed`() async throws {
        let server = try await AccountServer()
        try await server.register("alice")
        let first = try await server.logIn("alice", ["refresh_token": true])
        let access = try #require(first["access_token"]?.string)
        #expect(try await server.whoami(access).status == 200)
        server.clock.advance(milliseconds: 3_600_001)
        let expired = try await server.whoami(access)
        #expect(expired.status == 401)
        #expect(expired["soft_logout"] == true)
        let fresh = try await server.call(
            .post, "/_matrix/client/v3/refresh", ["refresh_token": first["refresh_token"] ?? .null])
        #expect(try await server.whoami(fresh["access_token"]?.string ?? "").status == 200)
    }

    @Test func `a login token logs in once`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let given = try await server.confirmed(
            .post, "/_matrix/client/v1/login/get_token", token: token, user: "alice")
        #expect(given.status == 200)
        let body: JSONValue = ["type": "m.login.token", "token": given["login_token"] ?? .null]
        #expect(try await server.call(.post, "/_matrix/client/v3/login", body)["user_id"] == "@alice:a.test")
        #expect(try await server.call(.post, "/_matrix/client/v3/login", body).status == 403)
    }

    @Test func `locked accounts may only log out, suspended ones may not send`() async throws {
        let server = try await AccountServer()
        let alice = try await server.register("alice")
        let root = try await server.register("root")
        let lock = "/_matrix/client/v1/admin/lock/@alice:a.test"
        #expect(try await server.call(.put, lock, token: root, ["locked": true]).status == 403)
        try await AccountAdministration(environment: server.environment).setAdmin("root")
        server.authenticator.received("tokens @root:a.test")
        #expect(try await server.call(.put, lock, token: root, ["locked": true]).status == 200)
        let refused = try await server.whoami(alice)
        #expect(refused.status == 401)
        #expect(refused.errcode == "M_USER_LOCKED")
        #expect(refused["soft_logout"] == true)
        #expect(try await server.call(.put, lock, token: root, ["locked": false]).status == 200)
        #expect(try await server.whoami(alice).status == 200)
        let suspend = "/_matrix/client/v1/admin/suspend/@alice:a.test"
        #expect(try await server.call(.put, suspend, token: root, ["suspended": true]).status == 200)
        let profile = "/_matrix/client/v3/profile/@alice:a.test/displayname"
        let change = try await server.call(.put, profile, token: alice, ["displayname": "A"])
        #expect(change.errcode == "M_USER_SUSPENDED")
        #expect(try await server.whoami(alice).status == 200)
        #expect(try await server.call(.post, "/_matrix/client/v3/logout", token: alice, [:]).status == 200)
    }

    @Test func `an imported bcrypt password logs in and is hashed anew`() async throws {
        let server = try await AccountServer()
        try await server.register("alice")
        let user = try UserID("@alice:a.test")
        // bcrypt of "secret", cost 4.
        let imported = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
        try await server.environment.database.write { connection in
            try AccountStore(connection).setPasswordHash(imported, of: user)
        }
        #expect(try await server.logIn("alice").status == 200)
        let account = try await server.environment.database.read { try AccountStore($0).account(user) }
        #expect(account?.passwordHash?.hasPrefix("$argon2id$") == true)
    }

    @Test func `what one node ends, another believes for seconds at most, or until it is told`() async throws {
        let server = try await AccountServer()
        let alice = try await server.register("alice")
        let other = try await server.logIn("alice")["access_token"]?.string ?? ""
        #expect(try await server.whoami(alice).status == 200)
        #expect(try await server.whoami(other).status == 200)
        // As another node would, behind this one's back.
        let user = try UserID("@alice:a.test")
        try await server.environment.database.write { connection in
            let devices = DeviceStore(connection)
            try devices.delete(devices.devices(of: user).map(\.id), of: user)
        }
        #expect(try await server.whoami(alice).status == 200)
        server.authenticator.received("tokens @alice:a.test")
        #expect(try await server.whoami(alice).status == 401)
        server.clock.advance(milliseconds: 4_000)
        #expect(try await server.whoami(other).status == 401)
    }

    @Test func `a confirmation session expires`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let path = "/_matrix/client/v1/login/get_token"
        let challenge = try await server.call(.post, path, token: token, [:])
        server.clock.advance(milliseconds: 15 * 60_000 + 1)
        let late = try await server.call(
            .post, path, token: token, ["auth": ["session": challenge["session"] ?? .null]])
        #expect(late.status == 401)
        #expect(late["session"] != challenge["session"])
    }
}
