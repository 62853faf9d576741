import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Unread counts") struct UnreadCountTests {
    private let alice = SyncServer.alice
    private let bob = SyncServer.bob
    private let carol = SyncServer.carol
    private let threads: JSONValue = ["room": ["timeline": ["unread_thread_notifications": true]]]

    /// What bob has not read: of the main timeline, and of each thread.
    private func unread(
        _ server: SyncServer, _ room: RoomID, since: String? = nil
    ) async throws -> (main: Int64?, threads: [String: Int64]) {
        let joined = try await server.sync(bob, since: since, filter: threads).room(room)
        var found: [String: Int64] = [:]
        for (root, counts) in joined?["unread_thread_notifications"]?.object ?? [:] {
            found[root] = counts["notification_count"]?.integer
        }
        return (joined?["unread_notifications"]?["notification_count"]?.integer, found)
    }

    private func total(_ server: SyncServer, _ room: RoomID) async throws -> Int64? {
        try await server.sync(bob).room(room)?["unread_notifications"]?["notification_count"]?.integer
    }

    private func read(
        _ event: StoredEvent, _ server: SyncServer, _ room: RoomID, thread: String? = nil, type: String = "m.read",
        by user: UserID? = nil
    ) async throws {
        let path = "v3/rooms/\(room)/receipt/\(type)/\(PercentEncoding.encode(event.id.text))"
        let body: JSONValue = thread.map { ["thread_id": .string($0)] } ?? [:]
        let answer = try await server.call(.post, path, as: user ?? bob, body)
        #expect(answer.status == 200, "\(answer.body)")
    }

    @discardableResult
    private func reply(
        _ text: String, to root: StoredEvent, _ server: SyncServer, _ room: RoomID, by user: UserID? = nil,
        relation: String = "m.thread", mentions: UserID? = nil
    ) async throws -> StoredEvent {
        var content: JSONValue = [
            "msgtype": "m.text", "body": .string(text),
            "m.relates_to": ["rel_type": .string(relation), "event_id": .string(root.id.text)],
        ]
        if let mentions { content["m.mentions"] = ["user_ids": [.string(mentions.text)]] }
        return try await server.writer.send(
            EventDraft(type: .message, sender: user ?? alice, content: content, roomID: room))
    }

    @Test func `threads are counted apart for those who ask, and with the room for others`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let root = try await server.message("root", room)
        let other = try await server.message("other root", room)
        try await reply("one", to: root, server, room)
        try await reply("two", to: root, server, room, mentions: bob)
        try await reply("three", to: other, server, room)
        let joined = try await server.sync(bob, filter: threads).room(room)
        #expect(joined?["unread_notifications"] == ["highlight_count": 0, "notification_count": 2])
        #expect(
            joined?["unread_thread_notifications"]
                == .object([
                    root.id.text: ["highlight_count": 1, "notification_count": 2],
                    other.id.text: ["highlight_count": 0, "notification_count": 1],
                ]))
        let plain = try await server.sync(bob).room(room)
        #expect(plain?["unread_notifications"] == ["highlight_count": 1, "notification_count": 5])
        #expect(plain?["unread_thread_notifications"] == nil)
    }

    @Test func `what relates to an event of a thread is of the thread, over three steps and no more`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let root = try await server.message("root", room)
        let one = try await reply("one", to: root, server, room)
        let two = try await reply("two", to: one, server, room, relation: "x.own")
        let three = try await reply("three", to: two, server, room, relation: "x.own")
        try await reply("four", to: three, server, room, relation: "x.own")
        try await reply("of the root", to: root, server, room, relation: "x.own")
        let found = try await unread(server, room)
        #expect(found.main == 3)
        #expect(found.threads == [root.id.text: 3])
    }

    @Test func `receipts read a thread, the main timeline, or everything`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let root = try await server.message("root", room)
        let one = try await reply("one", to: root, server, room)
        try await reply("two", to: root, server, room)
        let last = try await server.message("last", room)
        var found = try await unread(server, room)
        #expect(found.main == 2)
        #expect(found.threads == [root.id.text: 2])
        // Within a thread, and in the middle of it.
        try await read(one, server, room, thread: root.id.text)
        found = try await unread(server, room)
        #expect(found.main == 2)
        #expect(found.threads == [root.id.text: 1])
        try await read(root, server, room, thread: "main", type: "m.read.private")
        found = try await unread(server, room)
        #expect(found.main == 1)
        #expect(found.threads == [root.id.text: 1])
        try await read(last, server, room, thread: "main")
        found = try await unread(server, room)
        #expect(found.main == 0)
        #expect(found.threads == [root.id.text: 1])
        #expect(try await total(server, room) == 1)
        try await reply("three", to: root, server, room)
        try await server.message("more", room)
        found = try await unread(server, room)
        #expect(found.main == 1)
        #expect(found.threads == [root.id.text: 2])
        let newest = try await reply("four", to: root, server, room)
        try await read(newest, server, room)
        found = try await unread(server, room)
        #expect(found.main == 0)
        #expect(found.threads == [:])
    }

    @Test func `a receipt behind another does not bring anything back`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        var sent: [StoredEvent] = []
        for number in 0..<4 { sent.append(try await server.message("\(number)", room)) }
        try await read(sent[2], server, room, type: "m.read.private")
        #expect(try await total(server, room) == 1)
        try await read(sent[0], server, room)
        #expect(try await total(server, room) == 1)
        try await read(sent[3], server, room)
        #expect(try await total(server, room) == 0)
    }

    @Test func `to send is to have read the thread it went into, another name is not`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let root = try await server.message("root", room)
        try await reply("one", to: root, server, room)
        try await server.set(.join, bob, room, name: "Robert")
        var found = try await unread(server, room)
        #expect(found.main == 1)
        #expect(found.threads == [root.id.text: 1])
        try await reply("mine", to: root, server, room, by: bob)
        found = try await unread(server, room)
        #expect(found.main == 1)
        #expect(found.threads == [:])
        try await reply("two", to: root, server, room)
        try await server.message("mine", room, by: bob)
        found = try await unread(server, room)
        #expect(found.main == 0)
        #expect(found.threads == [root.id.text: 1])
        // Who comes in again has nothing to catch up with.
        try await server.set(.leave, bob, room)
        try await server.message("unseen", room)
        try await server.set(.join, bob, room)
        found = try await unread(server, room)
        #expect(found.main == 0)
        #expect(found.threads == [:])
    }

    @Test func `a redacted message, and one of an ignored user, is not unread`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        try await server.message("one", room)
        let two = try await server.message("two", room)
        try await server.message("by carol", room, by: carol)
        #expect(try await total(server, room) == 3)
        try await server.writer.send(
            EventDraft(type: .redaction, sender: alice, content: ["redacts": .string(two.id.text)], roomID: room))
        // The watcher would tell the caches; here nobody runs it.
        await server.watcher.received("redacted \(two.nid)")
        #expect(try await total(server, room) == 2)
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": ["@carol:test": [:]]], of: bob)
        #expect(try await total(server, room) == 1)
        try await server.setAccountData("m.ignored_user_list", ["ignored_users": [:]], of: bob)
        #expect(try await total(server, room) == 2)
    }

    @Test func `more than a hundred are counted, all of them, and a restart does not lose them`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        let root = try await server.message("root", room)
        for number in 0..<150 { try await server.message("\(number)", room) }
        for number in 0..<30 { try await reply("\(number)", to: root, server, room) }
        var found = try await unread(server, room)
        #expect(found.main == 151)
        #expect(found.threads == [root.id.text: 30])
        let since = try await server.sync(bob).next
        _ = try await server.sync(bob, since: since, timeout: 1)
        let record = try await record(server, room)
        #expect(record?.threads["main"]?.notifications == 151)
        #expect(record?.threads[root.id.text]?.notifications == 30)

        let again = try await SyncServer(restarting: server)
        try await again.message("more", room)
        found = try await unread(again, room)
        #expect(found.main == 152)
        #expect(found.threads == [root.id.text: 30])
    }

    private func record(_ server: SyncServer, _ room: RoomID) async throws -> UnreadRecord? {
        try await server.environment.database.read { [bob] connection in
            let nid = try RoomStore(connection).room(room)?.nid ?? 0
            return try UnreadStore(connection).records(of: bob, rooms: [nid])[nid]
        }
    }

    /// Few events that may be judged, and few rows that may be looked at.
    @Test(arguments: [UnreadBudget(rows: 1_000, events: 25), UnreadBudget(rows: 25, events: 1_000)])
    func `a sync that cannot count everything says so by going on, and ends at the right number`(
        budget given: UnreadBudget
    ) async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        for number in 0..<60 { try await server.message("\(number)", room) }
        let asking = UnreadCounts.Asking(user: bob, rules: 0, ignored: [])
        let summaries = RoomSummaries(rooms: server.rooms)
        var steps = 0
        var seen: [Int] = []
        // Each round is another node: it knows only what is written down.
        while steps < 20 {
            let counts = UnreadCounts(rooms: server.rooms, summaries: summaries)
            let tally = try await server.environment.database.read { connection -> UnreadTally in
                var budget = given
                let rooms = try SyncRooms(connection).all(of: asking.user, includingLeft: false)
                let partial = try UnreadStore(connection).partialRooms(of: asking.user)
                let batch = try counts.batch(rooms.map(\.nid), of: asking.user, partial: partial, connection)
                return try counts.tally(of: try #require(rooms.first), for: asking, batch, budget: &budget, connection)
            }
            try await counts.flush(server.environment.database)
            seen.append(tally.total.notifications)
            steps += 1
            if tally.isComplete { break }
        }
        #expect(seen.last == 60)
        #expect((3...4).contains(seen.count))
        #expect(seen == seen.sorted())
        let left = try await server.environment.database.read { [bob] in try UnreadStore($0).partialRooms(of: bob) }
        #expect(left == [])
    }

    @Test func `beyond so many unread threads the others count with the room`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob])
        let root = try await server.message("root", room)
        var found = try await unread(server, room)
        #expect(found.main == 1)
        let nid = root.roomNID
        let place = try #require(root.position)
        var full = UnreadRecord(from: place, rules: 0)
        for number in 1..<SyncLimits.unreadThreads {
            var thread = UnreadRecord.Thread(read: place - 1, counted: place)
            (thread.notifications, thread.last) = (1, place)
            full.threads["$thread\(number)"] = thread
        }
        #expect(full.threads.count == SyncLimits.unreadThreads)
        let record = full
        try await server.environment.database.write { [bob] connection in
            _ = try connection.execute("DELETE FROM unread_counts")
            try UnreadStore(connection).keep(record, of: bob, room: nid, isPartial: false)
        }
        try await reply("one more", to: root, server, room)
        let again = try await SyncServer(restarting: server)
        found = try await unread(again, room)
        #expect(found.threads.count == SyncLimits.unreadThreads - 1)
        #expect(found.threads[root.id.text] == nil)
        #expect(found.main == 1)
    }

    @Test func `a room left half counted is in the next sync, without anything new in it`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        for number in 0..<20 { try await server.message("\(number)", room) }
        let since = try await server.sync(bob).next
        try await server.environment.database.write { connection in
            _ = try connection.execute("UPDATE unread_counts SET is_partial = 1")
            guard try connection.query("SELECT 1 FROM unread_counts").isEmpty else { return }
            _ = try connection.execute(
                """
                INSERT INTO unread_counts (user_id, room_nid, counted, rules, is_partial, threads)
                SELECT '@bob:test', room_nid, 0, 0, 1, \(Array("{}".utf8)) FROM rooms
                """)
        }
        let answer = try await server.sync(bob, since: since)
        #expect(answer.room(room)?["unread_notifications"]?["notification_count"] == 20)
        #expect(answer.timeline(room) == [])
        // Then it is done.
        let after = try await server.sync(bob, since: answer.next, timeout: 1)
        let last = try await server.sync(bob, since: after.next)
        #expect(last.room(room) == nil)
    }

    @Test func `counts of rooms that were left are taken out`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        for number in 0..<20 { try await server.message("\(number)", room) }
        let since = try await server.sync(bob).next
        _ = try await server.sync(bob, since: since, timeout: 1)
        #expect(try await record(server, room) != nil)
        try await server.environment.database.write { try UnreadStore($0).forgetLeft() }
        #expect(try await record(server, room) != nil)
        try await server.set(.leave, bob, room)
        try await server.environment.database.write { try UnreadStore($0).forgetLeft() }
        #expect(try await record(server, room) == nil)
    }

    @Test func `other rules count anew what is unread`() async throws {
        let server = try await SyncServer()
        let room = try await server.room(named: "tea", with: [bob, carol])
        for number in 0..<3 { try await server.message("\(number)", room) }
        #expect(try await total(server, room) == 3)
        var rules = PushRuleset(user: bob)
        try rules.put(PushRule(.room, id: room.text, ["actions": []]))
        try await server.setAccountData("m.push_rules", rules.content, of: bob)
        #expect(try await total(server, room) == 0)
        try await server.setAccountData("m.push_rules", PushRuleset(user: bob).content, of: bob)
        #expect(try await total(server, room) == 3)
    }
}
