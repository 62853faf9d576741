import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

/// What other servers are given of a room, and what of theirs is taken no more.
@Suite("Events served") struct ServedEventsTests {
    @Test func `what was said when none of a server's users could see it is given redacted`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom(
                "11",
                [
                    "initial_state": [
                        [
                            "type": "m.room.history_visibility", "state_key": "",
                            "content": ["history_visibility": "joined"],
                        ]
                    ]
                ])
            let secret = try await servers.alice.say("secret", room)
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let (join, _) = try await evil.join(try UserID("@mallory:evil.test"), room, on: servers.a)
            let known = try await servers.alice.say("for all", room)

            let base = "/_matrix/federation/v1"
            func content(_ view: JSONView?, _ id: EventID) throws -> JSONView? {
                let pdus = try (view?.elements ?? []).map { try PDU(parsing: $0, version: join.version) }
                return pdus.first { $0.id == id }?.content
            }
            let one = try await evil.ask(servers.a, .get, "\(base)/event/\(percent(secret.text))")
            #expect(try content(one.body["pdus"], secret)?.members.isEmpty == true)
            let other = try await evil.ask(servers.a, .get, "\(base)/event/\(percent(known.text))")
            #expect(try content(other.body["pdus"], known)?["body"]?.string == "for all")

            let history = try await evil.ask(
                servers.a, .get, "\(base)/backfill/\(percent(room.text))?limit=50&v=\(percent(known.text))")
            #expect(try content(history.body["pdus"], secret)?.members.isEmpty == true)
            #expect(try content(history.body["pdus"], known)?["body"]?.string == "for all")

            let missing = try await evil.ask(
                servers.a, .post, "\(base)/get_missing_events/\(percent(room.text))",
                [
                    "limit": 50, "earliest_events": [], "latest_events": [.string(known.text)],
                ])
            #expect(try content(missing.body["events"], secret)?.members.isEmpty == true)

            // The time of what a server may not see is not told either.
            let time = try #require(try await servers.a.event(secret)).pdu.originServerTimestamp
            let found = try await evil.ask(
                servers.a, .get, "\(base)/timestamp_to_event/\(percent(room.text))?ts=\(time)&dir=f")
            #expect(found.body["event_id"]?.string != secret.text)
        }
    }

    @Test func `state that no user of a server could see is given redacted, but as part of a state`() async throws {
        try await TwoServers.run { servers in
            let visibility: JSONValue = [
                "type": "m.room.history_visibility", "state_key": "", "content": ["history_visibility": "joined"],
            ]
            let room = try await servers.alice.createRoom("10", ["initial_state": [visibility]])
            let old = try await servers.alice.set("m.room.topic", ["topic": "old"], room)
            let levels = try await servers.alice.set(
                "m.room.power_levels",
                ["users": .object([servers.alice.user.text: 100]), "invite": 50, "notifications": ["room": 60]], room)
            let later = try await servers.alice.set(
                "m.room.power_levels", ["users": .object([servers.alice.user.text: 100]), "invite": 40], room)
            let current = try await servers.alice.set("m.room.topic", ["topic": "current"], room)
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let (join, _) = try await evil.join(try UserID("@mallory:evil.test"), room, on: servers.a)
            let known = try await servers.alice.set("m.room.topic", ["topic": "known"], room)
            try await servers.alice.set("m.room.topic", ["topic": "newest"], room)
            let name = try await servers.alice.set("m.room.name", ["name": "Tea"], room)

            let base = "/_matrix/federation/v1"
            func contents(_ view: JSONView?) throws -> [EventID: JSONView] {
                let pdus = try (view?.elements ?? []).map { try PDU(parsing: $0, version: join.version) }
                return Dictionary(pdus.map { ($0.id, $0.content) }, uniquingKeysWith: { first, _ in first })
            }
            func isRight(_ told: [EventID: JSONView], _ path: String) {
                #expect(told[old]?.members.isEmpty == true, "\(path)")
                #expect(told[current]?.members.isEmpty == true, "\(path)")
                #expect(told[known]?["topic"]?.string == "known", "\(path)")
                #expect(told[name]?["name"]?.string == "Tea", "\(path)")
                // By what a redaction takes of them others would judge otherwise.
                #expect(told[levels]?["invite"]?.integer == 50 && told[levels]?["notifications"] != nil, "\(path)")
                #expect(told[later]?["invite"]?.integer == 40, "\(path)")
            }
            var told: [EventID: JSONView] = [:]
            for id in [old, current, known, name, levels, later] {
                let one = try await evil.ask(servers.a, .get, "\(base)/event/\(percent(id.text))")
                told.merge(try contents(one.body["pdus"])) { $1 }
            }
            isRight(told, "event")
            let last = try await servers.alice.say("last", room)
            let history = try await evil.ask(
                servers.a, .get, "\(base)/backfill/\(percent(room.text))?limit=50&v=\(percent(last.text))")
            isRight(try contents(history.body["pdus"]), "backfill")
            let missing = try await evil.ask(
                servers.a, .post, "\(base)/get_missing_events/\(percent(room.text))",
                ["limit": 50, "earliest_events": [], "latest_events": [.string(last.text)]])
            isRight(try contents(missing.body["events"]), "get_missing_events")
            let time = try #require(try await servers.a.event(old)).pdu.originServerTimestamp
            let found = try await evil.ask(
                servers.a, .get, "\(base)/timestamp_to_event/\(percent(room.text))?ts=\(time)&dir=f")
            #expect(found.body["event_id"]?.string != old.text)

            // A state is whole, whenever it was.
            for (event, topic) in [(current, old), (join.id, current)] {
                let state = try await evil.ask(
                    servers.a, .get, "\(base)/state/\(percent(room.text))?event_id=\(percent(event.text))")
                #expect(try contents(state.body["pdus"])[topic]?["topic"]?.string != nil)
            }
        }
    }

    @Test func `what is part of a room's state now is given whole, whenever it came`() async throws {
        try await TwoServers.run { servers in
            let visibility: JSONValue = [
                "type": "m.room.history_visibility", "state_key": "", "content": ["history_visibility": "joined"],
            ]
            let room = try await servers.alice.createRoom("11", ["initial_state": [visibility]])
            let topic = try await servers.alice.set("m.room.topic", ["topic": "before the join"], room)
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let (join, _) = try await evil.join(try UserID("@mallory:evil.test"), room, on: servers.a)
            let one = try await evil.ask(servers.a, .get, "/_matrix/federation/v1/event/\(percent(topic.text))")
            let pdu = try PDU(parsing: try #require(one.body["pdus"]?.elements.first), version: join.version)
            #expect(pdu.id == topic && pdu.content["topic"]?.string == "before the join")
        }
    }

    @Test func `a server that the access list denies is refused at every door of the room`() async throws {
        try await HostileServerTests.play("11") { scene in
            let (room, event) = (percent(scene.room.text), percent(scene.join.id.text))
            let user = percent(scene.mallory.text)
            try await scene.servers.alice.set(
                "m.room.server_acl", ["allow": ["*"], "deny": ["evil.test"], "allow_ip_literals": true], scene.room)
            let join = JSONValue(scene.join.document.root)
            let doors: [(HTTPRequest.Method, String, JSONValue?)] = [
                (.get, "v1/state/\(room)?event_id=\(event)", nil),
                (.get, "v1/state_ids/\(room)?event_id=\(event)", nil),
                (.get, "v1/event/\(event)", nil), (.get, "v1/event_auth/\(room)/\(event)", nil),
                (.get, "v1/backfill/\(room)?v=\(event)&limit=5", nil),
                (.get, "v1/timestamp_to_event/\(room)?ts=1&dir=f", nil),
                (.post, "v1/get_missing_events/\(room)", ["earliest_events": [], "latest_events": []]),
                (.get, "v1/make_join/\(room)/\(user)?ver=11", nil), (.get, "v1/make_leave/\(room)/\(user)", nil),
                (.get, "v1/make_knock/\(room)/\(user)?ver=11", nil), (.put, "v2/send_join/\(room)/\(event)", join),
                (.put, "v2/send_leave/\(room)/\(event)", join), (.put, "v1/send_knock/\(room)/\(event)", join),
            ]
            for (method, path, body) in doors {
                let answer = try await scene.evil.ask(scene.servers.a, method, "/_matrix/federation/" + path, body)
                #expect(answer.status == 403 && answer.body["errcode"]?.string == "M_FORBIDDEN", "\(path)")
            }
        }
    }

    @Test func `events of a room that was left are not taken`() async throws {
        try await HostileServerTests.play { scene in
            try await scene.servers.alice.act("leave", scene.room)
            let event = try scene.message("to nobody")
            let answer = try await scene.evil.send([event.canonicalJSON], to: scene.servers.a)
            #expect(answer.status == 200)
            try await scene.settled()
            #expect(try await scene.servers.a.event(event.id) == nil)
        }
    }
}
