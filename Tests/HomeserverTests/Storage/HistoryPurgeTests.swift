import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver
@testable import HomeserverStorage

@Suite("Old messages") struct HistoryPurgeTests {
    /// A room's history, taken out in steps until nothing is left to take.
    private func purge(_ server: RoomFixture, _ room: RoomID, _ cut: HistoryCut) async throws -> Int {
        let keeper = RetentionKeeper(environment: server.environment, reader: server.reader, memberships: nil)
        var state = RetentionKeeper.State()
        let record = try #require(try await server.reader.record(room))
        let removed = try await keeper.purge(record, cut, fromBeginning: false, &state)
        try await keeper.release()
        return removed
    }

    @Test func `a room that cannot be read keeps its messages, and no other room's`() async throws {
        let clock = SyncClock()
        let server = try await RoomFixture(clock: clock) { $0.retention.defaultDays = 1 }
        var rooms: [RoomRecord] = []
        for _ in 0..<3 {
            let room = try await server.room()
            for number in 0..<3 { _ = try await server.message("\(number)", room.id) }
            rooms.append(room)
        }
        let first = rooms[0].nid
        try await server.environment.database.write { connection in
            _ = try connection.execute(
                "UPDATE rooms SET version = 'none' WHERE room_nid = \(first)")
        }
        clock.advance(milliseconds: 3 * 86_400_000)
        let keeper = RetentionKeeper(
            environment: server.environment, reader: RoomReader(environment: server.environment), memberships: nil)
        var state = RetentionKeeper.State()
        try await keeper.turn(&state)
        try await keeper.release()
        for room in rooms.dropFirst() { #expect(try await bodies(server, room).contains("0") == false) }
        let kept = try await server.environment.database.read { connection in
            try connection.query("SELECT 1 FROM events WHERE room_nid = \(first) AND type = 'm.room.message'").count
        }
        #expect(kept == 3)
    }

    private func bodies(_ server: RoomFixture, _ room: RoomRecord) async throws -> [String] {
        try await server.timeline(room).map { $0.pdu.content["body"]?.string ?? $0.pdu.type.text }
    }

    private func topic(_ text: String, _ room: RoomID) -> EventDraft {
        EventDraft(
            type: .topic, sender: RoomFixture.alice, stateKey: "", content: ["topic": .string(text)], roomID: room)
    }

    @Test(arguments: TestStore.available)
    func `messages before a time go, state and the newest event stay, and the room still agrees`(
        _ store: TestStore
    ) async throws {
        try await store.run { database, _ in
            let server = try await RoomFixture(database: database)
            let room = try await server.room()
            try await server.join(RoomFixture.bob, room.id)
            var old: [StoredEvent] = []
            for number in 0..<250 {
                old.append(try await server.message("\(number)", room.id))
                if number % 100 == 50 { _ = try await server.writer.send(topic("\(number)", room.id)) }
            }
            let oops = try await server.message("oops", room.id)
            _ = try await server.writer.send(
                EventDraft(
                    type: .redaction, sender: RoomFixture.alice, content: [:], roomID: room.id, redacts: oops.id))
            let time = server.environment.clock.now()
            for number in 0..<3 { _ = try await server.message("new \(number)", room.id) }

            #expect(try await purge(server, room.id, HistoryCut(before: time)) == 252)
            let left = try await bodies(server, room)
            #expect(left.suffix(3) == ["new 0", "new 1", "new 2"])
            #expect(left.filter { $0 == "m.room.topic" }.count == 2 && left.count == 11)
            #expect(try await server.reader.event(old[7].id) == nil)
            let report = try #require(try await RoomCheck(server.environment).check(room.id))
            #expect(report.differences == [])
            try await database.read { connection in
                let log = server.reader.log(connection)
                #expect(try log.backwardExtremities(room: room.nid) == [], "nothing is to be fetched again")
                #expect(try log.historyEnds(room: room.nid).contains { $0.isPurged })
                let relations = try connection.query("SELECT COUNT(*) FROM event_relations").first?.integer(0)
                #expect(relations == 0)
            }
            // Again, and with more: only what is old by now goes.
            #expect(try await purge(server, room.id, HistoryCut(before: time)) == 0)
            let later = server.environment.clock.now()
            _ = try await server.message("newest", room.id)
            #expect(try await purge(server, room.id, HistoryCut(before: later)) == 3)
            #expect(try await bodies(server, room).last == "newest")
            #expect(try await RoomCheck(server.environment).check(room.id)?.differences == [])
        }
    }

    @Test func `all may be old: the newest event stays, and the next follows it`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        for number in 0..<5 { _ = try await server.message("\(number)", room.id) }
        #expect(try await purge(server, room.id, HistoryCut(before: .max)) == 4)
        let next = try await server.message("next", room.id)
        #expect(try await server.reader.event(next.pdu.prevEvents[0])?.pdu.content["body"]?.string == "4")
        #expect(try await RoomCheck(server.environment).check(room.id)?.differences == [])
    }

    @Test func `what says it is of the future goes when it came long enough ago, what says it is old goes alone`()
        async throws
    {
        let clock = TickingClock()
        let server = try await RoomFixture(clock: clock)
        let room = try await server.room()
        _ = try await server.message("first", room.id)
        let future = try await server.message("future", room.id)
        // As another server could have it.
        try await server.environment.database.write {
            _ = try $0.execute(
                "UPDATE events SET origin_server_ts = \(Int64(1) << 50) WHERE event_nid = \(future.nid)")
            try PositionTimes($0).note(now: clock.now())
        }
        let time = clock.now()
        let old = try await server.message("old", room.id)
        try await server.environment.database.write {
            _ = try $0.execute("UPDATE events SET origin_server_ts = 5 WHERE event_nid = \(old.nid)")
        }
        _ = try await server.message("last", room.id)
        #expect(try await purge(server, room.id, HistoryCut(before: time)) == 2)
        #expect(try await bodies(server, room).suffix(2) == ["future", "last"])
        let upTo = try await server.environment.database.read {
            try PositionTimes($0).position(of: "events", before: time)
        }
        #expect(try await purge(server, room.id, HistoryCut(before: time, upTo: upTo)) == 1)
        #expect(try await bodies(server, room).last == "last")
    }

    @Test func `a walk that ended at young messages looks at them again when they are old`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        for number in 0..<20 { _ = try await server.message("\(number)", room.id) }
        #expect(try await purge(server, room.id, HistoryCut(before: 5)) == 0)
        #expect(try await purge(server, room.id, HistoryCut(before: .max)) == 19)
    }

    @Test func `before an event means before its place`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        var sent: [StoredEvent] = []
        for number in 0..<6 { sent.append(try await server.message("\(number)", room.id)) }
        var administration = RoomAdministration(environment: server.environment)
        administration.patience = .zero
        let cut = try #require(try await administration.cut(before: sent[4].id, in: room.id))
        let job = try await administration.purgeHistory(room.id, cut)
        #expect(job.removed == 4 && job.failure == nil && job.finished != nil)
        #expect(try await bodies(server, room).suffix(2) == ["4", "5"])
        let other = try await server.room()
        #expect(try await administration.cut(before: sent[4].id, in: other.id) == nil)
    }

    @Test func `what a room says counts within what the operator allows`() throws {
        func lifetime(_ content: JSONValue?, _ least: Int64?, _ most: Int64?, _ usual: Int64? = nil) throws -> Int64? {
            var configuration = HomeserverConfiguration.Retention()
            (configuration.minimumDays, configuration.maximumDays) = (least, most)
            configuration.defaultDays = usual
            let view = try content.map { try JSONDocument($0.serialized()).root }
            return RetentionPolicy(view, configuration).lifetime
        }
        let day: Int64 = 86_400_000
        #expect(try lifetime(nil, 1, 10) == nil)
        #expect(try lifetime(nil, nil, nil, 3) == 3 * day)
        #expect(try lifetime(["max_lifetime": 1_000], nil, nil, 3) == 1_000)
        #expect(try lifetime(["max_lifetime": 1_000], 2, nil) == 2 * day)
        #expect(try lifetime(["max_lifetime": .integer(99 * day)], 2, 10) == 10 * day)
        #expect(try lifetime(["min_lifetime": .integer(5 * day)], nil, nil, 3) == 5 * day)
        #expect(try lifetime(["max_lifetime": 1_000, "min_lifetime": 2_000], nil, nil) == 2_000)
        for wrong: JSONValue in ["1", 0, -5, .null, []] {
            #expect(try lifetime(["max_lifetime": wrong], nil, nil, 3) == 3 * day)
        }
    }

    @Test(arguments: TestStore.available) func `each room is kept by its own rule`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            let clock = SyncClock()
            let server = try await RoomFixture(database: database, clock: clock)
            let (quiet, short) = (try await server.room(), try await server.room())
            let type = EventType("m.room.retention")
            _ = try await server.writer.send(
                EventDraft(
                    type: type, sender: RoomFixture.alice, stateKey: "", content: ["max_lifetime": 3_600_000],
                    roomID: short.id))
            for room in [quiet, short] { for text in ["a", "b"] { _ = try await server.message(text, room.id) } }
            clock.advance(milliseconds: 7_200_000)
            for room in [quiet, short] { _ = try await server.message("c", room.id) }
            let keeper = RetentionKeeper(environment: server.environment, reader: server.reader, memberships: nil)
            var state = RetentionKeeper.State()
            try await keeper.turn(&state)
            #expect(try await bodies(server, quiet).suffix(3) == ["a", "b", "c"])
            #expect(try await bodies(server, short).suffix(2) == ["m.room.retention", "c"])
        }
    }

    @Test func `a soft-failed message goes after its time`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        let kept = try await server.message("kept", room.id)
        let withheld = try await server.message("withheld", room.id)
        _ = try await server.message("last", room.id)
        try await server.environment.database.write { connection in
            _ = try connection.execute(
                "UPDATE events SET position = NULL, flags = 4 WHERE event_nid = \(withheld.nid)")
            #expect(try Sweeps(connection).withheldMessages(sentBefore: .max, after: 0) == nil)
        }
        #expect(try await server.reader.event(withheld.id) == nil)
        #expect(try await server.reader.event(kept.id) != nil)
        let report = try await RoomCheck(server.environment).check(room.id)
        #expect(report?.counts[.backwardExtremities] == nil)
    }
}
