import HTTPTypes
import HomeserverStorage
import MatrixModel
import MatrixRooms
import Testing

@testable import Homeserver

/// What syncs tell of rooms whose newest events lie in parallel: the newest to come may know of less than the room does. All
/// of these were found by simulated users that sync.
@Suite("Syncs of forks") struct SyncForkTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob

    /// Says something late: behind an event of before, by a state of before.
    /// - Parameter isHistory: whether it is fetched as history.
    @discardableResult
    private func late(
        _ text: String, after prev: StoredEvent, isHistory: Bool = false, _ server: SyncServer
    ) async throws -> StoredEvent {
        let record = try #require(try await server.rooms.record(prev.pdu.roomID))
        let keys = [StateKey(.powerLevels, ""), StateKey(.member, alice.text)]
        let auth = try await server.rooms.state(at: record.state, keys: keys)
        let event = try ForeignServer("elsewhere").event(
            EventDraft(type: .message, sender: alice, content: ["body": .string(text)], roomID: record.id),
            version: record.version, prev: [prev], auth: keys.compactMap { auth[$0] })
        let before = try #require(try await server.rooms.stateBefore(event.prevEvents, in: record))
        let judged = JudgedPDU(pdu: event, verdict: .accepted, stateBefore: before, isBackfilled: isHistory)
        return try #require(try await server.writer.append([judged], to: record.id).first)
    }

    private func topics(_ answer: Answer, _ room: RoomID, _ key: String = "state") -> [String] {
        (answer.room(room)?[key]?["events"]?.elements ?? []).compactMap { $0["content"]?["topic"]?.string }
    }

    @Test func `who was joined stays so, also where the newest event does not know of it`() async throws {
        let server = try await SyncServer()
        let room = try await server.room()
        let base = try await server.message("base", room)
        try await server.set(.join, bob, room)
        let first = try await server.sync(bob)
        try await late("late", after: base, server)
        let second = try await server.sync(bob, since: first.next)
        #expect(second.timeline(room) == ["late"])
        try await server.set(.join, bob, room, name: "Bob")
        let third = try await server.sync(bob, since: second.next)
        #expect(third.timeline(room) == ["@bob:test join"])
        #expect(third.state(room) == [])
        try await late("later", after: base, server)
        let fourth = try await server.sync(bob, since: third.next)
        try await server.set(.ban, bob, room, by: alice)
        let fifth = try await server.sync(bob, since: fourth.next)
        #expect(fifth.timeline(room, "leave") == ["@bob:test ban"])
    }

    @Test(arguments: [
        ("shared", ["base", "too early", "join", "late", "leave", "too late", "join"]),
        ("joined", ["join", "late", "leave", "join"]),
    ])
    func `who was joined reads what came then, also where that does not know of the join`(
        visibility: String, all: [String]
    ) async throws {
        let server = try await SyncServer()
        let room = try await server.room(visibility: visibility)
        let base = try await server.message("base", room)
        try await late("too early", after: base, server)
        func read() async throws -> [String] {
            let page = try await server.call(.get, "v3/rooms/\(room)/messages?dir=b&limit=20", as: bob)
            return (page["chunk"]?.elements ?? []).reversed().filter { $0["unsigned"]?["membership"] != nil }
                .map(Answer.name).filter { !$0.hasPrefix("m.") && !$0.hasPrefix("@alice") }
                .map { $0.replacing("@bob:test ", with: "") }
        }
        try await server.set(.join, bob, room)
        try await late("late", after: base, server)
        try await server.set(.leave, bob, room)
        try await late("too late", after: base, server)
        let left = try #require(all.lastIndex(of: "leave"))
        #expect(try await read() == Array(all[...left]))
        try await server.set(.join, bob, room)
        #expect(try await read() == all)
    }

    @Test func `who comes back is told all, also where the newest event does not know of the departure`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let base = try await server.message("base", room)
        let first = try await server.sync(bob)
        try await server.set(.leave, bob, room)
        let second = try await server.sync(bob, since: first.next)
        #expect(second.timeline(room, "leave") == ["@bob:test leave"])
        try await late("late", after: base, server)
        let third = try await server.sync(bob, since: second.next)
        try await server.set(.join, bob, room)
        let fourth = try await server.sync(bob, since: third.next, "&use_state_after=true")
        let told = Answer.names(fourth.room(room)?["state_after"])
        #expect(told.contains("m.room.create") && told.contains("m.room.name"))
    }

    @Test func `a state that changes without an event, and back, is told as it was when events came`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        try await server.state(.topic, ["topic": "old"], room)
        let base = try await server.message("base", room)
        let new = try await server.state(.topic, ["topic": "new"], room)
        let first = try await server.sync(bob)
        try await late("one", after: base, server)
        // What follows the new topic is among the newest no longer, and history is not either.
        try await late("history", after: new, isHistory: true, server)
        let record = try #require(try await server.rooms.record(room))
        let topic = try await server.rooms.stateEvent(record, .topic)
        #expect(topic?.pdu.content["topic"]?.string == "old")
        let second = try await server.sync(bob, since: first.next, "&use_state_after=true")
        try await late("three", after: new, server)
        let third = try await server.sync(bob, since: second.next, "&use_state_after=true")
        let told = [second, third].flatMap { topics($0, room, "state_after") }
        #expect(second.timeline(room) == ["one"] && third.timeline(room) == ["three"])
        #expect(told.last ?? "new" == "new")
    }

    @Test(arguments: [false, true])
    func `a timeline that begins in a fork takes no state back`(isFirst: Bool) async throws {
        let server = try await SyncServer()
        let room = try await server.room(with: [bob])
        try await server.state(.topic, ["topic": "old"], room)
        let base = try await server.message("base", room)
        try await server.state(.topic, ["topic": "new"], room)
        let first = try await server.sync(bob)
        let one = try await late("one", after: base, server)
        try await late("two", after: one, server)
        let filter: JSONValue = ["room": ["timeline": ["limit": 1]]]
        let answer = try await server.sync(bob, since: isFirst ? nil : first.next, filter: filter)
        #expect(answer.timeline(room) == ["two"])
        #expect(answer.room(room)?["timeline"]?["limited"] == true)
        #expect(topics(answer, room) == (isFirst ? ["new"] : []))
    }
}
