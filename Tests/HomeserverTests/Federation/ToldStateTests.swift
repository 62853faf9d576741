import Homeserver
import HomeserverStorage
import MatrixModel
import MatrixRooms
import Testing

/// A state that another server tells, where the events before one are not to be had.
@Suite("States that another server tells") struct ToldStateTests {
    /// Sends a message whose only predecessor, a change of Mallory's name, nobody gives; the server tells the state before
    /// it. The event of that change is refused so often first.
    /// - Returns: what became of the message, and the name in the state after it.
    private func outcome(refusals: Int, whole: Bool = false) async throws -> (flags: EventFlags, name: String?) {
        var outcome: (flags: EventFlags, name: String?) = ([], nil)
        try await HostileServerTests.play { scene in
            let renamed = try scene.evil.event(
                "m.room.member", by: scene.mallory, stateKey: scene.mallory.text,
                ["membership": "join", "displayname": "renamed"], in: scene.room, version: scene.version,
                after: [scene.join], auth: scene.authorizing([.create, .powerLevels, .joinRules]))
            let message = try scene.message("after", after: [renamed])
            let state = (scene.state + [renamed]).filter { $0.id != scene.join.id }.map { JSONValue.string($0.id.text) }
            scene.evil.answer("/get_missing_events/", ["events": []])
            scene.evil.answer(
                "/state_ids/", ["pdu_ids": .array(state), "auth_chain_ids": [.string(scene.join.id.text)]])
            scene.evil.answer(
                "/event/",
                ["origin": "evil.test", "origin_server_ts": 1, "pdus": [JSONValue(renamed.document.root)]],
                refusing: refusals)
            if whole {
                let pdus = (scene.state + [renamed]).map { JSONValue($0.document.root) }
                scene.evil.answer(
                    "/state/", ["pdus": .array(pdus), "auth_chain": [JSONValue(scene.join.document.root)]])
            }
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            let judged = try await scene.judged(message.id)
            let root = try #require(judged.stateAfter)
            let key = StateKey(.member, scene.mallory.text)
            let member = try await scene.servers.a.reader.state(at: root, keys: [key])[key]
            outcome = (judged.flags, member?.pdu.content["displayname"]?.string)
        }
        return outcome
    }

    @Test func `what cannot be had of it at first is asked for again before it counts`() async throws {
        let outcome = try await outcome(refusals: 2)
        #expect(outcome.flags == [] && outcome.name == "renamed")
    }

    @Test func `what is told by no single event is told by the whole state`() async throws {
        let outcome = try await outcome(refusals: .max, whole: true)
        #expect(outcome.flags == [] && outcome.name == "renamed")
    }

    @Test func `what is never to be had is left out in the end, and holds up nobody`() async throws {
        // A state without her membership does not allow what she says.
        let outcome = try await outcome(refusals: 1_000)
        #expect(outcome.flags == .rejected && outcome.name == nil)
    }

    /// What two of a handmade server's say after something that nobody gives, of which it tells the state.
    private func told(
        _ scene: HostileServerTests.Scene, _ event: PDU, before message: PDU
    ) async throws -> StoredEvent {
        let state = scene.state.filter { $0.stateKey != event.stateKey } + [event]
        let told = event.stateKey == scene.mallory.text ? state : state + [scene.join]
        let chain = scene.state + [scene.join, event]
        scene.evil.answer("/get_missing_events/", ["events": []])
        scene.evil.answer(
            "/state_ids/",
            [
                "pdu_ids": .array(told.map { .string($0.id.text) }),
                "auth_chain_ids": .array(chain.map { .string($0.id.text) }),
            ])
        scene.evil.answer("/event_auth/", ["auth_chain": .array(chain.map { JSONValue($0.document.root) })])
        scene.evil.answer(
            "/event/", ["origin": "evil.test", "origin_server_ts": 1, "pdus": [JSONValue(event.document.root)]])
        try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
        return try await scene.judged(message.id)
    }

    @Test(arguments: ["11", "12"])
    func `who joined in what was missed, and is never fetched, is heard`(_ version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            let nina = try UserID("@nina:evil.test")
            let joined = try scene.evil.event(
                "m.room.member", by: nina, stateKey: nina.text, ["membership": "join"], in: scene.room,
                version: scene.version, after: [scene.join],
                auth: Array(scene.authorizing([.create, .powerLevels, .joinRules]).dropLast()))
            func message(_ text: String, after prev: PDU) throws -> PDU {
                try scene.evil.event(
                    "m.room.message", by: nina, ["body": .string(text)], in: scene.room, version: scene.version,
                    after: [prev], auth: scene.authorizing().dropLast() + [joined])
            }
            let first = try message("first", after: joined)
            let judged = try await told(scene, joined, before: first)
            #expect(judged.flags == [])
            let second = try message("second", after: first)
            try await scene.evil.send([second.canonicalJSON], to: scene.servers.a)
            #expect(try await scene.judged(second.id).flags == [])
            #expect(try await scene.servers.a.messages(scene.room) == ["first", "second"])
            #expect(try await scene.servers.a.membership(nina, scene.room) == .join)
        }
    }

    @Test(arguments: ["1", "11", "12"])
    func `who was banned is not heard, whatever state her server tells`(_ version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            let renamed = try scene.evil.event(
                "m.room.member", by: scene.mallory, stateKey: scene.mallory.text,
                ["membership": "join", "displayname": "renamed"], in: scene.room, version: scene.version,
                after: [scene.join], auth: scene.authorizing([.create, .powerLevels, .joinRules]), depth: 1_000)
            try await scene.servers.alice.act("ban", scene.room, on: scene.mallory)
            let message = try scene.message(
                "still here", after: [renamed], auth: scene.authorizing().dropLast() + [renamed])
            let judged = try await told(scene, renamed, before: message)
            #expect(judged.flags == .softFailed)
            #expect(try await scene.servers.a.messages(scene.room).isEmpty)
            #expect(try await scene.servers.a.membership(scene.mallory, scene.room) == .ban)
        }
    }

    @Test func `who tells the state before none of many events is not asked for all of them`() async throws {
        try await HostileServerTests.play { scene in
            var chain = [try scene.message("ghost")]
            for number in 0..<12 { chain.append(try scene.message("\(number)", after: [chain[number]])) }
            let message = try scene.message("last", after: [chain[12]])
            scene.evil.answer(
                "/get_missing_events/", ["events": .array(chain.dropFirst().map { JSONValue($0.document.root) })])
            func asked(about event: PDU) -> Bool {
                scene.servers.network.paths.contains {
                    $0.contains("/state_ids/") && $0.contains(percent(event.id.text))
                }
            }
            try await scene.evil.send([message.canonicalJSON], to: scene.servers.a)
            try await eventually { asked(about: message) }
            #expect(chain.filter(asked).map(\.id) == chain[1...5].map(\.id))
        }
    }
}
