import Cryptography
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@Suite("Events of other servers") struct JudgedEventsTests {
    let alice = RoomFixture.alice
    let carol = RoomFixture.carol

    private func auth(_ server: RoomFixture, _ room: RoomID, _ keys: [StateKey]) async throws -> [StoredEvent] {
        let record = try #require(try await server.reader.record(room))
        let state = try await server.reader.state(at: record.state, keys: keys)
        return keys.compactMap { state[$0] }
    }

    /// Carol's server joins the room and gets it.
    private func joined(_ server: RoomFixture, _ room: RoomRecord, _ foreign: ForeignServer) async throws -> StoredEvent
    {
        let record = try #require(try await server.reader.record(room.id))
        let prev = try await server.environment.database.read {
            Array(try server.reader.log($0).events(nids: record.extremities).values)
        }
        let join = try foreign.event(
            EventDraft(
                type: .member, sender: carol, stateKey: carol.text, content: ["membership": "join"], roomID: room.id),
            version: room.version, prev: prev,
            auth: try await auth(server, room.id, [StateKey(.powerLevels, ""), StateKey(.joinRules, "")]))
        let before = try #require(try await server.reader.stateBefore(join.prevEvents, in: record))
        let stored = try await server.writer.append(
            [JudgedPDU(pdu: join, verdict: .accepted, stateBefore: before)], to: room.id)
        return try #require(stored.first)
    }

    private func append(
        _ server: RoomFixture, _ room: RoomID, _ pdu: PDU, _ verdict: Verdict = .accepted
    ) async throws -> StoredEvent {
        let record = try #require(try await server.reader.record(room))
        let before = try #require(try await server.reader.stateBefore(pdu.prevEvents, in: record))
        return try #require(
            try await server.writer.append([JudgedPDU(pdu: pdu, verdict: verdict, stateBefore: before)], to: room).first
        )
    }

    private func topic(
        _ text: String, _ server: RoomFixture, _ room: RoomRecord, _ foreign: ForeignServer, prev: [StoredEvent]
    ) async throws -> PDU {
        try foreign.event(
            EventDraft(type: .topic, sender: carol, stateKey: "", content: ["topic": .string(text)], roomID: room.id),
            version: room.version, prev: prev,
            auth: try await auth(server, room.id, [StateKey(.powerLevels, ""), StateKey(.member, carol.text)]),
            timestamp: 2_000_000_000_000)
    }

    private func letCarolSetState(_ server: RoomFixture, _ room: RoomID) async throws {
        _ = try await server.writer.send(
            EventDraft(
                type: .powerLevels, sender: alice, stateKey: "",
                content: ["users": .object([carol.text: 50]), "events_default": 0], roomID: room))
    }

    @Test func `a remote join counts, and the next event goes to its server`() async throws {
        let server = try await RoomFixture()
        let foreign = try ForeignServer("elsewhere")
        let room = try await server.room()
        let join = try await joined(server, room, foreign)
        #expect(join.position != nil)
        let record = try #require(try await server.reader.record(room.id))
        #expect(try await server.reader.joinedServers(record).map(\.text).sorted() == ["elsewhere", "test"])

        let message = try await server.message("hi", room.id)
        #expect(message.pdu.prevEvents == [join.id])
        let waiting = try await server.environment.database.read {
            try Outbox($0).pendingPDUs(for: "elsewhere", limit: 10)
        }
        #expect(waiting.map(\.eventNID) == [message.nid])
    }

    @Test func `a fork is merged by state resolution, and the next event joins both ends`() async throws {
        let server = try await RoomFixture()
        let foreign = try ForeignServer("elsewhere")
        let room = try await server.room()
        _ = try await joined(server, room, foreign)
        try await letCarolSetState(server, room.id)
        let base = try await server.message("base", room.id)

        let ours = try await server.writer.send(
            EventDraft(type: .topic, sender: alice, stateKey: "", content: ["topic": "ours"], roomID: room.id))
        let theirs = try await append(
            server, room.id, try await topic("theirs", server, room, foreign, prev: [base]))

        let record = try #require(try await server.reader.record(room.id))
        #expect(Set(record.extremities) == [ours.nid, theirs.nid])
        #expect(record.state != ours.stateAfter || record.state != theirs.stateAfter)
        // The later of two equal events wins.
        #expect(try await server.reader.stateEvent(record, .topic)?.id == theirs.id)

        let next = try await server.message("both", room.id)
        #expect(Set(next.pdu.prevEvents) == [ours.id, theirs.id])
        #expect(try await server.reader.record(room.id)?.extremities == [next.nid])
        #expect(next.stateAfter == record.state)
    }

    @Test func `soft-failed and rejected events are kept, not shown and not built on`() async throws {
        let server = try await RoomFixture()
        let foreign = try ForeignServer("elsewhere")
        let room = try await server.room()
        _ = try await joined(server, room, foreign)
        let base = try await server.message("base", room.id)
        let soft = try await append(
            server, room.id, try await topic("soft", server, room, foreign, prev: [base]), .softFailed("ban"))
        let rejected = try await append(
            server, room.id, try await topic("rejected", server, room, foreign, prev: [base]), .rejected("no"))
        #expect(soft.position == nil && soft.flags == .softFailed && soft.stateAfter != base.stateAfter)
        #expect(rejected.position == nil && rejected.flags == .rejected && rejected.stateAfter == base.stateAfter)
        #expect(try await server.message("next", room.id).pdu.prevEvents == [base.id])
        #expect(try await server.timeline(room).allSatisfy { $0.pdu.type != .topic })
        let again = try await append(server, room.id, soft.pdu)
        #expect(again.nid == soft.nid && again.flags == .softFailed)
    }

    @Test func `history goes before all, and closes the gap it fills`() async throws {
        let server = try await RoomFixture()
        let other = try await RoomFixture()
        let room = try await other.room()
        let messages = [
            try await other.message("1", room.id), try await other.message("2", room.id),
        ]
        let state = try await other.reader.currentState(room)
        let join = try ForeignServer("test").event(
            EventDraft(
                type: .member, sender: RoomFixture.bob, stateKey: RoomFixture.bob.text,
                content: ["membership": "join"], roomID: room.id), version: room.version, prev: [messages[1]],
            auth: try await auth(other, room.id, [StateKey(.powerLevels, ""), StateKey(.joinRules, "")]))
        let imported = try await server.writer.importRoom(
            room.id, version: room.version, join: join, state: Array(state.events.values), authChain: [])
        #expect(imported == (try await server.reader.record(room.id)))
        #expect(try await server.reader.currentState(imported).events.count == 6)
        #expect(try await server.reader.isJoined(RoomFixture.bob, in: room.id))
        let gap = try await server.environment.database.read {
            try server.reader.log($0).backwardExtremities(room: imported.nid)
        }
        #expect(gap == [messages[1].id])

        _ = try await server.writer.append(
            messages.reversed().map {
                JudgedPDU(pdu: $0.pdu, verdict: .accepted, stateBefore: nil, isBackfilled: true)
            }, to: room.id)
        let timeline = try await server.timeline(imported)
        #expect(timeline.map(\.id) == [messages[0].id, messages[1].id, join.id])
        #expect(timeline.map(\.position) == [-2, -1, StreamPositions.eventStep])
        let record = try #require(try await server.reader.record(room.id))
        #expect(record == imported)
        #expect(try await server.message("after", room.id, by: RoomFixture.bob).pdu.prevEvents == [join.id])
    }

    @Test func `a redaction that comes before its target waits for it`() async throws {
        let server = try await RoomFixture()
        let foreign = try ForeignServer("elsewhere")
        let room = try await server.room()
        let join = try await joined(server, room, foreign)
        let keys = [StateKey(.powerLevels, ""), StateKey(.member, carol.text)]
        let auth = try await auth(server, room.id, keys)
        let message = try foreign.event(
            EventDraft(type: .message, sender: carol, content: ["body": "oops"], roomID: room.id),
            version: room.version, prev: [join], auth: auth)
        let redaction = try foreign.event(
            EventDraft(type: .redaction, sender: carol, content: [:], roomID: room.id, redacts: message.id),
            version: room.version, prev: [join], auth: auth)
        let applied = try await append(server, room.id, redaction)
        _ = try await append(server, room.id, message)
        let stored = try #require(try await server.reader.event(message.id))
        #expect(stored.redactedBy == applied.id && stored.pdu.content["body"] == nil)
    }

    @Test func `sealed rooms read as plain ones do`() async throws {
        let key = try #require(StorageSealer.Key(id: "k", bytes: [UInt8](repeating: 3, count: 32)))
        let server = try await RoomFixture(
            sealer: StorageSealer(keys: [key], random: SystemRandomSource()))
        let room = try await server.room()
        let message = try await server.message("a very secret text", room.id)
        #expect(try await server.reader.event(message.id)?.pdu.content["body"]?.string == "a very secret text")
        let body = try await server.environment.database.read {
            try $0.query("SELECT body FROM events WHERE event_nid = \(message.nid)").first?.bytes(0)
        }
        #expect(body?.first == 1)
    }
}
