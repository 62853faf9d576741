import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

/// Rooms whose newest events do not follow one another.
@Suite("Forks") struct ForkTests {
    private static let perTransaction = 50

    private func extremities(_ scene: HostileServerTests.Scene) async throws -> [Int64] {
        try #require(try await scene.servers.a.reader.record(scene.room)).extremities
    }

    private func send(_ pdus: [PDU], _ scene: HostileServerTests.Scene) async throws {
        for start in stride(from: 0, to: pdus.count, by: Self.perTransaction) {
            let part = pdus[start..<min(start + Self.perTransaction, pdus.count)]
            let answer = try await scene.evil.send(part.map(\.canonicalJSON), to: scene.servers.a)
            #expect(answer.status == 200)
        }
        try await scene.settled()
    }

    @Test func `hundreds of forks are merged by what is said here, twenty with each event`() async throws {
        let count = 400
        try await HostileServerTests.play { scene in
            try await send((0..<count).map { try scene.message("\($0)") }, scene)
            #expect(try await extremities(scene).count == count)
            #expect(try await scene.servers.a.messages(scene.room).count == count)
            var left = count
            while left > 1 {
                let id = try await scene.servers.alice.say("merging", scene.room)
                let event = try #require(try await scene.servers.a.event(id))
                #expect(event.pdu.prevEvents.count == min(left, 20))
                left -= min(left, 20) - 1
                #expect(try await extremities(scene).count == left)
            }
        }
    }

    @Test(arguments: [false, true])
    func `a timeline does not end with state that a fork was decided against`(hasStateAfter: Bool) async throws {
        try await TwoServers.run { servers in
            let room = try await servers.sharedRoom(
                "12", ["power_level_content_override": ["state_default": 0]])
            try await servers.agree(room)
            func sync(_ since: String?) async throws -> (next: String, room: JSONValue?) {
                var path = "/_matrix/client/v3/sync?timeout=0&use_state_after=\(hasStateAfter)"
                if let since { path += "&since=\(since)" }
                let answer = try await servers.bob.ask(.get, path)
                return (answer["next_batch"]?.string ?? "", answer["rooms"]?["join"]?[room.text])
            }
            func ids(_ events: JSONValue?) -> [String] {
                let elements = events?.elements ?? []
                return elements.compactMap { $0["event_id"]?.string }
            }
            let since = try await sync(nil).next
            servers.network.set { $0.pathAndQuery.contains("/send/") ? .unreachable : .delivered }
            let lost = try await servers.alice.set("m.room.topic", ["topic": "Alice's"], room)
            try await servers.alice.say("hers", room)
            let won = try await servers.bob.set("m.room.topic", ["topic": "Bob's"], room)
            servers.network.set()
            try await eventually { try await servers.b.messages(room) == ["hers"] }
            #expect(try await servers.b.state(room)[StateKey(.topic, "")] == won)

            let told = try await sync(since).room
            let timeline = ids(told?["timeline"]?["events"])
            #expect(told?["timeline"]?["limited"]?.bool == !hasStateAfter)
            let state = ids(told?[hasStateAfter ? "state_after" : "state"]?["events"])
            #expect(state.contains(won.text))
            #expect(timeline.contains(lost.text) == hasStateAfter)
            #expect(timeline.count == (hasStateAfter ? 3 : 1))
            // It is read back.
            let start = try #require(told?["timeline"]?["prev_batch"]?.string)
            let page = try await servers.bob.ask(
                .get, "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit=2&from=\(start)")
            if !hasStateAfter { #expect(ids(page["chunk"]) == [lost.text, won.text]) }
        }
    }

    @Test func `what would be one extremity too many is shown, and nothing follows it`() async throws {
        try await HostileServerTests.play("11", { $0.limits.forwardExtremities = 5 }) { scene in
            try await send((0..<8).map { try scene.message("\($0)") }, scene)
            #expect(try await extremities(scene).count == 5)
            #expect(try await scene.servers.a.messages(scene.room).count == 8)
            let id = try await scene.servers.alice.say("after", scene.room)
            #expect(try await scene.servers.a.event(id)?.pdu.prevEvents.count == 5)
            #expect(try await extremities(scene).count == 1)
        }
    }

    @Test func `forks that each set other state come together whole`() async throws {
        let count = 130
        try await HostileServerTests.play("11") { scene in
            try await scene.servers.alice.set(
                "m.room.power_levels", ["users": .object([scene.servers.alice.user.text: 100]), "state_default": 0],
                scene.room)
            let levels = try #require(try await scene.servers.a.state(scene.room)[StateKey(.powerLevels, "")])
            let event = try #require(try await scene.servers.a.event(levels)).pdu
            let auth = scene.authorizing([.create]) + [event]
            let forks = try (0..<count).map { number in
                try scene.evil.event(
                    "test.fork", by: scene.mallory, stateKey: "\(number)", ["n": .integer(Int64(number))],
                    in: scene.room, version: scene.version, after: [event], auth: auth)
            }
            try await send(forks, scene)
            #expect(try await extremities(scene).count == count)
            func forkKeys() async throws -> Int {
                try await scene.servers.a.state(scene.room).keys.filter { $0.type == EventType("test.fork") }.count
            }
            #expect(try await forkKeys() == count)
            for _ in 0..<12 {
                let id = try await scene.servers.alice.say("merging", scene.room)
                let said = try #require(try await scene.servers.a.event(id))
                // The state after an event is what its previous events alone resolve to, as every other server has it.
                let record = try #require(try await scene.servers.a.reader.record(scene.room))
                let told = try await scene.servers.a.reader.stateBefore(said.pdu.prevEvents, in: record)
                #expect(said.stateAfter == told)
                #expect(try await forkKeys() == count)
            }
            #expect(try await extremities(scene).count == 1)
            #expect(try await scene.servers.a.membership(scene.mallory, scene.room) == .join)
        }
    }

    @Test func `what follows a refused event follows what that was built on, and leaves no fork behind`() async throws {
        try await HostileServerTests.play { scene in
            let coup = try scene.evil.event(
                "m.room.power_levels", by: scene.mallory, stateKey: "",
                ["users": .object([scene.mallory.text: 100])], in: scene.room, version: scene.version,
                after: [scene.join], auth: scene.authorizing())
            let after = try scene.message("after", after: [coup])
            try await send([coup, after], scene)
            let stored = try await scene.judged(after.id)
            #expect(try await scene.judged(coup.id).flags == .rejected)
            #expect(try await extremities(scene) == [stored.nid])
        }
    }
}
