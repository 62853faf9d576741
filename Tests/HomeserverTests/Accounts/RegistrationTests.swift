import Cryptography
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("Registration") struct RegistrationTests {
    private let path = "/_matrix/client/v3/register"

    @Test func `an open server registers in one request without a session`() async throws {
        let server = try await AccountServer()
        let answer = try await server.call(
            .post, path,
            [
                "username": "Alice", "password": "secret", "device_id": "PHONE",
                "auth": ["type": "m.login.dummy"],
            ])
        #expect(answer.status == 200)
        #expect(answer["user_id"] == "@alice:a.test")
        #expect(answer["device_id"] == "PHONE")
        let token = try #require(answer["access_token"]?.string)
        let owner = try await server.whoami(token)
        #expect(owner["user_id"] == "@alice:a.test")
        #expect(owner["device_id"] == "PHONE")
        #expect(owner["is_guest"] == false)
        #expect(answer["refresh_token"] == nil)
    }

    @Test func `without auth the flows are told and a session goes on`() async throws {
        let server = try await AccountServer()
        let first = try await server.call(.post, path, ["username": "alice", "password": "secret"])
        #expect(first.status == 401)
        #expect(first["flows"] == [["stages": ["m.login.dummy"]]])
        #expect(first.errcode == nil)
        let second = try await server.call(
            .post, path,
            [
                "username": "alice", "password": "secret",
                "auth": ["type": "m.login.dummy", "session": first["session"] ?? .null],
            ])
        #expect(second.status == 200)
    }

    @Test func `login can be inhibited`() async throws {
        let server = try await AccountServer()
        let answer = try await server.call(
            .post, path,
            ["username": "alice", "password": "p", "inhibit_login": true, "auth": ["type": "m.login.dummy"]])
        #expect(answer.status == 200)
        #expect(answer["access_token"] == nil)
        #expect(answer["device_id"] == nil)
    }

    @Test(arguments: ["al ice", "älice", "@alice:a.test", "", "a\u{0}b", "al'ice"])
    func `names outside of the grammar are refused`(name: String) async throws {
        let server = try await AccountServer()
        let answer = try await server.call(
            .post, path, ["username": .string(name), "password": "p", "auth": ["type": "m.login.dummy"]])
        #expect(answer.status == 400)
        #expect(answer.errcode == "M_INVALID_USERNAME")
    }

    @Test func `a name is given once, even after deactivation`() async throws {
        let server = try await AccountServer()
        let token = try await server.register("alice")
        let taken = try await server.call(.post, path, ["username": "alice", "password": "p"])
        #expect(taken.status == 400)
        #expect(taken.errcode == "M_USER_IN_USE")
        let ended = try await server.confirmed(
            .post, "/_matrix/client/v3/account/deactivate", token: token, user: "alice")
        #expect(ended.status == 200)
        let available = try await server.call(.get, "\(path)/available?username=alice")
        #expect(available.errcode == "M_USER_IN_USE")
        #expect(try await server.call(.get, "\(path)/available?username=bob")["available"] == true)
    }

    @Test func `a closed server and guests are refused`() async throws {
        let closed = try await AccountServer { $0.registration.isOpen = false }
        let answer = try await closed.call(.post, path, ["username": "alice", "password": "p"])
        #expect(answer.status == 403)
        #expect(answer.errcode == "M_FORBIDDEN")
        let guest = try await closed.call(.post, "\(path)?kind=guest", [:])
        #expect(guest.status == 403)
    }

    @Test func `guests come in where they may, and may little`() async throws {
        let server = try await AccountServer { $0.registration.guests = true }
        let guest = try await server.call(.post, "\(path)?kind=guest", ["device_id": "CHOSEN"])
        #expect(guest.status == 200)
        #expect(guest["device_id"] != "CHOSEN")
        let token = try #require(guest["access_token"]?.string)
        #expect(try await server.whoami(token)["is_guest"] == true)
        let refused = try await server.call(.get, "/_matrix/client/v3/pushrules/", token: token)
        #expect(refused.errcode == "M_GUEST_ACCESS_FORBIDDEN")
    }

    @Test func `a registration token works as often as it may`() async throws {
        let server = try await AccountServer { $0.registration.requireToken = true }
        let administration = AccountAdministration(environment: server.environment)
        let token = try await administration.createRegistrationToken("once", usesAllowed: 1)
        let validity = "/_matrix/client/v1/register/m.login.registration_token/validity?token="
        #expect(try await server.call(.get, validity + token)["valid"] == true)
        let dummy = try await server.call(
            .post, path, ["username": "alice", "password": "p", "auth": ["type": "m.login.dummy"]])
        #expect(dummy.status == 401)
        func register(_ name: String) async throws -> Answer {
            try await server.call(
                .post, path,
                [
                    "username": .string(name), "password": "p",
                    "auth": ["type": "m.login.registration_token", "token": "once"],
                ])
        }
        #expect(try await register("alice").status == 200)
        #expect(try await register("bob").status == 401)
        #expect(try await server.call(.get, validity + token)["valid"] == false)
        #expect(try await administration.listRegistrationTokens().map(\.completed) == [1])
    }

    @Test func `a shared secret registers administrators`() async throws {
        let server = try await AccountServer {
            $0.registration.isOpen = false
            $0.registration.sharedSecret = Array("shared".utf8)
        }
        let admin = "/_synapse/admin/v1/register"
        func attempt(secret: String, nonce: String?) async throws -> Answer {
            var nonce = nonce
            if nonce == nil { nonce = try await server.call(.get, admin)["nonce"]?.string }
            let text = "\(nonce ?? "")\0root\0secret\0admin"
            let mac = HMACSHA1.authenticate(Array(text.utf8), key: Array(secret.utf8))
            return try await server.call(
                .post, admin,
                [
                    "nonce": .string(nonce ?? ""), "username": "root", "password": "secret", "admin": true,
                    "mac": .string(Hex.encode(mac)),
                ])
        }
        #expect(try await attempt(secret: "wrong", nonce: nil).status == 403)
        #expect(try await attempt(secret: "shared", nonce: "unknown").status == 400)
        let done = try await attempt(secret: "shared", nonce: nil)
        #expect(done.status == 200)
        let token = try #require(done["access_token"]?.string)
        let capabilities = try await server.call(.get, "/_matrix/client/v3/capabilities", token: token)
        #expect(capabilities.body["capabilities", "m.account_moderation", "lock"] == true)
    }

    @Test func `without a shared secret the endpoint does not exist`() async throws {
        let server = try await AccountServer()
        let answer = try await server.call(.get, "/_synapse/admin/v1/register")
        #expect(answer.status == 404)
        #expect(answer.errcode == "M_UNRECOGNIZED")
    }
}
