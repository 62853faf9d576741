import Foundation
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import SQLiteEngine
import Testing

@Suite("Writing rooms") struct RoomWriterTests {
    let alice = RoomFixture.alice
    let bob = RoomFixture.bob

    @Test(arguments: RoomVersion.all)
    func `a room of every version is made, read again and written to`(version: RoomVersion) async throws {
        let server = try await RoomFixture()
        let room = try await server.room(version)

        let record = try #require(try await server.reader.record(room.id))
        #expect(record == room)
        #expect((record.id.serverName == nil) == (version == .v12))
        let state = try await server.reader.currentState(record)
        #expect(state.events.count == 5)
        #expect(state.membership(of: alice) == .join)

        let event = try await server.message("hello", room.id)
        #expect(event.pdu.prevEvents.count == 1 && event.position == 6 * StreamPositions.eventStep)
        #expect(event.pdu.authEvents.count == (version == .v12 ? 2 : 3))
        #expect(try await server.reader.event(event.id)?.pdu.canonicalJSON == event.pdu.canonicalJSON)
        #expect(try await server.reader.isJoined(alice, in: room.id))
    }

    @Test func `rooms that one user makes alike within a millisecond are different rooms, on two nodes too`()
        async throws
    {
        let server = try await RoomFixture(clock: StandingClock())
        let other = RoomFixture(node: server)
        var rooms: Set<RoomID> = []

        for _ in 0..<5 {
            rooms.insert(try await server.room().id)
            rooms.insert(try await other.room().id)
        }

        #expect(rooms.count == 10)
    }

    @Test func `a hundred messages stand in one line, at positions without gaps`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        for number in 0..<100 { _ = try await server.message("\(number)", room.id) }

        let timeline = try await server.timeline(room)
        #expect(timeline.count == 105)
        #expect(timeline.map(\.position) == (1...105).map { $0 * StreamPositions.eventStep })
        for (earlier, later) in zip(timeline, timeline.dropFirst()) {
            #expect(later.pdu.prevEvents == [earlier.id])
            #expect(later.pdu.depth == earlier.pdu.depth + 1)
        }
        let record = try #require(try await server.reader.record(room.id))
        #expect(
            record.lastPosition == 105 * StreamPositions.eventStep
                && record.extremities == timeline.last.map { [$0.nid] })
    }

    @Test func `events stand at whole steps, whatever else took positions`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        let elsewhere = try RoomID("!far:elsewhere")
        let invite = ReceivedInvite(
            user: bob, roomID: elsewhere, version: .v12, sender: RoomFixture.carol, membership: .invite,
            eventID: try EventID("$invite"), event: Array("{}".utf8), strippedState: Array("[]".utf8))
        try await server.environment.database.write { connection in
            try RoomStore(connection).saveInvite(invite, sealer: .plain)
        }
        let first = try await server.message("first", room.id)
        #expect(first.position == 7 * StreamPositions.eventStep)
        try await server.environment.database.write { connection in
            _ = try RoomStore(connection).removeInvite(of: RoomFixture.bob, to: elsewhere)
            try connection.execute("UPDATE streams SET position = position + 1 WHERE name = 'events'")
        }
        let second = try await server.message("second", room.id)
        #expect(second.position == 9 * StreamPositions.eventStep)
        let streams = try await server.environment.database.write { connection in
            let positions = StreamPositions(connection)
            return [try positions.advance("receipts", by: 2), try positions.advance("receipts")]
        }
        #expect(streams == [2, 3])
    }

    @Test func `the users of a server who are out are found, the newest first and no more than asked for`() async throws
    {
        let server = try await RoomFixture()
        let room = try await server.room()
        let ben = try UserID("@ben:test")
        var left: [UserID: Int64] = [:]
        for user in [bob, ben] {
            try await server.join(user, room.id)
            left[user] = try await server.writer.send(
                EventDraft(
                    type: .member, sender: user, stateKey: user.text, content: ["membership": "leave"],
                    roomID: room.id)
            ).nid
        }
        let name = server.environment.serverName
        let elsewhere = RoomFixture.carol.serverName
        let found = try await server.environment.database.read { connection in
            let store = RoomStore(connection)
            return (
                try store.formerMembers(room: room.nid, of: name, limit: 10),
                try store.formerMembers(room: room.nid, of: name, limit: 1),
                try store.formerMembers(room: room.nid, of: elsewhere, limit: 10)
            )
        }
        #expect(found.0 == left)
        #expect(found.1 == left.filter { $0.key == ben })
        #expect(found.2.isEmpty)
    }

    @Test func `concurrent senders on two nodes fork nothing and lose nothing`() async throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "rooms-\(UInt64.random(in: 0 ... .max))")
        defer {
            for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: file.path + suffix) }
        }
        // In memory everything runs on the caller's thread; a file has threads of its own.
        let server = try await RoomFixture(
            database: try await SQLiteDatabase.open(SQLiteConfiguration(.file(file.path))))
        let other = RoomFixture(node: server)
        let room = try await server.room()
        try await server.join(bob, room.id)

        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<200 {
                let node = number.isMultiple(of: 3) ? other : server
                group.addTask { _ = try await node.message("\(number)", room.id, by: number < 100 ? alice : bob) }
            }
            try await group.waitForAll()
        }

        let timeline = try await server.timeline(room)
        #expect(timeline.count == 206)
        #expect(Set(timeline.compactMap { $0.pdu.content["body"]?.string }).count == 200)
        for (earlier, later) in zip(timeline, timeline.dropFirst()) { #expect(later.pdu.prevEvents == [earlier.id]) }
    }

    @Test func `a repeated transaction id has the first answer, even when the sender has left since`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        try await server.join(bob, room.id)
        let origin = SendOrigin(
            user: bob, device: try DeviceID("D"), scope: "send \(room.id)", transactionID: "1")

        let first = try await server.message("once", room.id, by: bob, origin: origin)
        let again = try await server.message("once", room.id, by: bob, origin: origin)
        async let other = RoomFixture(node: server).message("once", room.id, by: bob, origin: origin)
        #expect(first.id == again.id)
        #expect(try await other.id == first.id)
        _ = try await server.writer.send(
            EventDraft(
                type: .member, sender: bob, stateKey: bob.text, content: ["membership": "leave"], roomID: room.id))
        #expect(try await server.message("once", room.id, by: bob, origin: origin).id == first.id)

        let stored = try #require(try await server.reader.event(first.id))
        #expect(stored.transactionID == "1" && stored.senderDevice?.text == "D")
        #expect(try await server.timeline(room).filter { $0.pdu.type == .message }.count == 1)
    }

    @Test func `one repeated id in a batch does not hold up the others`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        func origin(_ id: String) -> SendOrigin {
            SendOrigin(user: alice, device: nil, scope: "send", transactionID: id)
        }
        let first = try await server.message("0", room.id, origin: origin("0"))
        let ids = try await withThrowingTaskGroup(of: EventID.self) { group in
            for number in 0..<40 {
                group.addTask { try await server.message("\(number)", room.id, origin: origin("\(number % 20)")).id }
            }
            return try await group.reduce(into: [EventID]()) { $0.append($1) }
        }
        #expect(Set(ids).count == 20 && ids.contains(first.id))
        #expect(try await server.timeline(room).filter { $0.pdu.type == .message }.count == 20)
    }

    @Test func `a stranger's event is refused, and those beside it are sent`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        let mallory = try UserID("@mallory:test")
        async let good = server.message("good", room.id)
        await #expect(throws: MatrixError.self) { try await server.message("bad", room.id, by: mallory) }
        _ = try await good
        await #expect(throws: MatrixError.self) { try await server.message("x", try RoomID("!nowhere:test")) }
    }

    @Test func `state that does not change is not sent again`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        func topic(_ text: String) -> EventDraft {
            EventDraft(type: .topic, sender: alice, stateKey: "", content: ["topic": .string(text)], roomID: room.id)
        }
        let first = try await server.writer.send(topic("a"))
        #expect(try await server.writer.send(topic("a")).id == first.id)
        let second = try await server.writer.send(topic("b"))
        #expect(second.id != first.id && second.replaces == first.nid)
        let record = try #require(try await server.reader.record(room.id))
        #expect(try await server.reader.stateEvent(record, .topic)?.id == second.id)
        #expect(second.stateAfter == record.state)
    }

    @Test func `a redaction takes the content and tells the caches`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        try await server.join(bob, room.id)
        let message = try await server.message("secret", room.id)
        func redact(_ id: EventID, by user: UserID) async throws -> StoredEvent {
            try await server.writer.send(
                EventDraft(type: .redaction, sender: user, content: [:], roomID: room.id, redacts: id))
        }
        await #expect(throws: MatrixError.self) { try await redact(message.id, by: bob) }
        let redaction = try await redact(message.id, by: alice)
        let stored = try #require(try await server.reader.event(message.id))
        #expect(stored.redactedBy == redaction.id && stored.flags.contains(.redacted))
        #expect(stored.pdu.content.count == 0)
        await #expect(throws: MatrixError.self) { try await redact(try EventID("$nothing"), by: alice) }
    }

    @Test func `members are counted as they come and go`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        try await server.join(bob, room.id)
        let memberships = try await server.environment.database.read { try RoomStore($0).memberships(of: bob) }
        #expect(memberships.map(\.membership) == [.join] && memberships.first?.roomID == room.id)
        _ = try await server.writer.send(
            EventDraft(
                type: .member, sender: alice, stateKey: bob.text, content: ["membership": "ban"], roomID: room.id))
        let counts = try await server.environment.database.read { try RoomStore($0).memberCounts(room: room.nid) }
        #expect(counts == [.join: 1, .ban: 1])
        await #expect(throws: MatrixError.self) { try await server.join(bob, room.id) }
    }

    @Test func `an event that is too large is refused with the spec's code`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        do {
            _ = try await server.message(String(repeating: "x", count: 70_000), room.id)
            Issue.record("it was sent")
        } catch let error as MatrixError {
            #expect(error.code == .tooLarge && error.status == 413)
        }
    }

    @Test func `a room that is not allowed leaves nothing behind`() async throws {
        let server = try await RoomFixture()
        var room = NewRoom(version: .v12, creator: alice)
        room.events = [
            (.member, alice.text, ["membership": "join"], nil),
            (.powerLevels, "", ["users": .object([alice.text: 100])], nil),
        ]
        do {
            _ = try await server.writer.create(room)
            Issue.record("creators must not be in users")
        } catch let error as MatrixError {
            #expect(error.code == .invalidRoomState)
        }
        let rooms = try await server.environment.database.read { try $0.query("SELECT room_id FROM rooms") }
        #expect(rooms.isEmpty)
    }
}
