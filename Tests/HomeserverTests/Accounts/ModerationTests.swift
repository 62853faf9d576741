import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#account-moderation>
@Suite("Locked and suspended accounts") struct ModerationTests {
    private struct Scene {
        let servers: TwoServers
        let room: RoomID
        let own: EventID
        let foreign: EventID
        var user: TestHomeserver.Client { servers.alice }

        /// What a request is answered: the error's code, or `ok`.
        func ask(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async throws -> String {
            do {
                try await user.ask(method, path.hasPrefix("/") ? path : "/_matrix/client/v3/" + path, body)
                return "ok"
            } catch let error as MatrixError {
                return error.code.text
            }
        }
    }

    private static func play(
        _ flag: AccountStore.Flag, _ test: (Scene) async throws -> Void
    ) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            let scene = Scene(
                servers: servers, room: room, own: try await servers.alice.say("mine", room),
                foreign: try await servers.bob.say("theirs", room))
            try await eventually { try await servers.a.event(scene.foreign) != nil }
            try await servers.a.environment.database.write { connection in
                try AccountStore(connection).set(flag, true, of: servers.alice.user)
                try connection.notify("tokens \(servers.alice.user)")
            }
            try await eventually { try await scene.ask(.post, "createRoom", [:]) != "ok" }
            try await test(scene)
        }
    }

    @Test func `who is suspended reads, leaves, keeps keys and takes back the own, and does nothing else`() async throws
    {
        try await Self.play(.suspended) { (scene: Scene) async throws in
            let room = percent(scene.room.text)
            let user = percent(scene.user.user.text)
            let refused: [(HTTPRequest.Method, String, JSONValue)] = [
                (.post, "join/\(room)", [:]), (.post, "rooms/\(room)/join", [:]), (.post, "knock/\(room)", [:]),
                (.post, "createRoom", [:]), (.post, "rooms/\(room)/invite", ["user_id": "@x:a.test"]),
                (.put, "rooms/\(room)/send/m.room.message/1", ["msgtype": "m.text", "body": "x"]),
                (.put, "rooms/\(room)/state/m.room.topic", ["topic": "x"]),
                (.put, "rooms/\(room)/state/m.room.topic/k", ["topic": "x"]),
                (.post, "rooms/\(room)/kick", ["user_id": "@bob:b.test"]),
                (.post, "rooms/\(room)/ban", ["user_id": "@bob:b.test"]),
                (.post, "rooms/\(room)/upgrade", ["new_version": "12"]),
                (.put, "profile/\(user)/displayname", ["displayname": "x"]), (.delete, "profile/\(user)/m.tz", [:]),
                (.put, "directory/room/%23x:a.test", ["room_id": .string(scene.room.text)]),
                (.put, "rooms/\(room)/redact/\(percent(scene.foreign.text))/2", [:]),
                (
                    .put, "rooms/\(room)/send/m.room.redaction/3",
                    ["redacts": .string(scene.foreign.text)]
                ),
            ]
            for (method, path, body) in refused {
                #expect(try await scene.ask(method, path, body) == "M_USER_SUSPENDED", "\(path)")
            }
            let allowed: [(HTTPRequest.Method, String, JSONValue?)] = [
                (.get, "sync?timeout=0", nil), (.get, "rooms/\(room)/messages?dir=b", nil),
                (.get, "account/whoami", nil), (.get, "devices", nil), (.post, "keys/upload", [:]),
                (.post, "room_keys/version", ["algorithm": "a", "auth_data": [:]]),
                (.post, "keys/query", ["device_keys": [:]]),
                (.put, "sendToDevice/m.key.verification.start/1", ["messages": [:]]),
                (.put, "rooms/\(room)/redact/\(percent(scene.own.text))/4", [:]),
                (.put, "user/\(user)/account_data/org.example", ["a": 1]),
                (.post, "rooms/\(room)/leave", [:]),
                (
                    .post, "login",
                    [
                        "type": "m.login.password", "password": "secret",
                        "identifier": ["type": "m.id.user", "user": "alice"],
                    ]
                ),
                (.post, "logout", [:]),
            ]
            for (method, path, body) in allowed {
                #expect(try await scene.ask(method, path, body) == "ok", "\(path)")
            }
        }
    }

    @Test func `who is locked can do nothing but log out, also where no token is needed`() async throws {
        try await Self.play(.locked) { (scene: Scene) async throws in
            let room = percent(scene.room.text)
            let paths: [(HTTPRequest.Method, String, JSONValue?)] = [
                (.get, "sync?timeout=0", nil), (.get, "account/whoami", nil), (.get, "rooms/\(room)/messages", nil),
                (.get, "/_matrix/client/versions", nil), (.post, "account/password", ["new_password": "x"]),
                (.get, "capabilities", nil), (.get, "devices", nil), (.post, "rooms/\(room)/leave", [:]),
                (
                    .post, "login",
                    [
                        "type": "m.login.password", "password": "secret",
                        "identifier": ["type": "m.id.user", "user": "alice"],
                    ]
                ),
            ]
            for (method, path, body) in paths {
                #expect(try await scene.ask(method, path, body) == "M_USER_LOCKED", "\(path)")
            }
            do {
                try await scene.user.ask(.get, "/_matrix/client/v3/sync")
                Issue.record("a locked user may sync")
            } catch let error as MatrixError {
                #expect(error.status == 401)
                #expect(error.fields["soft_logout"] == true)
            }
            #expect(try await scene.ask(.post, "logout", [:]) == "ok")
        }
    }

    @Test func `what the specification limits is limited, the rest is not`() async throws {
        let server = try await AccountServer {
            $0.rateLimits.isEnabled = true
            $0.rateLimits.other = .init(burst: 3, perSecond: 0.01)
        }
        let token = try await server.register("alice")
        var answers: [Answer] = []
        for _ in 0..<5 {
            answers.append(try await server.call(.get, "/_matrix/client/v3/capabilities", token: token))
        }
        #expect(answers.map(\.status) == [200, 200, 200, 429, 429])
        #expect(answers.last?.errcode == "M_LIMIT_EXCEEDED")
        #expect((answers.last?["retry_after_ms"]?.integer ?? 0) > 0)
        for _ in 0..<5 {
            #expect(try await server.call(.get, "/_matrix/client/v3/devices", token: token).status == 200)
        }
    }
}
