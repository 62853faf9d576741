import Cryptography
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import SQLiteEngine
import Testing

/// Events that are not what they say: in another's name, under another's id, or with other words in them.
@Suite("Tampered events") struct TamperedEventsTests {
    typealias Scene = HostileServerTests.Scene

    private static let wrongHash: JSONValue = [
        "sha256": .string(Base64.encode([UInt8](repeating: 0, count: 32), .standardUnpadded))
    ]

    /// A transaction's answer to one event: nil where it is taken.
    private func refusal(_ event: PDU, by server: HandmadeServer, _ scene: Scene) async throws -> String? {
        let answer = try await server.send([event.canonicalJSON], to: scene.servers.a)
        #expect(answer.status == 200)
        return answer.body["pdus"]?[event.id.text]?["error"]?.string
    }

    // MARK: In another's name

    @Test(arguments: ["1", "6", "10", "11", "12"])
    func `what a wrong hash would leave of an invite to an address is no invite in another's name`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let friend = try UserID("@friend:evil.test")
            let alice = scene.servers.alice.user
            let auth = scene.state.filter { event in
                [.create, .powerLevels, .joinRules].contains(event.type) && event.stateKey == ""
                    && !(event.type == .create && scene.version.rules.roomIDIsCreateEventHash)
                    || event.type == .member && event.stateKey == alice.text
            }
            let invites: [JSONValue] = [
                true, "x", [], [:], ["signed": "x"], ["signed": ["mxid": .string(friend.text), "token": "t"]],
            ]
            for invite in invites {
                let honest = try scene.evil.event(
                    "m.room.member", by: alice, stateKey: friend.text,
                    ["membership": "invite", "third_party_invite": invite], in: scene.room, version: scene.version,
                    after: [scene.join], auth: auth)
                let forged = try scene.evil.altered(honest, hashing: false) { $0["hashes"] = Self.wrongHash }
                let isStillOne = try forged.redacted().content["third_party_invite"]?["signed"]?.kind == .object
                #expect((try await refusal(forged, by: scene.evil, scene) == nil) == isStillOne, "\(invite)")
                try await scene.settled()
                #expect(try await scene.servers.a.membership(friend, scene.room) == nil, "\(invite)")
            }
        }
    }

    // MARK: Under another's id

    /// Another room of Alice's with Mallory, and a message of hers there under the id of one of the first room's.
    private func twin(
        of event: PDU, _ scene: Scene
    ) async throws -> (room: RoomID, event: PDU) {
        let room = try await scene.servers.alice.createRoom("1")
        let (join, state) = try await scene.evil.join(scene.mallory, room, on: scene.servers.a)
        let auth = state.filter { [.create, .powerLevels].contains($0.type) } + [join]
        let said = try scene.evil.event(
            "m.room.message", by: scene.mallory, ["body": "there"], in: room, version: scene.version, after: [join],
            auth: auth)
        return (room, try scene.evil.altered(said) { $0["event_id"] = .string(event.id.text) })
    }

    @Test(arguments: [false, true])
    func `an event under the id of another room's is refused, and holds up neither room`(
        isOutlier: Bool
    ) async throws {
        try await HostileServerTests.play("1") { scene in
            let first = try scene.message("here")
            let (room, second) = try await twin(of: first, scene)
            let writer = RoomWriter(environment: scene.servers.a.environment, reader: scene.servers.a.reader)
            if isOutlier {
                _ = try await writer.append(
                    [JudgedPDU(pdu: first, verdict: .accepted, stateBefore: nil, isOutlier: true)], to: scene.room)
            } else {
                #expect(try await refusal(first, by: scene.evil, scene) == nil)
                try await scene.settled()
            }
            #expect(try await refusal(second, by: scene.evil, scene) == "its id is another event's")
            try await scene.settled()
            #expect(try await scene.servers.a.messages(room).isEmpty)
            #expect(try await scene.servers.a.event(first.id)?.pdu.roomID == scene.room)

            // Whoever has judged it all the same cannot write it.
            let record = try #require(try await scene.servers.a.reader.record(room))
            await #expect(throws: (any Error).self) {
                try await writer.append(
                    [JudgedPDU(pdu: second, verdict: .accepted, stateBefore: record.state)], to: room)
            }
            #expect(try await scene.servers.a.reader.record(room)?.extremities == record.extremities)

            #expect(try await refusal(first, by: scene.evil, scene) == nil)
            let next = try scene.message("next", after: [first])
            #expect(try await refusal(next, by: scene.evil, scene) == nil)
            try await scene.settled()
            #expect(try await scene.servers.a.messages(scene.room) == ["here", "next"])
            try await scene.servers.alice.say("still there", room)
            #expect(try await scene.servers.a.messages(room) == ["still there"])
        }
    }

    @Test(arguments: ["1", "2"]) func `an id whose event is here is not given to another content`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let first = try scene.message("one")
            #expect(try await refusal(first, by: scene.evil, scene) == nil)
            #expect(try await scene.judged(first.id).flags == [])
            let second = try scene.evil.altered(first) { $0["content"] = ["body": "two"] }
            #expect(second.id == first.id)
            #expect(try await refusal(second, by: scene.evil, scene) == "its id is another event's")
            // The same event, whole or redacted, is nothing new.
            #expect(try await refusal(first, by: scene.evil, scene) == nil)
            #expect(try await refusal(try first.redacted(), by: scene.evil, scene) == nil)
            try await scene.settled()
            #expect(try await scene.servers.a.messages(scene.room) == ["one"])
        }
    }

    @Test(arguments: ["1", "11"]) func `an event that names another room's events is rejected, and leads to none of it`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let room = try await scene.servers.alice.createRoom(version)
            let (join, state) = try await scene.evil.join(scene.mallory, room, on: scene.servers.a)
            let strange = state.filter { [.create, .powerLevels].contains($0.type) && $0.stateKey == "" } + [join]
            let event = try scene.message("by their leave", auth: strange)
            try await scene.evil.send([event.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(event.id).flags == .rejected)
            let path = "/_matrix/federation/v1/event_auth/\(percent(scene.room.text))/\(percent(event.id.text))"
            let answer = try await scene.evil.ask(scene.servers.a, .get, path)
            #expect(answer.status == 200)
            #expect(answer.body["auth_chain"]?.elements.isEmpty == true)
        }
    }

    // MARK: Beside what was asked for

    private func renaming(_ name: String, after prev: [PDU], _ scene: Scene) throws -> PDU {
        try scene.evil.event(
            "m.room.member", by: scene.mallory, stateKey: scene.mallory.text,
            ["membership": "join", "displayname": .string(name)], in: scene.room, version: scene.version, after: prev,
            auth: scene.authorizing([.create, .powerLevels, .joinRules]))
    }

    @Test func `of an auth chain that is told only what the event leads to is kept`() async throws {
        try await HostileServerTests.play { scene in
            let named = try renaming("named", after: [scene.join], scene)
            let stray = try renaming("stray", after: [scene.join], scene)
            let auth = scene.authorizing().filter { $0.id != scene.join.id } + [named]
            let message = try scene.message("x", auth: auth)
            let chain = scene.state + [scene.join, named, stray]
            scene.evil.answer("/event_auth/", ["auth_chain": .array(chain.map { JSONValue($0.document.root) })])
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await scene.servers.a.event(named.id)?.flags == .outlier)
            #expect(try await scene.servers.a.event(stray.id) == nil)
        }
    }

    @Test func `of a state that is told only itself and its auth chain are kept`() async throws {
        try await HostileServerTests.play { scene in
            let named = try renaming("named", after: [scene.join], scene)
            let stray = try renaming("stray", after: [scene.join], scene)
            let message = try scene.message("after", after: [named])
            let state = (scene.state + [named]).filter { $0.id != scene.join.id }
            scene.evil.answer("/get_missing_events/", ["events": []])
            scene.evil.answer(
                "/state_ids/",
                [
                    "pdu_ids": .array(state.map { .string($0.id.text) }),
                    "auth_chain_ids": [.string(scene.join.id.text), .string(stray.id.text)],
                ])
            for event in [named, stray] {
                scene.evil.answer(
                    "/event/\(percent(event.id.text))",
                    ["origin": "evil.test", "origin_server_ts": 1, "pdus": [JSONValue(event.document.root)]])
            }
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await scene.servers.a.event(named.id)?.flags == .outlier)
            #expect(try await scene.servers.a.event(stray.id) == nil)
        }
    }

    // MARK: With other words

    /// A room that a second handmade server has a user in, who speaks there.
    private struct Relay {
        let scene: Scene
        let honest: HandmadeServer
        let user: UserID
        let join: PDU

        init(_ scene: Scene) async throws {
            self.scene = scene
            honest = try HandmadeServer("honest.test", on: scene.servers.network)
            user = try UserID("@hannah:honest.test")
            join = try await honest.join(user, scene.room, on: scene.servers.a).join
        }

        func message(_ text: String, after prev: PDU? = nil) throws -> PDU {
            try honest.event(
                "m.room.message", by: user, ["body": .string(text)], in: scene.room, version: scene.version,
                after: [prev ?? join], auth: scene.authorizing().filter { $0.id != scene.join.id } + [join])
        }

        /// Has the other server pass on an event with other words.
        func passOn(_ events: [PDU]) async throws {
            let tampered = try events.map { event in
                var json = JSONValue(event.document.root)
                var content = try #require(json["content"])
                content["body"] = "as it never was"
                json["content"] = content
                return json.serialized()
            }
            let answer = try await scene.evil.send(tampered, to: scene.servers.a)
            for event in events { #expect(answer.body["pdus"]?[event.id.text]?.members.isEmpty == true) }
        }

        func body(_ id: EventID) async throws -> String? {
            try await scene.judged(id).pdu.content["body"]?.string
        }

        /// The user's membership with a name.
        func named(_ name: String, after prev: PDU) throws -> PDU {
            let auth = scene.authorizing([.create, .powerLevels, .joinRules]).filter { $0.id != scene.join.id }
            return try honest.event(
                "m.room.member", by: user, stateKey: user.text,
                ["membership": "join", "displayname": .string(name)], in: scene.room, version: scene.version,
                after: [prev], auth: auth + [prev])
        }

        /// The name in it as it is known.
        func knownName() async throws -> String? {
            try await scene.servers.a.reader.membership(of: user, in: scene.room)?.displayName
        }

        /// Has the other server pass on an event without its words.
        func passOnStripped(_ event: PDU) async throws {
            let answer = try await scene.evil.send([event.redacted().canonicalJSON], to: scene.servers.a)
            #expect(answer.body["pdus"]?[event.id.text]?.members.isEmpty == true)
        }

        /// Has its own server tell of a message before another, which the other server passes on without its words and
        /// without a word of what it follows: so it is judged on the turn of the former.
        func passOnStripped(_ event: PDU, after before: PDU) async throws {
            honest.answer("/get_missing_events/", ["events": [JSONValue(before.document.root)]])
            try await passOnStripped(event)
            _ = try await scene.judged(event.id)
            let asked = scene.servers.network.paths.filter { $0.contains("/get_missing_events/") }
            #expect(asked.map { $0.hasPrefix("honest.test") } == [false, true])
        }

        /// Has its own server give an event whole.
        func keep(_ event: PDU) {
            honest.answer(
                "/event/\(percent(event.id.text))",
                ["origin": "honest.test", "origin_server_ts": 1, "pdus": [JSONValue(event.document.root)]])
        }

        /// How often its own server was asked for an event.
        func asked(for event: PDU) -> Int {
            let path = "/event/\(percent(event.id.text))"
            return scene.servers.network.paths.count { $0.hasPrefix("honest.test") && $0.contains(path) }
        }
    }

    @Test(arguments: ["1", "11"])
    func `whose words another changed on their way is asked for them`(_ version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let one = try relay.message("one")
            let two = try relay.message("two", after: one)
            for event in [one, two] { relay.keep(event) }
            try await relay.passOn([one, two])
            #expect(try await relay.body(one.id) == "one")
            #expect(try await relay.body(two.id) == "two")
            #expect(try await scene.servers.a.messages(scene.room) == ["one", "two"])
        }
    }

    @Test(arguments: ["1", "11"])
    func `words that were taken from an event on its way come back with a whole copy`(_ version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let event = try relay.message("as it was")
            try await relay.passOn([event])
            #expect(try await relay.body(event.id) == nil)
            try await relay.honest.send([event.canonicalJSON], to: scene.servers.a)
            try await scene.settled()
            #expect(try await relay.body(event.id) == "as it was")
            #expect(try await scene.servers.a.messages(scene.room) == ["as it was"])
            let report = try await RoomCheck(scene.servers.a.environment).check(scene.room)
            #expect(report?.differences == [])

            // And stay, whoever passes it on once more.
            try await relay.passOn([event])
            try await scene.settled()
            #expect(try await relay.body(event.id) == "as it was")
        }
    }

    @Test func `what was redacted stays so, whatever copy of it comes`() async throws {
        try await HostileServerTests.play { scene in
            let relay = try await Relay(scene)
            let event = try relay.message("as it was")
            try await relay.passOn([event])
            #expect(try await relay.body(event.id) == nil)
            let room = percent(scene.room.text)
            try await scene.servers.alice.ask(
                .put, "/_matrix/client/v3/rooms/\(room)/redact/\(percent(event.id.text))/1", [:])
            try await relay.honest.send([event.canonicalJSON], to: scene.servers.a)
            try await scene.settled()
            #expect(try await relay.body(event.id) == nil)
            #expect(try await scene.servers.a.event(event.id)?.redactedBy != nil)
        }
    }

    @Test func `a name that was taken from a membership on its way is known when it comes`() async throws {
        try await HostileServerTests.play { scene in
            let relay = try await Relay(scene)
            let auth = scene.authorizing([.create, .powerLevels, .joinRules]).filter { $0.id != scene.join.id }
            let named = try relay.honest.event(
                "m.room.member", by: relay.user, stateKey: relay.user.text,
                ["membership": "join", "displayname": "Hannah"], in: scene.room, version: scene.version,
                after: [relay.join], auth: auth + [relay.join])
            func name() async throws -> String? {
                try await scene.servers.a.reader.membership(of: relay.user, in: scene.room)?.displayName
            }
            try await relay.passOn([named])
            _ = try await scene.judged(named.id)
            #expect(try await name() == nil)
            try await relay.honest.send([named.canonicalJSON], to: scene.servers.a)
            try await scene.settled()
            #expect(try await name() == "Hannah")
        }
    }

    @Test(arguments: ["1", "11"])
    func `words that were taken from what fills a gap are asked for, unless a redaction took them`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let power = scene.authorizing().filter { $0.id != scene.join.id }
            func redaction(of event: PDU, by server: HandmadeServer, _ user: UserID, _ join: PDU) throws -> PDU {
                try server.event(
                    "m.room.redaction", by: user, [:], in: scene.room, version: scene.version, after: [event],
                    auth: power + [join], redacts: event.id)
            }
            let said = try relay.message("as it was")
            // Mallory may redact nothing of others.
            let vain = try redaction(of: said, by: scene.evil, scene.mallory, scene.join)
            let gone = try relay.message("as it was once", after: vain)
            let redaction = try redaction(of: gone, by: relay.honest, relay.user, relay.join)
            let news = try scene.message("news", after: [redaction])
            for event in [said, gone] { relay.keep(event) }
            let told = try [said.redacted(), vain, gone.redacted(), redaction]
            scene.evil.answer("/get_missing_events/", ["events": .array(told.map { JSONValue($0.document.root) })])
            try await scene.evil.send([news.canonicalJSON], to: scene.servers.a)
            _ = try await scene.judged(news.id)
            #expect(try await scene.servers.a.messages(scene.room) == ["as it was", "news"])
            #expect(try await scene.servers.a.event(gone.id)?.redactedBy == redaction.id)
            #expect(relay.asked(for: said) == 1)
            // In version 1 whether a redaction takes effect shows when it is judged.
            #expect(relay.asked(for: gone) == (version == "1" ? 1 : 0))
        }
    }

    @Test(arguments: ["1", "11"])
    func `words that were taken from history are asked for`(_ version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let said = try relay.message("as it was")
            let news = try scene.message("news", after: [said])
            relay.keep(said)
            let ids = (scene.state + [scene.join]).map { JSONValue.string($0.id.text) }
            scene.evil.answer("/state_ids/", ["pdu_ids": .array(ids), "auth_chain_ids": []])
            scene.evil.answer("/get_missing_events/", ["events": []])
            scene.evil.answer(
                "/backfill/",
                [
                    "origin": "evil.test", "origin_server_ts": 1,
                    "pdus": [JSONValue(try said.redacted().document.root)],
                ])
            try await scene.evil.send([news.canonicalJSON], to: scene.servers.a)
            _ = try await scene.judged(news.id)
            let room = percent(scene.room.text)
            try await eventually {
                try await scene.servers.alice.ask(.get, "/_matrix/client/v3/rooms/\(room)/messages?dir=b&limit=10")
                return try await scene.servers.a.event(said.id)?.position != nil
            }
            #expect(try await scene.servers.a.messages(scene.room) == ["as it was", "news"])
        }
    }

    @Test(arguments: ["1", "11"])
    func `a name of which a state told nothing is known when the membership comes without it`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let named = try relay.named("Hannah", after: relay.join)
            let auth = scene.authorizing().filter { $0.id != scene.join.id }
            let message = try relay.honest.event(
                "m.room.message", by: relay.user, ["body": "x"], in: scene.room, version: scene.version,
                after: [relay.join], auth: auth + [named])
            let chain = try scene.state + [relay.join, named.redacted()]
            scene.evil.answer("/event_auth/", ["auth_chain": .array(chain.map { JSONValue($0.document.root) })])
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            _ = try await scene.judged(message.id)
            #expect(try await scene.servers.a.event(named.id)?.flags == .outlier)
            relay.keep(named)
            try await relay.passOnStripped(named)
            _ = try await scene.judged(named.id)
            #expect(try await relay.knownName() == "Hannah")
        }
    }

    @Test(arguments: ["1", "11"])
    func `words that were taken from an event on its way are asked for once more when it is tried again`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let before = try relay.message("before")
            let event = try relay.message("as it was", after: before)
            relay.honest.answer(
                "/event/\(percent(event.id.text))",
                ["origin": "honest.test", "origin_server_ts": 1, "pdus": [JSONValue(event.document.root)]], refusing: 1)
            try await relay.passOnStripped(event, after: before)
            #expect(try await relay.body(event.id) == "as it was")
            #expect(try await scene.servers.a.messages(scene.room) == ["before", "as it was"])
            #expect(relay.asked(for: event) == 2)
        }
    }

    @Test(arguments: ["1", "11"])
    func `an event whose words not even its own server has is taken without them`(_ version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let before = try relay.message("before")
            let event = try relay.message("as it was", after: before)
            try await relay.passOnStripped(event, after: before)
            #expect(try await scene.judged(event.id).flags == [])
            #expect(try await relay.body(event.id) == nil)
            #expect(try await scene.servers.a.messages(scene.room) == ["before"])
            #expect(relay.asked(for: event) == 2)
            // What follows it is judged as ever.
            let next = try relay.message("next", after: event)
            try await relay.honest.send([next.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(next.id).flags == [])
        }
    }

    @Test(arguments: ["1", "11"])
    func `a name that was taken from a membership on its way comes back with an auth chain`(
        _ version: String
    ) async throws {
        try await HostileServerTests.play(version) { scene in
            let relay = try await Relay(scene)
            let named = try relay.named("Hannah", after: relay.join)
            try await relay.passOnStripped(named)
            _ = try await scene.judged(named.id)
            #expect(try await relay.knownName() == nil)

            // What she says next names a later membership, which leads to that one.
            let later = try relay.named("Hannah B.", after: named)
            let message = try relay.honest.event(
                "m.room.message", by: relay.user, ["body": "x"], in: scene.room, version: scene.version,
                after: [named], auth: scene.authorizing().filter { $0.id != scene.join.id } + [later])
            let chain = scene.state + [relay.join, named, later]
            relay.honest.answer("/event_auth/", ["auth_chain": .array(chain.map { JSONValue($0.document.root) })])
            try await relay.honest.send([message.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(message.id).flags == [])
            #expect(try await scene.servers.a.event(later.id)?.flags == .outlier)
            #expect(try await relay.knownName() == "Hannah")
            #expect(relay.asked(for: named) == 1)
        }
    }

    @Test(arguments: ["1", "11"])
    func `words that were taken from state on its way come back when the room is joined again`(
        _ version: String
    ) async throws {
        try await TwoServers.run { servers in
            let honest = try HandmadeServer("honest.test", on: servers.network)
            let evil = try HandmadeServer("evil.test", on: servers.network)
            let hannah = try UserID("@hannah:honest.test")
            let room = try await servers.sharedRoom(version, ["power_level_content_override": ["state_default": 0]])
            let (join, state) = try await honest.join(hannah, room, on: servers.a)
            try await eventually { try await servers.b.membership(hannah, room) == .join }
            let auth = state.filter { [.create, .powerLevels].contains($0.type) && $0.stateKey == "" } + [join]
            let topic = try honest.event(
                "m.room.topic", by: hannah, stateKey: "", ["topic": "as it was"], in: room, version: join.version,
                after: [join], auth: auth)
            func told(_ server: TestHomeserver) async throws -> String? {
                try await eventually { try await server.state(room)[StateKey(.topic, "")] == topic.id }
                return try await server.event(topic.id)?.pdu.content["topic"]?.string
            }
            try await honest.send([topic.canonicalJSON], to: servers.a)
            #expect(try await told(servers.a) == "as it was")
            try await evil.send([topic.redacted().canonicalJSON], to: servers.b)
            #expect(try await told(servers.b) == nil)

            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            #expect(try await told(servers.b) == nil)
            try await eventually {
                try? await servers.bob.join(room, via: servers.a)
                return try await servers.b.membership(servers.bob.user, room) == .join
            }
            #expect(try await told(servers.b) == "as it was")
            try await servers.agree(room)
        }
    }

    @Test func `of what waits to be judged a whole copy takes the place of another, and no other of a whole one`()
        async throws
    {
        let event = try EventDraft(
            type: .message, sender: UserID("@a:b.test"), content: ["body": "x"], roomID: RoomID("!r:b.test")
        ).seal(
            version: .v11, prev: [], auth: [], depth: 1, timestamp: 1, server: ServerName("b.test"),
            keyID: "ed25519:1", key: Ed25519.SigningKey(seed: [UInt8](repeating: 1, count: 32)))
        let bare = try event.redacted()
        let database = try SQLiteDatabase.inMemory()
        try await Instance.migrate(database)
        let bodies: [[UInt8]] = try await database.write { connection in
            let staging = InboundStaging(connection)
            var bodies: [[UInt8]] = []
            for (origin, copy) in [("c.test", bare), ("b.test", event), ("c.test", bare), ("d.test", event)] {
                try staging.stage(
                    origin: origin, roomID: event.roomID.text, eventID: event.id.text, body: copy.canonicalJSON,
                    now: 1, sealer: .plain)
                let lane = InboundStaging.Lane(roomID: event.roomID.text, fetches: false)
                bodies += try staging.staged(in: lane, now: 2, limit: 9, sealer: .plain).map(\.body)
            }
            return bodies
        }
        #expect(bodies == [bare, event, event, event].map(\.canonicalJSON))
    }

    // MARK: Signatures

    @Test(arguments: [false, true])
    func `a good signature counts behind whatever others were put before it`(isKnown: Bool) async throws {
        try await HostileServerTests.play { scene in
            let stranger = try HandmadeServer("stranger.test", on: scene.servers.network)
            let user = try UserID("@s:stranger.test")
            let good =
                isKnown
                ? try scene.message("x")
                : try stranger.event(
                    "m.room.member", by: user, stateKey: user.text, ["membership": "join"], in: scene.room,
                    version: scene.version, after: [scene.join],
                    auth: scene.authorizing([.create, .powerLevels, .joinRules]).filter { $0.id != scene.join.id })
            let server = good.sender.serverName
            var event = good
            for number in 10..<30 {
                event = try event.adding(signature: "AAAA", of: server, keyID: "ed25519:\(number)")
                    .adding(signature: "AAAA", of: server, keyID: "curve25519:\(number)")
            }
            #expect(try await refusal(event, by: scene.evil, scene) == nil)
            #expect(try await scene.judged(good.id).flags == [])
            // One that is wrong by a known key is not good.
            let wrong = Base64.encode([UInt8](repeating: 1, count: 64), .standardUnpadded)
            let spoiled = try good.adding(signature: wrong, of: server, keyID: HandmadeServer.keyID)
            #expect(try await refusal(spoiled, by: scene.evil, scene) != nil)
        }
    }
}
