import Homeserver
import HomeserverStorage
import MatrixModel
import MatrixRooms
import Testing

/// Events of one transaction that follow one another are judged and written together: nothing else may come of it.
@Suite("Conversations from elsewhere") struct ConversationTests {
    @Test(arguments: ["1", "11", "12"])
    func `a conversation that comes at once is all there, in its order`(version: String) async throws {
        try await HostileServerTests.play(version) { scene in
            var said: [PDU] = []
            for number in 0..<40 {
                said.append(try scene.message("\(number)", after: said.last.map { [$0] }))
            }
            _ = try await scene.evil.send(said.map(\.canonicalJSON), to: scene.servers.a)
            try await scene.settled()
            #expect(try await scene.servers.a.messages(scene.room) == (0..<40).map { "\($0)" })
            for event in said {
                let stored = try #require(try await scene.servers.a.event(event.id))
                #expect(stored.flags == [] && stored.position != nil && stored.stateAfter != nil)
            }
            let record = try #require(try await scene.servers.a.reader.record(scene.room))
            let last = try #require(try await scene.servers.a.event(said[39].id))
            #expect(record.extremities == [last.nid])
        }
    }

    @Test func `what is not allowed in the middle is refused, and what is around it stays`() async throws {
        try await HostileServerTests.play { scene in
            let first = try scene.message("one")
            let second = try scene.message("two", after: [first])
            // Mallory has no power to set the topic, and nobody of that server is in the room but Mallory.
            let topic = try scene.evil.event(
                "m.room.topic", by: scene.mallory, stateKey: "", ["topic": "mine"], in: scene.room,
                version: scene.version, after: [second], auth: scene.authorizing())
            let stranger = try scene.evil.event(
                "m.room.message", by: try UserID("@stranger:evil.test"), ["body": "three"], in: scene.room,
                version: scene.version, after: [topic], auth: scene.authorizing())
            let fourth = try scene.message("four", after: [stranger])
            let fifth = try scene.message("five", after: [fourth])
            _ = try await scene.evil.send(
                [first, second, topic, stranger, fourth, fifth].map(\.canonicalJSON), to: scene.servers.a)
            try await scene.settled()
            #expect(try await scene.servers.a.messages(scene.room) == ["one", "two", "four", "five"])
            for refused in [topic, stranger] {
                #expect(try await scene.servers.a.event(refused.id)?.flags.contains(.rejected) == true)
            }
        }
    }

    @Test func `events that were said before are not said again`() async throws {
        try await HostileServerTests.play { scene in
            let first = try scene.message("one")
            let second = try scene.message("two", after: [first])
            let third = try scene.message("three", after: [second])
            _ = try await scene.evil.send([first, second].map(\.canonicalJSON), to: scene.servers.a)
            try await scene.settled()
            _ = try await scene.evil.send([first, second, third].map(\.canonicalJSON), to: scene.servers.a)
            try await scene.settled()
            #expect(try await scene.servers.a.messages(scene.room) == ["one", "two", "three"])
        }
    }
}
