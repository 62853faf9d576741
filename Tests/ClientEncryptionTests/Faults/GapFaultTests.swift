import ClientEncryption
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import FedchatKit

@Suite("Room keys across gaps") struct GapFaultTests {
    private func session(_ device: FaultDevice, _ room: RoomID) async throws -> String? {
        try await device.database.read { connection in
            try connection.query("SELECT session_id FROM outbound_group_sessions WHERE room_id = \(room.text)").first?
                .text(0)
        }
    }

    /// More than a sync brings of a room.
    private func fill(_ room: RoomID, by device: FaultDevice) async throws {
        for number in 0..<ClientLimits.timelineEvents + 10 {
            _ = try await device.client.call(
                APICall(
                    .sendMessage, ["roomId": room.text, "eventType": "org.example.noise", "txnId": "noise\(number)"],
                    body: ["n": .integer(Int64(number))]))
        }
    }

    @Test func `a gap needs no new key, also if messages of ours are in it`() async throws {
        try await FaultWorld.run { world in
            let (alice, bob) = (try await world.device("alice"), try await world.device("bob"))
            let room = try await world.room(of: alice, bob)
            try await alice.say("one", room)
            try await alice.say("two", room)
            let before = try #require(try await session(alice, room))
            try await fill(room, by: bob)
            try await alice.restart()
            try await alice.step()
            let machine = alice.client.machine
            #expect(try await alice.database.read { try machine.doubt(about: room, in: $0) } != nil, "there was a gap")

            try await alice.say("three", room)

            #expect(try await session(alice, room) == before)
            try await world.until(bob) { try await bob.view(room).texts == ["one", "two", "three"] }
        }
    }

    @Test func `messages in a gap that the store knows nothing of end the key`() async throws {
        try await FaultWorld.run { world in
            let (alice, bob) = (try await world.device("alice"), try await world.device("bob"))
            let room = try await world.room(of: alice, bob)
            try await alice.say("one", room)
            try await alice.step()
            let before = try #require(try await session(alice, room))
            let copy = try await alice.snapshot()
            try await alice.step()
            try await alice.say("two", room)
            try await alice.say("three", room)
            try await fill(room, by: bob)
            try await alice.restore(copy)
            try await alice.step()

            try await alice.say("four", room)

            #expect(try await session(alice, room) != before, "its next index has been used already")
            try await world.until(bob, alice) { try await bob.view(room).texts == ["one", "two", "three", "four"] }
        }
    }

    @Test func `who came and went in a gap reads nothing that comes after it`() async throws {
        try await FaultWorld.run { world in
            let (alice, bob) = (try await world.device("alice"), try await world.device("bob"))
            let carol = try await world.device("carol")
            let room = try await world.room(of: alice, bob)
            try await alice.say("one", room)
            let before = try #require(try await session(alice, room))
            _ = try await carol.client.call(APICall(.joinRoom, ["roomIdOrAlias": room.text]))
            _ = try await carol.client.call(APICall(.leaveRoom, ["roomId": room.text]))
            try await fill(room, by: bob)
            try await alice.step()
            #expect(try await session(alice, room) == nil)
            try await alice.say("two", room)
            #expect(try await session(alice, room) != before)
        }
    }

    @Test func `a server that shows nothing of the gap gets a new key`() async throws {
        try await FaultWorld.run { world in
            let (alice, bob) = (try await world.device("alice"), try await world.device("bob"))
            let room = try await world.room(of: alice, bob)
            try await alice.say("one", room)
            let before = try #require(try await session(alice, room))
            try await fill(room, by: bob)
            try await alice.step()
            alice.line.change { request, answer in
                guard request.pathAndQuery.contains("/messages") else { return answer }
                return ["chunk": [], "end": "t1_1", "start": "t1_1"]
            }
            try await alice.say("two", room)
            #expect(try await session(alice, room) != before)
        }
    }
}
