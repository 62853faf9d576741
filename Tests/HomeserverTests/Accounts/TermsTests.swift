import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Testing

@Suite("Terms of service") struct TermsTests {
    private let path = "/_matrix/client/v3/register"

    private static let policies: [HomeserverConfiguration.Policy] = [
        .init(
            id: "terms_of_service", version: "1.2",
            texts: [
                "en": .init(name: "Terms of Service", url: "https://a.test/terms-en.html"),
                "fr": .init(name: "Conditions d'utilisation", url: "https://a.test/terms-fr.html"),
            ]),
        .init(id: "privacy", version: "3", texts: ["en": .init(name: "Privacy", url: "https://a.test/privacy.html")]),
    ]

    private func register(
        _ server: AccountServer, _ name: String, _ auth: [String: JSONValue]? = nil
    ) async throws -> Answer {
        var body: [String: JSONValue] = ["username": .string(name), "password": "secret"]
        if let auth { body["auth"] = .object(auth) }
        return try await server.call(.post, path, .object(body))
    }

    @Test func `documents are shown, agreed to and noted`() async throws {
        let server = try await AccountServer { $0.registration.terms = Self.policies }
        let asked = try await register(server, "alice")
        #expect(asked.status == 401)
        #expect(asked["flows"] == [["stages": ["m.login.terms"]]])
        #expect(
            asked.body["params", "m.login.terms", "policies", "terms_of_service"] == [
                "version": "1.2", "en": ["name": "Terms of Service", "url": "https://a.test/terms-en.html"],
                "fr": ["name": "Conditions d'utilisation", "url": "https://a.test/terms-fr.html"],
            ])
        let done = try await register(
            server, "alice", ["type": "m.login.terms", "session": asked["session"] ?? .null])
        #expect(done.status == 200)
        #expect(done["access_token"] != nil)
        let user = try UserID("@alice:a.test")
        let consents = try await server.environment.database.read { try ConsentStore($0).consents(of: user) }
        #expect(consents.map(\.policy) == ["privacy", "terms_of_service"])
        #expect(consents.map(\.version) == ["3", "1.2"])
        #expect(consents.allSatisfy { $0.accepted == server.clock.now() })
    }

    @Test func `nobody agrees to what was not shown`() async throws {
        let server = try await AccountServer { $0.registration.terms = Self.policies }
        let blind = try await register(server, "alice", ["type": "m.login.terms"])
        #expect(blind.status == 401)
        #expect(blind.errcode == "M_MISSING_PARAM")
        let dummy = try await register(server, "alice", ["type": "m.login.dummy"])
        #expect(dummy.status == 401)
        // A session that was begun before the documents changed is of another request.
        let database = server.environment.database
        let operations = try await database.read { connection in
            try connection.query("SELECT session_id FROM uia_sessions").map { try $0.text(0) }
        }
        #expect(operations.count == 2)
        let elsewhere = try await AccountServer { $0.registration.terms = [Self.policies[0]] }
        let other = try await register(elsewhere, "alice")
        let session = try #require(other["session"]?.string)
        let row = try await elsewhere.environment.database.read { connection in
            try AuthenticationSessionStore(connection).session(session, now: elsewhere.clock.now())
        }
        let moved = try #require(row)
        try await database.write { try AuthenticationSessionStore($0).save(moved, now: server.clock.now()) }
        let refused = try await register(server, "alice", ["type": "m.login.terms", "session": .string(session)])
        #expect(refused.status == 403)
    }

    @Test func `a token and the documents are both wanted`() async throws {
        let server = try await AccountServer {
            $0.registration.terms = Self.policies
            $0.registration.requireToken = true
        }
        _ = try await AccountAdministration(environment: server.environment)
            .createRegistrationToken("once", usesAllowed: 1)
        let asked = try await register(server, "alice")
        #expect(asked["flows"] == [["stages": ["m.login.registration_token", "m.login.terms"]]])
        let session = asked["session"] ?? .null
        let half = try await register(server, "alice", ["type": "m.login.terms", "session": session])
        #expect(half.status == 401)
        #expect(half["completed"] == ["m.login.terms"])
        let done = try await register(
            server, "alice", ["type": "m.login.registration_token", "token": "once", "session": session])
        #expect(done.status == 200)
    }

    @Test func `erasing an account forgets what was agreed to`() async throws {
        let server = try await AccountServer { $0.registration.terms = [Self.policies[1]] }
        let asked = try await register(server, "alice")
        let done = try await register(
            server, "alice", ["type": "m.login.terms", "session": asked["session"] ?? .null])
        let token = try #require(done["access_token"]?.string)
        _ = try await server.confirmed(
            .post, "/_matrix/client/v3/account/deactivate", token: token, ["erase": true], user: "alice")
        let user = try UserID("@alice:a.test")
        let consents = try await server.environment.database.read { try ConsentStore($0).consents(of: user) }
        #expect(consents.isEmpty)
    }
}
