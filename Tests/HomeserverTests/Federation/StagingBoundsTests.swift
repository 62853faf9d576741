import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

/// How much of what cannot be judged waits, of whom, and whom that holds up.
@Suite("Bounds of what waits to be judged", .serialized) struct StagingBoundsTests {
    private typealias Scene = HostileServerTests.Scene

    /// Another server played by the test, with a user in the room.
    private struct Guest {
        let server: HandmadeServer
        let user: UserID
        let join: PDU
        let scene: HostileServerTests.Scene

        init(_ name: String, _ scene: HostileServerTests.Scene) async throws {
            server = try HandmadeServer(name, on: scene.servers.network)
            user = try UserID("@guest:\(name)")
            join = try await server.join(user, scene.room, on: scene.servers.a).join
            self.scene = scene
        }

        func message(_ text: String, after prev: [PDU]? = nil, auth: [PDU] = []) throws -> PDU {
            try server.event(
                "m.room.message", by: user, ["body": .string(text)], in: scene.room, version: scene.version,
                after: prev ?? [join], auth: scene.authorizing().filter { $0.id != scene.join.id } + [join] + auth)
        }

        /// A message after one that nobody has but this server.
        func afterHidden(_ text: String) throws -> (hidden: PDU, message: PDU) {
            let hidden = try message("before \(text)")
            return (hidden, try message(text, after: [hidden]))
        }
    }

    /// Events that build on what nobody has.
    private func lost(_ count: Int, _ scene: Scene) throws -> [PDU] {
        try (0..<count).map { try scene.message("lost \($0)", after: [scene.message("ghost \($0)")]) }
    }

    /// Sends events in one transaction. Gives the ids of those that were refused.
    private func refused(_ pdus: [PDU], by server: HandmadeServer, _ scene: Scene) async throws -> Set<EventID> {
        let answer = try await server.send(pdus.map(\.canonicalJSON), to: scene.servers.a)
        #expect(answer.status == 200)
        return Set(pdus.map(\.id).filter { answer.body["pdus"]?[$0.text]?["error"]?.string != nil })
    }

    private func waiting(_ scene: Scene) async throws -> Int {
        try await scene.servers.a.environment.database.read {
            try $0.query("SELECT COUNT(*) FROM inbound_staging").first?.int(0) ?? 0
        }
    }

    /// Keeps this server from fetching for a room while a test stages events for it.
    private func stopping(_ scene: Scene, _ work: () async throws -> Void) async throws {
        let lane = InboundStaging.Lane(roomID: scene.room.text, fetches: true)
        let database = scene.servers.a.environment.database
        // Until something is tried again, the server may not have taken its rights back yet, as it does at its start.
        let waker = try await Guest("waker.test", scene)
        _ = try await refused([waker.afterHidden("never").message], by: waker.server, scene)
        try await triedTwice(scene)
        try await eventually {
            try await database.write { try InboundStaging($0).lease(lane, holder: "test", now: .max - 1, until: .max) }
        }
        try await work()
        try await database.write { try InboundStaging($0).release(lane, holder: "test") }
    }

    @Test func `a room that one server has filled is open to the others`() async throws {
        try await HostileServerTests.play("11", { $0.limits.stagedPerRoom = 10 }) { scene in
            let good = try await Guest("good.test", scene)
            for _ in 0..<3 {
                _ = try await refused(try lost(10, scene), by: scene.evil, scene)
                #expect(try await waiting(scene) <= 10)
            }
            let (hidden, message) = try good.afterHidden("after what must be fetched")
            good.server.answer("/get_missing_events/", ["events": [JSONValue(hidden.document.root)]])
            #expect(try await refused([good.message("heard"), message], by: good.server, scene).isEmpty)
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await scene.servers.a.messages(scene.room).contains("heard"))
            #expect(try await waiting(scene) <= 10)
        }
    }

    @Test func `what of a server cannot be judged in one room keeps it out of no other`() async throws {
        try await HostileServerTests.play("11", { $0.limits.stagedPerOriginInRoom = 3 }) { scene in
            let good = try await Guest("good.test", scene)
            let other = try await scene.servers.alice.createRoom("11")
            let (join, state) = try await scene.evil.join(scene.mallory, other, on: scene.servers.a)
            let auth = state.filter { [.create, .powerLevels].contains($0.type) && $0.stateKey == "" } + [join]
            let welcome = try scene.evil.event(
                "m.room.message", by: scene.mallory, ["body": "welcome"], in: other, version: join.version,
                after: [join], auth: auth)
            let lost = try lost(4, scene)
            let refused = try await refused(lost + [welcome], by: scene.evil, scene)
            #expect(refused == [lost[3].id])
            #expect(try await scene.judged(welcome.id).flags == [])
            try await eventually {
                try await scene.servers.a.environment.database.read {
                    try InboundStaging($0).shares(of: "evil.test", in: [scene.room.text])[scene.room.text]?.held == 3
                }
            }
            let message = try scene.message("one too many")
            #expect(try await self.refused([message], by: scene.evil, scene) == [message.id])
            #expect(try await self.refused([good.message("heard")], by: good.server, scene).isEmpty)
            try await eventually { try await scene.servers.a.messages(scene.room) == ["heard"] }
        }
    }

    @Test func `a server is asked to come again while too much of it waits in all rooms`() async throws {
        try await HostileServerTests.play("11", { $0.limits.stagedPerOrigin = 3 }) { scene in
            let good = try await Guest("good.test", scene)
            #expect(try await refused(try lost(3, scene), by: scene.evil, scene).isEmpty)
            let answer = try await scene.evil.send([try scene.message("late").canonicalJSON], to: scene.servers.a)
            #expect(answer.status == 429)
            #expect(try await refused([good.message("heard")], by: good.server, scene).isEmpty)
            try await eventually { try await scene.servers.a.messages(scene.room) == ["heard"] }
        }
    }

    @Test func `of a server that has nobody in the room little waits`() async throws {
        try await HostileServerTests.play("11") { scene in
            let stranger = try HandmadeServer("stranger.test", on: scene.servers.network)
            let ghost = try scene.message("ghost")
            let events = try (0..<51).map { number in
                try stranger.event(
                    "m.room.message", by: try UserID("@nobody:stranger.test"), ["body": "\(number)"], in: scene.room,
                    version: scene.version, after: [scene.join], auth: scene.authorizing() + [ghost])
            }
            #expect(try await refused(Array(events.prefix(50)), by: stranger, scene).isEmpty)
            #expect(try await refused([events[50]], by: stranger, scene) == [events[50].id])
            // Who has somebody there may have more.
            let lost = try lost(51, scene)
            #expect(try await refused(Array(lost.prefix(50)), by: scene.evil, scene).isEmpty)
            #expect(try await refused([lost[50]], by: scene.evil, scene).isEmpty)
        }
    }

    @Test func `of all too much in a room who is not in it loses first, though it sent less`() async throws {
        try await HostileServerTests.play("11", { $0.limits.stagedPerRoom = 8 }) { scene in
            let stranger = try HandmadeServer("stranger.test", on: scene.servers.network)
            let ghost = try scene.message("ghost")
            let events = try (0..<3).map { number in
                try stranger.event(
                    "m.room.message", by: try UserID("@nobody:stranger.test"), ["body": "\(number)"], in: scene.room,
                    version: scene.version, after: [scene.join], auth: scene.authorizing() + [ghost])
            }
            #expect(try await refused(events, by: stranger, scene).isEmpty)
            #expect(try await refused(try lost(6, scene), by: scene.evil, scene).isEmpty)
            func left(_ server: String) async throws -> Int? {
                let share = try await scene.servers.a.environment.database.read {
                    try InboundStaging($0).shares(of: server, in: [scene.room.text])[scene.room.text]
                }
                return share.map { $0.held + $0.fresh }
            }
            #expect(try await left("stranger.test") == 2)
            #expect(try await left("evil.test") == 6)
        }
    }

    @Test func `who sent much that must be fetched for holds up nobody by more than a turn`() async throws {
        try await HostileServerTests.play("11") { scene in
            let good = try await Guest("good.test", scene)
            // Each of them is told a state that does not allow it: it is judged at once, and the next could follow.
            let ids = scene.state.map { JSONValue.string($0.id.text) }
            scene.evil.answer("/get_missing_events/", ["events": []])
            scene.evil.answer("/state_ids/", ["pdu_ids": .array(ids), "auth_chain_ids": []])
            let (hidden, message) = try good.afterHidden("heard")
            good.server.answer("/get_missing_events/", ["events": [JSONValue(hidden.document.root)]])
            let network = scene.servers.network
            try await stopping(scene) {
                _ = try await refused(try lost(10, scene), by: scene.evil, scene)
                _ = try await refused([message], by: good.server, scene)
                try await eventually {
                    try await scene.servers.a.environment.database.read {
                        try $0.query("SELECT 1 FROM inbound_staging WHERE needs_fetch = 0").isEmpty
                    }
                }
            }
            #expect(try await scene.judged(message.id).flags == [])
            try await eventually {
                try await scene.servers.a.environment.database.read {
                    try InboundStaging($0).shares(of: "evil.test", in: [scene.room.text]).isEmpty
                }
            }
            let asked = network.paths.filter { $0.contains("/get_missing_events/") && !$0.hasPrefix("waker.test") }
            let turn = try #require(asked.firstIndex { $0.hasPrefix("good.test") })
            #expect(turn <= 1)
            #expect(asked.filter { $0.hasPrefix("evil.test") }.count >= 10)
        }
    }

    @Test func `who passes an event on and tells nothing more does not keep it from us`() async throws {
        try await HostileServerTests.play("11") { scene in
            let good = try await Guest("good.test", scene)
            let (hidden, message) = try good.afterHidden("heard")
            good.server.answer("/get_missing_events/", ["events": [JSONValue(hidden.document.root)]])
            #expect(try await refused([message], by: scene.evil, scene).isEmpty)
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await scene.servers.a.messages(scene.room) == ["before heard", "heard"])
            #expect(wasAsked(scene))
        }
    }

    @Test func `the sender's own server is asked about an event that waits once that has sent it`() async throws {
        try await HostileServerTests.play("11") { scene in
            let good = try await Guest("good.test", scene)
            let (hidden, message) = try good.afterHidden("heard")
            good.server.answer("/get_missing_events/", ["events": [JSONValue(hidden.document.root)]])
            try await stopping(scene) {
                for server in [scene.evil, good.server] {
                    let refused = try await refused([message], by: server, scene)
                    #expect(refused.isEmpty)
                }
            }
            #expect(try await scene.judged(message.id).flags == [])
            #expect(!wasAsked(scene))
        }
    }

    /// Whether the server that passed an event on was asked for what comes before it.
    private func wasAsked(_ scene: Scene) -> Bool {
        scene.servers.network.paths.contains { $0.hasPrefix("evil.test") && $0.contains("missing_events") }
    }

    // MARK: What is fetched

    @Test(arguments: [1, 2])
    func `of auth events so many are taken as the operator lets`(limit: Int) async throws {
        try await HostileServerTests.play("11", { $0.limits.authEventsFetched = limit }) { scene in
            let renamed = try scene.evil.event(
                "m.room.member", by: scene.mallory, stateKey: scene.mallory.text,
                ["membership": "join", "displayname": "renamed"], in: scene.room, version: scene.version,
                after: [scene.join], auth: scene.authorizing([.create, .powerLevels, .joinRules]))
            let auth = scene.authorizing().filter { $0.id != scene.join.id } + [renamed]
            let message = try scene.message("after", auth: auth)
            scene.evil.answer(
                "/event_auth/", ["auth_chain": [JSONValue(scene.join.document.root), JSONValue(renamed.document.root)]])
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            guard limit == 1 else {
                #expect(try await scene.judged(message.id).flags == [])
                return
            }
            try await triedTwice(scene)
            #expect(try await scene.servers.a.event(message.id) == nil)
        }
    }

    @Test(arguments: [39, 40])
    func `of a state so many events are taken as the operator lets`(before: Int) async throws {
        try await HostileServerTests.play("11", { $0.limits.stateEventsFetched = 40 }) { scene in
            let message = try scene.message("after", after: [scene.message("ghost")])
            // What is told twice counts twice, but stands once in the state, the one create event too.
            let create = try #require(scene.state.first { $0.type == .create }).id
            let ids = [scene.join.id] + scene.state.map(\.id)
            let padding = [EventID](repeating: create, count: before + 1 - ids.count)
            scene.evil.answer("/get_missing_events/", ["events": []])
            scene.evil.answer(
                "/state_ids/",
                ["pdu_ids": .array((ids + padding).map { .string($0.text) }), "auth_chain_ids": []])
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            guard before == 40 else {
                #expect(try await scene.judged(message.id).flags == [])
                return
            }
            // A part of a state is none: it is asked for again.
            try await triedTwice(scene)
            #expect(try await scene.servers.a.event(message.id) == nil)
        }
    }

    @Test func `a room whose state is larger than the operator lets is not joined`() async throws {
        try await TwoServers.run({ $0.limits.stateEventsFetched = 3 }) { servers in
            let room = try await servers.alice.createRoom("12")
            await #expect(throws: MatrixError.self) { try await servers.bob.join(room, via: servers.a) }
            #expect(try await servers.b.membership(servers.bob.user, room) != .join)
        }
    }

    private func triedTwice(_ scene: Scene) async throws {
        try await eventually {
            try await scene.servers.a.environment.database.read {
                try !$0.query("SELECT 1 FROM inbound_staging WHERE tries > 1").isEmpty
            }
        }
    }

    @Test func `who sent an event too is asked where neither the first to send it nor its own server tells`()
        async throws
    {
        try await HostileServerTests.play { scene in
            var guests: [Guest] = []
            for name in ["first.test", "deaf.test", "second.test"] { guests.append(try await Guest(name, scene)) }
            let hidden = try scene.message("hidden")
            let message = try scene.message("after it", after: [hidden])
            guests[2].server.answer("/get_missing_events/", ["events": [JSONValue(hidden.document.root)]])
            try await stopping(scene) {
                for guest in guests {
                    let refused = try await self.refused([message], by: guest.server, scene)
                    #expect(refused.isEmpty)
                }
            }
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await scene.servers.a.messages(scene.room) == ["hidden", "after it"])
        }
    }
}
