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
    private func outcome(refusals: Int) async throws -> (flags: EventFlags, name: String?) {
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

    @Test func `what is never to be had is left out in the end, and holds up nobody`() async throws {
        // A state without her membership does not allow what she says.
        let outcome = try await outcome(refusals: 1_000)
        #expect(outcome.flags == .rejected && outcome.name == nil)
    }
}
