import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@Suite("What other servers know") struct RemoteHistoryTests {
    @Test func `what was redacted before a server came is so by its redaction, if both come at once`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("11")
            let said = try await servers.alice.say("gone", room)
            let path = "/_matrix/client/v3/rooms/\(percent(room.text))"
            let answer = try await servers.alice.ask(.put, "\(path)/redact/\(percent(said.text))/1", [:])
            try await servers.bob.join(room, via: servers.a)
            try await servers.bob.ask(.get, "\(path)/messages?dir=b&limit=50")
            #expect(try await servers.b.event(said)?.redactedBy?.text == answer["event_id"]?.string)
        }
    }

    @Test(arguments: ["1", "12"])
    func `who joins late reads what was said before, to the beginning`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom(version)
            for number in 0..<5 { try await servers.alice.say("\(number)", room) }
            try await servers.alice.set("m.room.topic", ["topic": "in between"], room)
            for number in 5..<10 { try await servers.alice.say("\(number)", room) }
            try await servers.bob.join(room, via: servers.a)
            try await servers.alice.say("live", room)
            try await eventually { try await servers.b.messages(room).last == "live" }

            func page(_ from: String?) async throws -> JSONValue {
                try await servers.bob.ask(
                    .get,
                    "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=6"
                        + (from.map { "&from=\(percent($0))" } ?? ""))
            }
            var texts: [String] = []
            var types: [String] = []
            var from: String?
            for _ in 0..<20 {
                let answer = try await page(from)
                for event in answer["chunk"]?.array ?? [] {
                    types.append(event["type"]?.string ?? "")
                    if let text = event["content"]?["body"]?.string { texts.append(text) }
                }
                guard let next = answer["end"]?.string else { break }
                from = next
            }
            #expect(texts == ["live"] + (0..<10).reversed().map(String.init))
            #expect(types.last == "m.room.create")
            #expect(types.filter { $0 == "m.room.topic" }.count == 1)
            try await servers.agree(room)
        }
    }

    /// What a user reads paging back from the newest event.
    private func texts(_ user: TestHomeserver.Client, _ room: RoomID, limit: Int) async throws -> [String] {
        var texts: [String] = []
        var from: String?
        for _ in 0..<40 {
            let answer = try await user.ask(
                .get,
                "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=\(limit)"
                    + (from.map { "&from=\(percent($0))" } ?? ""))
            texts += (answer["chunk"]?.array ?? []).compactMap { $0["content"]?["body"]?.string }
            guard let next = answer["end"]?.string, next != from else { break }
            from = next
        }
        return texts
    }

    @Test(arguments: [3, 50])
    func `who comes back reads what was said meanwhile where it belongs`(limit: Int) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("12")
            try await servers.alice.say("long ago", room)
            try await servers.bob.join(room, via: servers.a)
            try await servers.bob.say("before", room)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            for number in 0..<7 { try await servers.alice.say("\(number)", room) }
            try await servers.bob.join(room, via: servers.a)
            try await servers.bob.say("again", room)
            let told = try await texts(servers.bob, room, limit: limit)
            #expect(told == ["again"] + (0..<7).reversed().map(String.init) + ["before", "long ago"])
        }
    }

    @Test func `what a gap left open is read where it belongs`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            try await servers.alice.say("before", room)
            try await eventually { try await servers.b.messages(room) == ["before"] }
            try await servers.leaveGap(in: room)
            #expect(try await servers.b.messages(room) == ["before", "last"])
            #expect(
                try await texts(servers.bob, room, limit: 4)
                    == ["last"] + (0..<20).reversed().map(String.init) + ["before"])
            try await servers.agree(room)
        }
    }

    @Test func `what only an event leads to that was not let in is read where it belongs`() async throws {
        try await HostileServerTests.play { scene in
            let other = try UserID("@other:evil.test")
            let (joined, state) = try await scene.evil.join(other, scene.room, on: scene.servers.a)
            try await scene.servers.alice.act("kick", scene.room, on: other)
            func said(_ text: String, after prev: PDU) throws -> PDU {
                try scene.evil.event(
                    "m.room.message", by: other, ["body": .string(text)], in: scene.room, version: scene.version,
                    after: [prev], auth: scene.authorizing().filter { $0.id != scene.join.id } + [joined])
            }
            let behind = [try scene.message("first", after: [joined])]
            let before = behind + [try scene.message("second", after: behind)]
            // One follows the other, both of somebody who is out by now.
            let withheld = try said("withheld", after: before[1])
            let second = try said("withheld too", after: withheld)
            let news = try scene.message("news", after: [second])
            scene.evil.answer("/get_missing_events/", ["events": []])
            let ids = (state + [joined]).map { JSONValue.string($0.id.text) }
            scene.evil.answer("/state_ids/", ["pdu_ids": .array(ids), "auth_chain_ids": []])
            scene.evil.answer(
                "/backfill/",
                [
                    "origin": "evil.test", "origin_server_ts": 1,
                    "pdus": .array((before + [withheld, second]).reversed().map { JSONValue($0.document.root) }),
                ])
            for event in [withheld, second] {
                try await scene.evil.send([event.canonicalJSON], to: scene.servers.a)
                #expect(try await scene.judged(event.id).flags == .softFailed)
            }
            try await scene.evil.send([news.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(news.id).flags == [])
            func ends() async throws -> [EventID] {
                let room = try #require(try await scene.servers.a.reader.record(scene.room))
                return try await scene.servers.a.environment.database.read {
                    try EventLog($0, .plain).backwardExtremities(room: room.nid)
                }
            }
            #expect(try await ends() == [second.id])
            #expect(try await texts(scene.servers.alice, scene.room, limit: 10) == ["news", "second", "first"])
            #expect(try await ends() == [])
        }
    }

    @Test(arguments: [false, true])
    func `history that the state before it forbids is not shown, and hides nothing that it follows`(
        wasThere: Bool
    ) async throws {
        try await HostileServerTests.play("11") { scene in
            let (servers, a) = (scene.servers, scene.servers.a)
            if wasThere {
                try await servers.bob.join(scene.room, via: a)
                try await servers.bob.act("leave", scene.room)
                try await eventually { try await a.membership(servers.bob.user, scene.room) == .leave }
            }
            try await servers.alice.say("long ago", scene.room)
            try await servers.alice.act("kick", scene.room, on: scene.mallory)
            let id = try #require(try await a.state(scene.room)[.init(.member, scene.mallory.text)])
            let kick = try #require(try await a.event(id)).pdu
            func member(_ membership: String, after prev: PDU, auth: [PDU]) throws -> PDU {
                try scene.evil.event(
                    "m.room.member", by: scene.mallory, stateKey: scene.mallory.text,
                    ["membership": .string(membership)], in: scene.room, version: scene.version, after: [prev],
                    auth: auth)
            }
            // Its auth events allow it; who was kicked cannot leave.
            let leave = try member("leave", after: kick, auth: scene.authorizing())
            let others = scene.authorizing([.create, .powerLevels, .joinRules]).filter { $0.id != scene.join.id }
            let back = try member("join", after: leave, auth: others + [kick])
            for (event, flags) in [(leave, EventFlags.rejected), (back, EventFlags())] {
                try await scene.evil.send([event.canonicalJSON], to: a)
                #expect(try await scene.judged(event.id).flags == flags)
            }
            let told = [back, leave].map { JSONValue($0.document.root) }
            scene.evil.answer(
                "/backfill/", ["origin": "evil.test", "origin_server_ts": 1, "pdus": .array(told)])

            try await servers.bob.join(scene.room, via: a)
            servers.network.set {
                $0.host == "a.test" && $0.pathAndQuery.contains("/backfill/") ? .unreachable : .delivered
            }
            #expect(try await texts(servers.bob, scene.room, limit: 5) == [])
            let stored = try #require(try await servers.b.event(leave.id))
            #expect(stored.flags == .rejected && stored.position == nil && stored.stateAfter != nil)
            #expect(try await servers.b.event(back.id)?.position != nil)

            servers.network.set()
            try await eventually { try await texts(servers.bob, scene.room, limit: 5) == ["long ago"] }
            #expect(try await servers.b.event(leave.id)?.position == nil)
            let shown = try #require(try await servers.b.event(kick.id))
            #expect(shown.position != nil && shown.stateAfter != nil)
        }
    }

    @Test(arguments: [false, true])
    func `history that nothing leads to is not taken`(isGap: Bool) async throws {
        try await HostileServerTests.play("11") { scene in
            let (servers, a) = (scene.servers, scene.servers.a)
            let ids = (scene.state + [scene.join]).map { JSONValue.string($0.id.text) }
            scene.evil.answer("/state_ids/", ["pdu_ids": .array(ids), "auth_chain_ids": []])
            scene.evil.answer("/get_missing_events/", ["events": []])
            let stray = try scene.message("as if it had been said", after: [scene.message("ghost")])
            func tell(_ events: [PDU]) {
                let pdus = (events + [stray]).map { JSONValue($0.document.root) }
                scene.evil.answer("/backfill/", ["origin": "evil.test", "origin_server_ts": 1, "pdus": .array(pdus)])
            }
            if isGap {
                let behind = try scene.message("behind")
                let news = try scene.message("news", after: [behind])
                tell([behind])
                try await scene.evil.send([news.canonicalJSON], to: a)
                #expect(try await scene.judged(news.id).flags == [])
                try await eventually {
                    try await texts(servers.alice, scene.room, limit: 10) == ["news", "behind"]
                }
            } else {
                let said = try await servers.alice.say("long ago", scene.room)
                // To the beginning, so that nothing more is asked for.
                tell([try #require(try await a.event(said)).pdu, scene.join] + scene.state)
                try await servers.bob.join(scene.room, via: a)
                servers.network.set {
                    $0.host == "a.test" && $0.pathAndQuery.contains("/backfill/") ? .unreachable : .delivered
                }
                try await eventually { try await texts(servers.bob, scene.room, limit: 10) == ["long ago"] }
            }
            #expect(try await (isGap ? a : servers.b).event(stray.id) == nil)
        }
    }

    @Test func `news that comes as if it were history is taken for news`() async throws {
        try await HostileServerTests.play("11") { scene in
            let (servers, a) = (scene.servers, scene.servers.a)
            try await servers.bob.join(scene.room, via: a)
            // Bob's server hears of nothing that follows but what Mallory's says was before Bob came.
            servers.network.set { $0.host == "b.test" && $0.pathAndQuery.contains("/send/") ? .swallowed : .delivered }
            let said = try await servers.alice.say("late", scene.room)
            try await servers.alice.act("kick", scene.room, on: servers.bob.user)
            let id = try #require(try await a.state(scene.room)[.init(.member, servers.bob.user.text)])
            let news = [try #require(try await a.event(id)).pdu, try #require(try await a.event(said)).pdu]
            scene.evil.answer(
                "/backfill/",
                [
                    "origin": "evil.test", "origin_server_ts": 1,
                    "pdus": .array(news.map { JSONValue($0.document.root) }),
                ])
            servers.network.set {
                $0.host == "a.test" && $0.pathAndQuery.contains("/backfill/") ? .unreachable : .delivered
            }
            #expect(try await texts(servers.bob, scene.room, limit: 5) == [])
            #expect(try await servers.b.event(id) == nil)
            #expect(try await servers.b.event(said) == nil)

            // When Bob speaks, Alice's server tells him.
            try await servers.bob.say("hello?", scene.room)
            try await eventually { try await servers.b.membership(servers.bob.user, scene.room) == .leave }
        }
    }

    @Test func `history of which nobody tells the state before it waits until somebody does`() async throws {
        try await HostileServerTests.play("11") { scene in
            let behind = try scene.message("behind", after: [scene.message("lost")])
            let news = try scene.message("news", after: [behind])
            scene.evil.answer("/get_missing_events/", ["events": []])
            scene.evil.answer(
                "/backfill/",
                ["origin": "evil.test", "origin_server_ts": 1, "pdus": [JSONValue(behind.document.root)]])
            let ids = (scene.state + [scene.join]).map { JSONValue.string($0.id.text) }
            let told: JSONValue = ["pdu_ids": .array(ids), "auth_chain_ids": []]
            scene.evil.answer("/state_ids/", told)
            try await scene.evil.send([news.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(news.id).flags == [])

            scene.evil.answer("/state_ids/", told, refusing: 1_000)
            #expect(try await texts(scene.servers.alice, scene.room, limit: 10) == ["news"])
            #expect(try await scene.servers.a.event(behind.id) == nil)
            scene.evil.answer("/state_ids/", told)
            try await eventually {
                try await texts(scene.servers.alice, scene.room, limit: 10) == ["news", "behind"]
            }
        }
    }

    @Test func `a directory is shown to other servers where the operator lets it`() async throws {
        try await TwoServers.run({ $0.federation.publicRooms = true }) { servers in
            let room = try await servers.alice.createRoom("12", ["visibility": "public", "name": "Tea"])
            _ = try await servers.alice.createRoom("12", ["name": "Hidden"])
            let answer = try await servers.bob.ask(
                .post, "/_matrix/client/v3/publicRooms?server=a.test", ["filter": ["generic_search_term": "tea"]])
            #expect(answer["chunk"]?.array?.map { $0["room_id"]?.string } == [room.text])
        }
        try await TwoServers.run { servers in
            await #expect(throws: MatrixError.self) {
                try await servers.bob.ask(.post, "/_matrix/client/v3/publicRooms?server=a.test", [:])
            }
        }
    }

    @Test func `an alias of another server leads into its room`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("12", ["room_alias_name": "tea"])
            let answer = try await servers.bob.ask(.post, "/_matrix/client/v3/join/\(percent("#tea:a.test"))", [:])
            #expect(answer["room_id"]?.string == room.text)
            #expect(try await servers.a.membership(servers.bob.user, room) == .join)
        }
    }

    @Test func `who joins late finds what was said at a time before`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("12")
            var said: [EventID] = []
            for number in 0..<5 {
                said.append(try await servers.alice.say("\(number)", room))
                try await ContinuousClock().sleep(for: .milliseconds(1))
            }
            try await servers.bob.join(room, via: servers.a)
            let time = try #require(try await servers.a.event(said[2])).pdu.originServerTimestamp
            let path = "/_matrix/client/v1/rooms/\(percent(room.text))"
            for (ts, direction, id) in [(time, "f", said[2]), (time + 1, "b", said[2])] {
                let found = try await servers.bob.ask(.get, path + "/timestamp_to_event?ts=\(ts)&dir=\(direction)")
                #expect(found["event_id"]?.string == id.text)
            }
            let context = try await servers.bob.ask(
                .get, "/_matrix/client/v3/rooms/\(percent(room.text))/context/\(percent(said[2].text))?limit=2")
            #expect(context["event"]?["content"]?["body"]?.string == "2")
            await #expect(throws: MatrixError.self) {
                try await servers.bob.ask(.get, path + "/timestamp_to_event?ts=1&dir=b")
            }
        }
    }

    @Test func `a server in the room is told which event is closest to a time`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.alice.createRoom("11")
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let (join, _) = try await evil.join(try UserID("@mallory:evil.test"), room, on: servers.a)
            let path = "/_matrix/federation/v1/timestamp_to_event/\(percent(room.text))"
            let last = try await evil.ask(servers.a, .get, path + "?ts=9000000000000&dir=b")
            #expect(last.body["event_id"]?.string == join.id.text)
            #expect(try await evil.ask(servers.a, .get, path + "?ts=9000000000000&dir=f").status == 404)
            #expect(try await evil.ask(servers.a, .get, path + "?ts=x&dir=f").status == 400)
        }
    }
}
