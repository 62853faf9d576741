import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Synchronization
import Testing

/// What a server learns late of its own place in a room. Found by the simulation.
@Suite("Departures and late events") struct DepartureTests {
    @Test(arguments: [["kick"], ["ban"], ["ban", "unban"], ["ban", "unban", "ban", "unban"]])
    func `a server that fell behind learns that its last user was removed`(verbs: [String]) async throws {
        try await TwoServers.run {
            $0.limits.outboxPerDestination = 3
        } _: { servers in
            let room = try await servers.sharedRoom("11")
            try await servers.agree(room)
            servers.network.set { $0.host == "b.test" ? .unreachable : .delivered }
            for number in 0..<8 { try await servers.alice.say("\(number)", room) }
            for verb in verbs { try await servers.alice.act(verb, room, on: servers.bob.user) }
            try await eventually {
                try await servers.a.environment.database.read {
                    try Outbox($0).destination("b.test")?.isCatchingUp ?? false
                }
            }
            servers.network.set()
            try await eventually { try await servers.b.membership(servers.bob.user, room) != .join }
        }
    }

    @Test func `a server that was removed may ask what led to that, and no more`() async throws {
        try await HostileServerTests.play { scene in
            try await scene.servers.alice.act("kick", scene.room, on: scene.mallory)
            let kick = try #require(try await scene.servers.a.state(scene.room)[.init(.member, scene.mallory.text)])
            let after = try await scene.servers.alice.say("after", scene.room)
            let room = percent(scene.room.text)
            for (event, status) in [(kick, 200), (after, 403)] {
                let id = percent(event.text)
                for path in [
                    "state_ids/\(room)?event_id=\(id)", "event/\(id)", "event_auth/\(room)/\(id)",
                    "backfill/\(room)?v=\(id)&limit=5",
                ] {
                    let answer = try await scene.evil.ask(scene.servers.a, .get, "/_matrix/federation/v1/\(path)")
                    #expect(answer.status == status, "\(path)")
                }
                let missing = try await scene.evil.ask(
                    scene.servers.a, .post, "/_matrix/federation/v1/get_missing_events/\(room)",
                    ["earliest_events": [.string(scene.join.id.text)], "latest_events": [.string(event.text)]])
                #expect(missing.status == status)
            }
        }
    }

    @Test func `who speaks without knowing that it was taken out is told so once more, and not again soon`()
        async throws
    {
        try await HostileServerTests.play { scene in
            let a = scene.servers.a
            let told = notingMemberships(scene)
            for verb in ["ban", "unban"] { try await scene.servers.alice.act(verb, scene.room, on: scene.mallory) }
            try await eventually { told.memberships.contains("leave") }
            let removal = told.memberships
            for text in ["unaware", "deaf"] {
                // What is on its way to it need not be sent again.
                try await eventually {
                    try await a.environment.database.read {
                        try Outbox($0).pendingPDUs(for: "evil.test", limit: 1).isEmpty
                    }
                }
                let message = try scene.message(text)
                try await scene.evil.send([message.canonicalJSON], to: a)
                #expect(try await scene.judged(message.id).flags == .softFailed)
                try await eventually { told.memberships.count == removal.count + 2 }
            }
            try await scene.servers.alice.act("ban", scene.room, on: scene.mallory)
            try await eventually { told.memberships.count > removal.count + 2 }
            #expect(told.memberships == removal + ["ban", "leave", "ban"])
        }
    }

    @Test func `who speaks behind what took it out is told of that too`() async throws {
        try await HostileServerTests.play { scene in
            let a = scene.servers.a
            let told = notingMemberships(scene)
            try await scene.servers.alice.act("ban", scene.room, on: scene.mallory)
            try await eventually { told.memberships == ["ban"] }
            try await eventually {
                try await a.environment.database.read {
                    try Outbox($0).pendingPDUs(for: "evil.test", limit: 1).isEmpty
                }
            }
            let id = try #require(try await a.state(scene.room)[StateKey(.member, scene.mallory.text)])
            let message = try scene.message("deaf", after: [#require(try await a.event(id)).pdu])
            try await scene.evil.send([message.canonicalJSON], to: a)
            #expect(try await scene.judged(message.id).flags == .rejected)
            try await eventually { told.memberships == ["ban", "ban"] }
        }
    }

    @Test func `who was in until the join rules changed elsewhere is told of these`() async throws {
        try await HostileServerTests.play { scene in
            let a = scene.servers.a
            let told = Told()
            scene.evil.answer("/send/") { transaction in
                told.note((transaction["pdus"]?.elements ?? []).compactMap { $0["type"]?.string })
                return ["pdus": [:]]
            }
            let third = try HandmadeServer("third.test", on: scene.servers.network)
            let judge = try UserID("@judge:third.test")
            let (join, _) = try await third.join(judge, scene.room, on: a)
            let levels: JSONValue = ["users": .object([scene.servers.alice.user.text: 100, judge.text: 90])]
            let id = try await scene.servers.alice.set("m.room.power_levels", levels, scene.room)
            let power = try #require(try await a.event(id)).pdu
            // Mallory goes and comes back, while the judge lets nobody in any more. Alice's rules come first where both are
            // resolved, for she has more power.
            func membership(_ membership: String, after prev: PDU, auth: [PDU]) throws -> PDU {
                try scene.evil.event(
                    "m.room.member", by: scene.mallory, stateKey: scene.mallory.text,
                    ["membership": .string(membership)], in: scene.room, version: scene.version, after: [prev],
                    auth: auth)
            }
            let leave = try membership("leave", after: power, auth: scene.authorizing([.create]) + [power])
            let rest = scene.authorizing([.create, .joinRules]).filter { $0.id != scene.join.id } + [power]
            let back = try membership("join", after: leave, auth: rest + [leave])
            let rules = try third.event(
                "m.room.join_rules", by: judge, stateKey: "", ["join_rule": "invite"], in: scene.room,
                version: scene.version, after: [leave],
                auth: scene.authorizing([.create]).filter { $0.id != scene.join.id } + [power, join])
            let old = try third.altered(rules) { $0["origin_server_ts"] = .integer(QuickClock().now() - 120_000) }
            for event in [leave, back] {
                try await scene.evil.send([event.canonicalJSON], to: a)
                #expect(try await scene.judged(event.id).flags == [])
            }
            try await third.send([old.canonicalJSON], to: a)
            #expect(try await scene.judged(old.id).flags == [])
            #expect(try await a.membership(scene.mallory, scene.room) == .leave)
            let before = told.memberships
            #expect(!before.contains("m.room.join_rules"))

            let auth = scene.authorizing([.create]).filter { $0.id != scene.join.id } + [power, back]
            let message = try scene.message("unaware", after: [back], auth: auth)
            try await scene.evil.send([message.canonicalJSON], to: a)
            #expect(try await scene.judged(message.id).flags == .softFailed)
            try await eventually { told.memberships.contains("m.room.join_rules") }
        }
    }

    // The tests' clock makes minutes of seconds: what may not grow old meanwhile is of the future.
    @Test(arguments: [(120_000, 1), (-3_600_000, 0)] as [(Int64, Int)])
    func `who was taken out by another server is told so by all, once that is old`(
        age: Int64, times: Int
    ) async throws {
        try await HostileServerTests.play { scene in
            let a = scene.servers.a
            let told = notingMemberships(scene)
            let third = try HandmadeServer("third.test", on: scene.servers.network)
            let judge = try UserID("@judge:third.test")
            let (join, _) = try await third.join(judge, scene.room, on: a)
            let levels: JSONValue = [
                "users": .object([scene.servers.alice.user.text: 100, judge.text: 100])
            ]
            let id = try await scene.servers.alice.set("m.room.power_levels", levels, scene.room)
            let power = try #require(try await a.event(id)).pdu
            let auth = scene.authorizing([.create]) + [power, join]
            let ban = try third.event(
                "m.room.member", by: judge, stateKey: scene.mallory.text, ["membership": "ban"], in: scene.room,
                version: scene.version, after: [power], auth: auth)
            let old = try third.altered(ban) { $0["origin_server_ts"] = .integer(QuickClock().now() - age) }
            try await third.send([old.canonicalJSON], to: a)
            #expect(try await scene.judged(old.id).flags == [])
            let message = try scene.message("unaware")
            try await scene.evil.send([message.canonicalJSON], to: a)
            #expect(try await scene.judged(message.id).flags == .softFailed)
            func bans() -> Int { told.memberships.count { $0 == "ban" } }
            try await eventually { bans() == times }
            try await scene.servers.alice.act("ban", scene.room, on: scene.mallory)
            try await eventually { bans() > times }
            #expect(bans() == times + 1)
        }
    }

    /// The memberships that the hostile server is sent from now on.
    private func notingMemberships(_ scene: HostileServerTests.Scene) -> Told {
        let told = Told()
        scene.evil.answer("/send/") { transaction in
            let memberships = (transaction["pdus"]?.elements ?? []).compactMap { pdu in
                pdu["type"]?.string == "m.room.member" ? pdu["content"]?["membership"]?.string : nil
            }
            told.note(memberships)
            return ["pdus": [:]]
        }
        return told
    }

    private final class Told: Sendable {
        private let noted = Mutex<[String]>([])
        var memberships: [String] { noted.withLock { $0 } }
        func note(_ memberships: [String]) { noted.withLock { $0 += memberships } }
    }

    @Test(arguments: [("ban", false), ("leave", false), ("ban", true)])
    func `a removal of ours counts at last, though nobody tells what led to it, and nothing else does`(
        membership: String, isOfAnAuthChain: Bool
    ) async throws {
        try await HostileServerTests.play { scene in
            let a = scene.servers.a
            let carol = try await a.register("carol")
            try await carol.join(scene.room, via: a)
            let levels: JSONValue = ["users": .object([scene.servers.alice.user.text: 100, scene.mallory.text: 50])]
            let id = try await scene.servers.alice.set("m.room.power_levels", levels, scene.room)
            let state = try await a.state(scene.room)
            let member = try #require(state[StateKey(.member, carol.user.text)])
            var auth = scene.authorizing([.create])
            for id in [id, member] { auth.append(try #require(try await a.event(id)).pdu) }
            let ghost = try scene.message("ghost")
            let removal = try scene.evil.event(
                "m.room.member", by: scene.mallory, stateKey: carol.user.text,
                ["membership": .string(membership)], in: scene.room, version: scene.version, after: [ghost], auth: auth)
            let word = try scene.message("after the ghost", after: [ghost])
            if isOfAnAuthChain {
                let naming = try scene.message("naming it", auth: scene.authorizing() + [removal])
                scene.evil.answer("/event_auth/", ["auth_chain": [JSONValue(removal.document.root)]])
                try await scene.evil.send([naming.canonicalJSON], to: a)
                try await eventually { try await a.event(removal.id)?.flags == .outlier }
            }
            for event in [word, removal] { try await scene.evil.send([event.canonicalJSON], to: a) }
            try await eventually {
                try await a.environment.database.read {
                    try !InboundStaging($0).waits(from: "evil.test", in: scene.room.text)
                }
            }
            let now = try await a.membership(carol.user, scene.room)?.rawValue
            #expect(now == (isOfAnAuthChain ? "join" : membership))
            #expect(try await a.event(removal.id)?.flags == (isOfAnAuthChain ? .outlier : .assumedState))
            // What follows it is judged by what is told, not by that.
            let record = try #require(try await a.reader.record(scene.room))
            #expect(try await a.reader.stateBefore([removal.id], in: record) == nil)
            // What builds on it by this server's word is let in.
            if !isOfAnAuthChain {
                let third = try HandmadeServer("third.test", on: scene.servers.network)
                _ = try await third.join(UserID("@guest:third.test"), scene.room, on: a)
            }
            #expect(try await a.event(word.id) == nil)
        }
    }

    @Test func `who left comes back only by a server that has heard of it`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom("11")
            try await servers.agree(room)
            servers.network.set {
                $0.host == "a.test" && $0.pathAndQuery.contains("/federation/v1/send/") ? .unreachable : .delivered
            }
            try await servers.bob.ask(.post, "/_matrix/client/v3/rooms/\(percent(room.text))/leave", [:])
            await #expect(throws: MatrixError.self) { try await servers.bob.join(room, via: servers.a) }
            #expect(try await servers.a.membership(servers.bob.user, room) == .join)

            servers.network.set()
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await servers.bob.join(room, via: servers.a)
            #expect(try await servers.a.membership(servers.bob.user, room) == .join)
            #expect(try await servers.b.membership(servers.bob.user, room) == .join)
        }
    }

    @Test func `who banned the last of another server does not come back by it before it knows`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom("11")
            try await servers.agree(room)
            servers.network.set {
                $0.host == "b.test" && $0.pathAndQuery.contains("/federation/v1/send/") ? .unreachable : .delivered
            }
            try await servers.alice.act("ban", room, on: servers.bob.user)
            try await servers.alice.say("alone", room)
            try await servers.alice.ask(.post, "/_matrix/client/v3/rooms/\(percent(room.text))/leave", [:])
            await #expect(throws: MatrixError.self) { try await servers.alice.join(room, via: servers.b) }
            #expect(try await servers.a.membership(servers.alice.user, room) == .leave)

            servers.network.set()
            try await eventually { try await servers.b.membership(servers.bob.user, room) == .ban }
            await #expect(throws: MatrixError.self) { try await servers.alice.join(room, via: servers.b) }
        }
    }

    @Test(arguments: ["11", "12"])
    func `who joined while the room was closed elsewhere learns of that`(_ version: String) async throws {
        try await TwoServers.run { servers in
            let c = try await TestHomeserver("c.test", on: servers.network)
            let carol = try await c.register("carol")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await c.instance.run() }
                let room = try await servers.alice.createRoom(version)
                try await carol.join(room, via: servers.a)
                try await servers.alice.say("before", room)
                try await eventually { try await c.messages(room) == ["before"] }
                servers.network.set { request in
                    let isSent = request.pathAndQuery.contains("/federation/v1/send/")
                    return isSent && ["a.test", "c.test"].contains(request.host) ? .unreachable : .delivered
                }
                try await servers.bob.join(room, via: c)
                try await servers.alice.set("m.room.join_rules", ["join_rule": "invite"], room)
                #expect(try await servers.b.membership(servers.bob.user, room) == .join)

                servers.network.set()
                try await eventually { try await c.membership(servers.bob.user, room) != .join }
                try await eventually { try await servers.b.membership(servers.bob.user, room) != .join }
                group.cancelAll()
            }
        }
    }

    @Test(arguments: ["1", "12"])
    func `what nobody got while its server was apart is heard after that came back by another`(
        version: String
    ) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom(version)
            try await servers.agree(room)
            servers.network.set {
                $0.host == "a.test" && $0.pathAndQuery.contains("/federation/v1/send/") ? .swallowed : .delivered
            }
            let said = try await servers.bob.say("apart", room)
            try await servers.alice.act("kick", room, on: servers.bob.user)
            try await eventually { try await servers.b.membership(servers.bob.user, room) == .leave }
            #expect(try await servers.a.event(said) == nil)

            servers.network.set()
            try await servers.bob.join(room, via: servers.a)
            #expect(try await servers.b.membership(servers.bob.user, room) == .join)
            let record = try #require(try await servers.b.reader.record(room))
            let newest = try await servers.b.environment.database.read {
                try EventLog($0, .plain).ids(record.extremities)
            }
            #expect(newest.count == 2 && newest.values.contains(said))
            try await servers.bob.say("back", room)
            try await eventually { try await Set(servers.a.messages(room)) == ["apart", "back"] }
            try await servers.agree(room)
            #expect(try await servers.b.reader.record(room)?.extremities.count == 1)
        }
    }

    @Test func `who comes back follows nothing that its resident has`() async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom()
            try await servers.bob.say("before", room)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await servers.alice.say("meanwhile", room)
            try await servers.bob.join(room, via: servers.a)
            #expect(try await servers.b.reader.record(room)?.extremities.count == 1)
            try await eventually { try await servers.a.state(room) == servers.b.state(room) }
        }
    }

    @Test func `a server that was never in a room may not ask about the ban of its user`() async throws {
        try await HostileServerTests.play { scene in
            let room = try await scene.servers.alice.createRoom("11", ["preset": "private_chat"])
            try await scene.servers.alice.say("secret", room)
            try await scene.servers.alice.act("ban", room, on: scene.mallory)
            let ban = try #require(try await scene.servers.a.state(room)[.init(.member, scene.mallory.text)])
            let (name, id) = (percent(room.text), percent(ban.text))
            for path in ["state_ids/\(name)?event_id=\(id)", "backfill/\(name)?v=\(id)&limit=5"] {
                let answer = try await scene.evil.ask(scene.servers.a, .get, "/_matrix/federation/v1/\(path)")
                #expect(answer.status == 403, "\(path)")
            }
            let missing = try await scene.evil.ask(
                scene.servers.a, .post, "/_matrix/federation/v1/get_missing_events/\(name)",
                ["earliest_events": [], "latest_events": [.string(ban.text)]])
            #expect(missing.status == 403)
        }
    }

    @Test func `who left is not told so once more when another comes back, and what was forgotten stays so`()
        async throws
    {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom("11")
            let b = servers.b
            let (ben, beth) = (try await b.register("ben"), try await b.register("beth"))
            for user in [ben, beth] {
                try await user.join(room, via: servers.a)
                try await user.act("leave", room)
            }
            try await beth.act("forget", room)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            func sync(_ user: TestHomeserver.Client, _ query: String) async throws -> JSONValue {
                try await user.ask(.get, "/_matrix/client/v3/sync?timeout=0&" + query)
            }
            let since = try #require(try await sync(ben, "")["next_batch"]?.string)

            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await b.membership(servers.bob.user, room) == .join }
            #expect(try await sync(ben, "since=\(since)")["rooms"]?["leave"] == [:])
            let filter = percent(#"{"room":{"include_leave":true}}"#)
            #expect(try await sync(ben, "filter=\(filter)")["rooms"]?["leave"]?[room.text] != nil)
            #expect(try await sync(beth, "filter=\(filter)")["rooms"]?["leave"] == [:])
        }
    }

    @Test func `who comes in by another is sent what its join does not follow`() async throws {
        try await HostileServerTests.play { scene in
            let late = try HandmadeServer("late.test", on: scene.servers.network)
            let user = try UserID("@late:late.test")
            try await scene.servers.alice.say("apart", scene.room)
            let auth = scene.authorizing([.create, .powerLevels, .joinRules]).filter { $0.id != scene.join.id }
            func join(after prev: PDU) throws -> PDU {
                try late.event(
                    "m.room.member", by: user, stateKey: user.text, ["membership": "join"], in: scene.room,
                    version: scene.version, after: [prev], auth: auth)
            }
            func sent() -> Int {
                scene.servers.network.paths.count { $0.hasPrefix("late.test/_matrix/federation/v1/send/") }
            }
            let first = try join(after: scene.join)
            try await late.send([first.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(first.id).flags == [])
            try await eventually { sent() == 1 }
            // Who is in already is not.
            let second = try join(after: first)
            try await late.send([second.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(second.id).flags == [])
            try await scene.servers.alice.say("all", scene.room)
            try await eventually { sent() >= 2 }
            #expect(sent() == 2)
        }
    }

    @Test func `a join waits until what its server sent of the room before is judged`() async throws {
        try await HostileServerTests.play { scene in
            let lost = try scene.message("lost")
            let message = try scene.message("after it", after: [lost])
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            let other = try UserID("@other:evil.test")
            let path = "make_join/\(percent(scene.room.text))/\(percent(other.text))?ver=11"
            func template() async throws -> (status: Int, body: JSONView) {
                try await scene.evil.ask(scene.servers.a, .get, "/_matrix/federation/v1/\(path)")
            }
            let early = try await template()
            #expect(early.status == 400 && early.body["errcode"]?.string == "M_UNABLE_TO_AUTHORISE_JOIN")
            // Of another server nothing waits.
            try await scene.servers.bob.join(scene.room, via: scene.servers.a)

            let ids = (scene.state + [scene.join]).map { JSONValue.string($0.id.text) }
            scene.evil.answer("/state_ids/", ["pdu_ids": .array(ids), "auth_chain_ids": []])
            let waiting = try await scene.servers.a.environment.database.read {
                try InboundStaging($0).waits(from: "evil.test", in: scene.room.text)
            }
            #expect(waiting)
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await template().status == 200)
        }
    }

    @Test func `an event that comes after those that follow it is not among the newest`() async throws {
        try await HostileServerTests.play { scene in
            let first = try scene.message("first")
            let second = try scene.message("second", after: [first])
            scene.evil.answer("/get_missing_events/", ["events": []])
            let ids = (scene.state + [scene.join]).map { JSONValue.string($0.id.text) }
            scene.evil.answer("/state_ids/", ["pdu_ids": .array(ids), "auth_chain_ids": []])
            try await scene.evil.send([second.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(second.id).flags == [])
            try await scene.evil.send([first.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(first.id).flags == [])
            let record = try #require(try await scene.servers.a.reader.record(scene.room))
            let newest = try await scene.servers.a.environment.database.read {
                try EventLog($0, .plain).ids(record.extremities)
            }
            #expect(Array(newest.values) == [second.id])
        }
    }
}
