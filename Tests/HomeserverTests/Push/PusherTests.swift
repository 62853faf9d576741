import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Pushers") struct PusherTests {
    private func error(_ work: () async throws -> Void) async throws -> String? {
        do {
            try await work()
            return nil
        } catch let error as MatrixError { return error.code.text }
    }

    @Test func `a pusher is listed as it was set, changed, and removed`() async throws {
        try await PushServer.run { world in
            let found1 = try await world.pushers(world.alice)
            #expect(found1 == [])
            try await world.push(world.alice, PushServer.pusher(data: ["custom": 7], more: ["profile_tag": "t"]))
            let device = try await world.alice.ask(.get, "/_matrix/client/v3/account/whoami")["device_id"]
            let listed = try await world.pushers(world.alice)
            #expect(
                listed == [
                    [
                        "kind": "http", "app_id": "org.app", "pushkey": "key", "app_display_name": "App",
                        "device_display_name": "Phone", "lang": "en", "profile_tag": "t",
                        "data": ["url": "https://push.test/_matrix/push/v1/notify", "custom": 7],
                        "org.matrix.msc3881.enabled": true, "org.matrix.msc3881.device_id": device ?? .null,
                    ]
                ])
            try await world.push(
                world.alice, PushServer.pusher(more: ["lang": "de", "org.matrix.msc3881.enabled": false]))
            let changed = try await world.pushers(world.alice)
            #expect(changed.map { $0["lang"] } == ["de"])
            #expect(changed.map { $0["org.matrix.msc3881.enabled"] } == [false])
            let found2 = try await world.pushers(world.bob)
            #expect(found2 == [])
            try await world.push(world.alice, ["kind": nil, "app_id": "org.app", "pushkey": "key"])
            let found3 = try await world.pushers(world.alice)
            #expect(found3 == [])
            // To remove what is not there is no error.
            try await world.push(world.alice, ["kind": nil, "app_id": "org.app", "pushkey": "key"])
        }
    }

    @Test func `a device's new owner takes the pusher, unless it is appended`() async throws {
        try await PushServer.run { world in
            try await world.push(world.alice)
            try await world.push(world.bob, PushServer.pusher(more: ["append": true]))
            let found4 = try await world.pushers(world.alice).count
            #expect(found4 == 1)
            let found5 = try await world.pushers(world.bob).count
            #expect(found5 == 1)
            try await world.push(world.bob)
            let found6 = try await world.pushers(world.alice).count
            #expect(found6 == 0)
            let found7 = try await world.pushers(world.bob).count
            #expect(found7 == 1)
        }
    }

    @Test func `what is no pusher is refused`() async throws {
        try await PushServer.run { world in
            func refusal(_ change: (inout JSONValue) -> Void) async throws -> String? {
                var body = PushServer.pusher()
                change(&body)
                let changed = body
                return try await error { try await world.push(world.alice, changed) }
            }
            for key in ["kind", "app_id", "pushkey", "app_display_name", "device_display_name", "lang", "data"] {
                let found8 = try await refusal { $0[key] = nil }
                #expect(found8 == "M_MISSING_PARAM", "\(key)")
            }
            let found9 = try await refusal { $0["data"] = [:] }
            #expect(found9 == "M_MISSING_PARAM")
            let invalid = "M_INVALID_PARAM"
            for url in [
                "https://push.test/_matrix/push/v1/notify2", "https://push.test/", "https://push.test",
                "http://push.test/_matrix/push/v1/notify", "ftp://push.test/_matrix/push/v1/notify", "push.test",
                "https://push.test/_matrix/push/v1/notify?a=b", "https://user@push.test/_matrix/push/v1/notify",
            ] {
                let found10 = try await refusal { $0["data"] = ["url": .string(url)] }
                #expect(found10 == invalid, "\(url)")
            }
            let found11 = try await refusal { $0["kind"] = "pigeon" }
            #expect(found11 == invalid)
            let found12 = try await refusal { $0["kind"] = "email" }
            #expect(found12 == invalid)
            let found13 = try await refusal { $0["pushkey"] = .string(String(repeating: "k", count: 513)) }
            #expect(found13 == invalid)
            let found14 = try await refusal { $0["pushkey"] = "" }
            #expect(found14 == invalid)
            let found15 = try await refusal { $0["app_id"] = .string(String(repeating: "a", count: 65)) }
            #expect(found15 == invalid)
            let found16 = try await refusal { $0["lang"] = 1 }
            #expect(found16 == "M_BAD_JSON")
            let found17 = try await refusal { $0["append"] = "yes" }
            #expect(found17 == "M_BAD_JSON")
            let found18 = try await world.pushers(world.alice)
            #expect(found18 == [])
            let found19 = try await refusal { $0["pushkey"] = .string(String(repeating: "k", count: 512)) }
            #expect(found19 == nil)
            let found20 = try await refusal { $0["app_id"] = .string(String(repeating: "ä", count: 64)) }
            #expect(found20 == nil)
        }
    }

    @Test func `one user has a bounded number of pushers`() async throws {
        try await PushServer.run({ $0.limits.pushersPerUser = 2 }) { world in
            try await world.push(world.alice, PushServer.pusher("1"))
            try await world.push(world.alice, PushServer.pusher("2"))
            let refusal = try await error { try await world.push(world.alice, PushServer.pusher("3")) }
            #expect(refusal == "M_INVALID_PARAM")
            try await world.push(world.alice, PushServer.pusher("2", more: ["lang": "fr"]))
            let found21 = try await world.pushers(world.alice).count
            #expect(found21 == 2)
        }
    }

    @Test func `a pusher ends with the session that made it`() async throws {
        try await PushServer.run { world in
            let login: JSONValue = [
                "type": "m.login.password", "identifier": ["type": "m.id.user", "user": "alice"], "password": "secret",
                "device_id": "PHONE",
            ]
            func session() async throws -> TestHomeserver.Client {
                let answer = try await world.server.ask(.post, "/_matrix/client/v3/login", login)
                return .init(
                    server: world.server, user: world.alice.user, token: answer["access_token"]?.string ?? "")
            }
            try await world.push(world.alice, PushServer.pusher("laptop"))
            var phone = try await session()
            try await world.push(phone, PushServer.pusher("phone"))
            let found22 = try await world.pushers(world.alice).count
            #expect(found22 == 2)
            // Another session may change it, and does not make it its own.
            try await world.push(world.alice, PushServer.pusher("phone", more: ["lang": "de"]))
            try await phone.ask(.post, "/_matrix/client/v3/logout", [:])
            let found23 = try await world.pushers(world.alice).map { $0["pushkey"] }
            #expect(found23 == ["laptop"])
            // Who logs in again on the same device begins anew.
            phone = try await session()
            try await world.push(phone, PushServer.pusher("phone"))
            phone = try await session()
            let found24 = try await world.pushers(phone).map { $0["pushkey"] }
            #expect(found24 == ["laptop"])
            try await phone.ask(.post, "/_matrix/client/v3/logout/all", [:])
            let left = try await world.server.environment.database.read { try PusherStore($0).isEmpty() }
            #expect(left)
        }
    }

    @Test(arguments: TestStore.available)
    func `the nodes that are up share the pushers, and a dead one's go to the others`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            func take(_ node: String, _ now: Int64) async throws -> Set<Int> {
                try await database.write { try PushLeases($0).take(holder: node, now: now, until: now + 10) }
            }
            let found25 = try await take("a", 0)
            #expect(found25 == Set(0..<16))
            // All are taken until the first gives some away.
            let found26 = try await take("b", 1)
            #expect(found26 == [])
            var a = try await take("a", 2)
            var b = try await take("b", 3)
            #expect(a.count == 8 && b.count == 8 && a.isDisjoint(with: b))
            let c = try await take("c", 4)
            #expect(c == [])
            a = try await take("a", 5)
            b = try await take("b", 6)
            #expect(a.count == 6 && b.count == 6 && a.isDisjoint(with: b))
            let found27 = try await take("c", 7)
            #expect(found27 == Set(0..<16).subtracting(a).subtracting(b))
            // Only b goes on.
            b = try await take("b", 30)
            #expect(b == Set(0..<16))
        }
    }
}
