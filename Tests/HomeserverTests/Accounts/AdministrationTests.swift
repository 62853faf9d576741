import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@Suite("Administration of accounts") struct AdministrationTests {
    private func administrator(_ server: AccountServer) async throws -> String {
        let administration = AccountAdministration(environment: server.environment)
        _ = try await administration.createUser("root", password: "secret", isAdmin: true)
        return try await server.logIn("root")["access_token"]?.string ?? "none"
    }

    @Test func `an administrator sets another password and ends the sessions`() async throws {
        let server = try await AccountServer()
        let root = try await administrator(server)
        let alice = try await server.register("alice")
        let path = "/_synapse/admin/v1/reset_password/@alice:a.test"
        let own = try await server.call(.post, path, token: alice, ["new_password": "x"])
        #expect(own.errcode == "M_FORBIDDEN")
        let kept = try await server.call(
            .post, path, token: root, ["new_password": "two", "logout_devices": false])
        #expect(kept.status == 200)
        #expect(try await server.whoami(alice).status == 200)
        #expect(try await server.call(.post, path, token: root, ["new_password": "three"]).status == 200)
        #expect(try await server.whoami(alice).errcode == "M_UNKNOWN_TOKEN")
        #expect(try await server.logIn("alice", password: "two").status == 403)
        #expect(try await server.logIn("alice", password: "three").status == 200)
        let nobody = try await server.call(
            .post, "/_synapse/admin/v1/reset_password/@nobody:a.test", token: root, ["new_password": "x"])
        #expect(nobody.errcode == "M_NOT_FOUND")
    }

    @Test func `an administrator ends an account`() async throws {
        let server = try await AccountServer()
        let root = try await administrator(server)
        let alice = try await server.register("alice")
        let path = "/_synapse/admin/v1/deactivate/"
        #expect(try await server.call(.post, path + "@root:a.test", token: alice, [:]).status == 403)
        #expect(try await server.call(.post, path + "@root:a.test", token: root, [:]).status == 403)
        let ended = try await server.call(.post, path + "@alice:a.test", token: root, ["erase": true])
        #expect(ended["id_server_unbind_result"] == "success")
        #expect(try await server.whoami(alice).status == 401)
        #expect(server.seen.notes.withLock { $0.departed.map(\.text) } == ["@alice:a.test"])
    }

    @Test func `sessions are ended from the command line`() async throws {
        let server = try await AccountServer()
        let alice = try await server.register("alice")
        let administration = AccountAdministration(environment: server.environment)
        try await administration.endSessions(of: "alice")
        server.authenticator.received("")
        #expect(try await server.whoami(alice).status == 401)
        #expect(try await server.logIn("alice").status == 200)
    }

    @Test func `who is where is told to administrators and oneself`() async throws {
        let server = try await AccountServer()
        let root = try await administrator(server)
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        let path = "/_matrix/client/v3/admin/whois/@alice:a.test"
        #expect(try await server.call(.get, path, token: bob).status == 403)
        for token in [root, alice] {
            let told = try await server.call(.get, path, token: token)
            let connection = told.body["devices", ""]?["sessions"]?.elements.first?["connections"]?.elements.first
            #expect(connection?["ip"] == "192.0.2.1")
            #expect(connection?["last_seen"]?.integer == server.clock.now())
        }
    }

    @Test func `what may be changed of profiles is told and held to`() async throws {
        let server = try await AccountServer {
            $0.profiles.disallowedFields = ["displayname", "m.tz"]
        }
        let token = try await server.register("alice")
        let capabilities = try await server.call(.get, "/_matrix/client/v3/capabilities", token: token)
        #expect(
            capabilities.body["capabilities", "m.profile_fields"]
                == ["enabled": true, "disallowed": ["displayname", "m.tz"]])
        #expect(capabilities.body["capabilities", "m.set_displayname"] == ["enabled": false])
        #expect(capabilities.body["capabilities", "m.set_avatar_url"] == ["enabled": true])
        #expect(capabilities.body["capabilities", "m.forget_forced_upon_leave"] == ["enabled": false])
        #expect(capabilities.body["capabilities", "m.account_moderation"] == nil)
        let path = "/_matrix/client/v3/profile/@alice:a.test"
        let named = try await server.call(.put, "\(path)/displayname", token: token, ["displayname": "A"])
        #expect(named.status == 403)
        #expect(named.errcode == "M_FORBIDDEN")
        #expect(try await server.call(.delete, "\(path)/m.tz", token: token).status == 403)
        #expect(
            try await server.call(.put, "\(path)/avatar_url", token: token, ["avatar_url": "mxc://a/b"]).status == 200)
    }
}
