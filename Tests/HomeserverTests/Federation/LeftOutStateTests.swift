import HTTPMessages
import HTTPTypes
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import Testing

@testable import Homeserver
@testable import HomeserverStorage

/// A room is joined while a server of one of its members is away, so that its keys cannot be had.
@Suite("State that could not be had when a room was joined", .serialized) struct LeftOutStateTests {
    /// Carol of `c.test` is in Alice's room; Bob joins while nobody tells him the keys of `c.test`.
    /// - Parameters:
    ///   - members: how many of `c.test` are in the room beside Carol.
    ///   - joins: whether Bob joins; else the test lets him.
    private func play(
        _ version: String, saying word: String? = nil, members: Int = 0, joins: Bool = true,
        _ configure: (inout HomeserverConfiguration) -> Void = { _ in },
        _ test: (TwoServers, TestHomeserver, TestHomeserver.Client, RoomID) async throws -> Void
    ) async throws {
        try await TwoServers.run(configure) { servers in
            let c = try await TestHomeserver("c.test", on: servers.network)
            let carol = try await c.register("carol")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await c.instance.run() }
                let room = try await servers.alice.createRoom(
                    version, ["power_level_content_override": ["events_default": 0, "state_default": 0]])
                try await carol.join(room, via: servers.a)
                try await servers.agree(room, on: c)
                if let word {
                    try await servers.alice.say(word, room)
                    try await eventually { try await c.messages(room) == [word] }
                }
                try await c.fill(room, members)
                try await carol.set("m.room.topic", ["topic": "hers"], room)
                try await servers.agree(room, on: c)
                servers.network.set { request in
                    request.host == "c.test" && request.pathAndQuery.contains("/key/") ? .unreachable : .delivered
                }
                if joins {
                    try await servers.bob.join(room, via: servers.a)
                    #expect(try await servers.b.membership(carol.user, room) == nil)
                    try await eventually { try await c.membership(servers.bob.user, room) == .join }
                }
                try await test(servers, c, carol, room)
                group.cancelAll()
            }
        }
    }

    @Test func `of the many of a server that was away none is forgotten`() async throws {
        let members = 250
        try await play("12", members: members) { servers, _, _, room in
            try await eventually { try await servers.b.reader.record(room)?.isPartial == false }
            // These, Carol and her topic.
            #expect(try await servers.leftOut(of: room)?.count == members + 2)
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            for number in 0..<members {
                #expect(try await servers.b.membership(UserID("@member\(number):c.test"), room) == .join)
            }
            try await servers.agree(room)
        }
    }

    @Test func `a room that lacks more than is noted is not taken for whole`() async throws {
        try await play("12", members: 60, { $0.limits.stateEventsLeftOut = 10 }) { servers, _, carol, room in
            let nid = try #require(try await servers.b.reader.record(room)?.nid)
            try await eventually {
                try await servers.b.environment.database.read {
                    try (PartialRoomStore($0).room(nid)?.failures ?? 0) > 0
                }
            }
            #expect(try await servers.b.reader.record(room)?.isPartial == true)
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.reader.record(room)?.isPartial == false }
            #expect(try await servers.leftOut(of: room) == nil)
            #expect(try await servers.b.membership(carol.user, room) == .join)
            try await servers.agree(room)
        }
    }

    @Test func `a room that lacks more than is noted is known in part after many tries in vain`() async throws {
        try await play("12", joins: false, { $0.limits.stateEventsLeftOut = 1 }) { servers, _, _, room in
            // So many that they are not told with the join. What cannot be had are Carol and her topic.
            try await servers.a.fill(room, 60)
            try await servers.bob.join(room, via: servers.a)
            let nid = try #require(try await servers.b.reader.record(room)?.nid)
            func failures() async throws -> Int {
                try await servers.b.environment.database.read { try PartialRoomStore($0).room(nid)?.failures ?? 0 }
            }
            func isPartial() async throws -> Bool { try await servers.b.reader.record(room)?.isPartial == true }
            var failed = 0
            while failed < 20 {
                let before = failed
                try await servers.askAgain(in: room, at: 0)
                try await eventually {
                    if try await failures() > before { return true }
                    return try await !isPartial()
                }
                try #require(try await isPartial(), "after \(before) failures")
                failed = try await failures()
            }

            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await !isPartial() }
            // The one that is noted is asked for from now on.
            let noted = try #require(try await servers.leftOut(of: room))
            #expect(noted.count == 1)
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            let state = try await servers.b.state(room)
            #expect(Set(state.values).isSuperset(of: noted))
        }
    }

    @Test func `a room told whole of which more is lacking than is noted is not joined`() async throws {
        try await play("12", joins: false, { $0.limits.stateEventsLeftOut = 1 }) { servers, _, carol, room in
            await #expect(throws: MatrixError.self) { try await servers.bob.join(room, via: servers.a) }
            #expect(try await servers.b.reader.record(room) == nil)
            servers.network.set()
            try await eventually {
                try? await servers.bob.join(room, via: servers.a)
                return try await servers.b.membership(servers.bob.user, room) == .join
            }
            #expect(try await servers.b.membership(carol.user, room) == .join)
        }
    }

    @Test(arguments: ["12", "6", "1"])
    func `it is taken in once it can be had, and what was rejected without it is judged again`(
        _ version: String
    ) async throws {
        try await play(version) { servers, c, carol, room in
            // It is not asked for until the message was judged without it.
            let message = try await servers.rejected("am I here?", of: carol, in: room)
            #expect(try await servers.b.messages(room) == [])
            try await servers.bob.say("I am", room)

            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            try await eventually { try await Set(servers.b.messages(room)) == ["am I here?", "I am"] }
            #expect(try await servers.b.reader.event(message)?.flags == [])
            try await servers.agree(room)

            // All three talk, and nothing is left to be asked for.
            try await carol.say("all well", room)
            try await servers.bob.say("indeed", room)
            try await eventually { try await servers.b.messages(room).count == 4 }
            try await eventually { try await Set(c.messages(room)).isSuperset(of: ["all well", "indeed"]) }
            try await eventually { try await servers.leftOut(of: room) == nil }
        }
    }

    @Test func `clients that load members lazily are told of it, whatever it is`() async throws {
        try await play("12") { servers, c, carol, room in
            // Carol, who was away, named the room before Bob came.
            let (_, first) = try await synced(servers.bob, room, since: nil)
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            try await eventually { try await servers.leftOut(of: room) == nil }
            let (state, _) = try await synced(servers.bob, room, since: first)
            #expect(state.contains("m.room.topic"))
        }
    }

    @Test func `clients are told of it, and of nothing twice`() async throws {
        try await play("12") { servers, _, carol, room in
            func timeline(_ answer: JSONValue) -> [String] {
                (answer["rooms"]?["join"]?[room.text]?["timeline"]?["events"]?.elements ?? []).compactMap {
                    $0["event_id"]?.string
                }
            }
            let first = try await servers.b.sync(servers.bob, lazy: false)
            #expect(!timeline(first).isEmpty)
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            let next = try #require(first["next_batch"]?.string)
            let second = try await servers.b.sync(servers.bob, since: next, lazy: false)
            let state = second["rooms"]?["join"]?[room.text]?["state"]?["events"]?.elements ?? []
            #expect(state.contains { $0["state_key"]?.string == carol.user.text })
            #expect(state.contains { $0["type"] == "m.room.topic" })
            #expect(timeline(second) == [])
        }
    }

    @Test func `history that it allows is not judged without it`() async throws {
        try await play("12", saying: "welcome") { servers, _, carol, room in
            // What Alice said builds on Carol's join, and Carol's topic on what Alice said.
            try await servers.askAgain(in: room, at: .max)
            let path = "/_matrix/client/v3/rooms/\(percent(room.text))/messages?dir=b&limit="
            _ = try await servers.bob.ask(.get, path + "50")
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            let topic = try #require(try await servers.a.event("m.room.topic", room))
            // Her join and her topic, which were before Bob came.
            try await eventually {
                let shown = try await servers.bob.ask(.get, path + "49")["chunk"]?.elements ?? []
                return shown.filter { $0["sender"]?.string == carol.user.text }.count == 2
            }
            #expect(try await servers.b.reader.event(topic)?.flags == [])
            #expect(try await servers.b.messages(room) == ["welcome"])
        }
    }

    /// The types of the state that a lazy sync tells of a room, and where to go on.
    private func synced(
        _ client: TestHomeserver.Client, _ room: RoomID, since: String?
    ) async throws -> (Set<String>, String) {
        let answer = try await client.server.sync(client, since: since, lazy: true)
        let joined = answer["rooms"]?["join"]?[room.text]
        let events = (joined?["state"]?["events"]?.elements ?? []) + (joined?["timeline"]?["events"]?.elements ?? [])
        return (Set(events.compactMap { $0["type"]?.string }), try #require(answer["next_batch"]?.string))
    }

    @Test func `what had been said before a ban is shown, what was said after it is not`() async throws {
        try await play("12") { servers, _, carol, room in
            try await servers.askAgain(in: room, at: .max)
            servers.network.set()
            let early = try await carol.say("early", room)
            try await eventually { try await servers.b.reader.event(early)?.flags.contains(.rejected) == true }
            // Carol's server hears nothing of the ban.
            servers.network.set { $0.host == "c.test" ? .unreachable : .delivered }
            try await servers.alice.ask(
                .post, "/_matrix/client/v3/rooms/\(percent(room.text))/ban", ["user_id": .string(carol.user.text)])
            try await eventually { try await servers.b.membership(carol.user, room) == .ban }
            let late = try await carol.say("late", room)
            try await eventually { try await servers.b.reader.event(late)?.flags.contains(.rejected) == true }

            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.messages(room) == ["early"] }
            #expect(try await servers.b.reader.event(late)?.flags == .softFailed)
            #expect(try await servers.b.membership(carol.user, room) == .ban)
            try await servers.bob.say("quiet now", room)
            try await eventually { try await servers.a.messages(room).last == "quiet now" }
            try await servers.agree(room)
        }
    }

    @Test func `a redaction that was rejected without it is carried out`() async throws {
        try await play("12") { servers, _, carol, room in
            try await servers.askAgain(in: room, at: .max)
            servers.network.set()
            let slip = try await carol.say("a slip", room)
            let path = "/_matrix/client/v3/rooms/\(percent(room.text))/redact/\(percent(slip.text))/1"
            let answer = try await carol.ask(.put, path, [:])
            let redaction = try EventID(#require(answer["event_id"]?.string))
            try await eventually { try await servers.b.reader.event(redaction)?.flags.contains(.rejected) == true }

            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.reader.event(redaction)?.position != nil }
            let shown = try #require(try await servers.b.reader.event(slip))
            #expect(shown.redactedBy == redaction)
            #expect(shown.pdu.content["body"] == nil)
        }
    }

    @Test func `what can be had is taken in at once, and the rest later`() async throws {
        try await play("12") { servers, _, carol, room in
            try await servers.askAgain(in: room, at: .max)
            let member = try #require(try await servers.a.member(carol.user, room))
            let topic = try #require(try await servers.a.event("m.room.topic", room))
            servers.network.set { request in
                request.pathAndQuery.contains(percent(topic.text)) ? .unreachable : .delivered
            }
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            #expect(try await servers.b.member(carol.user, room) == member)
            #expect(try await servers.b.event("m.room.topic", room) == nil)
            #expect(try await servers.leftOut(of: room) == [topic])

            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.event("m.room.topic", room) == topic }
            #expect(try await servers.leftOut(of: room) == nil)
        }
    }

    @Test func `what can be had is taken in, though an event that the join names cannot be had yet`() async throws {
        try await play("12", joins: false) { servers, c, carol, room in
            let levels: JSONValue = ["users": .object([carol.user.text: 50]), "events_default": 0, "state_default": 0]
            try await servers.alice.set("m.room.power_levels", levels, room)
            try await servers.agree(room, on: c)
            // What is sent comes to Bob's server at last.
            @Sendable func isSent(_ request: ClientRequest) -> Bool {
                request.host == "b.test" && request.pathAndQuery.contains("/send/")
            }
            servers.network.set { request in
                let asksKeys = request.host == "c.test" && request.pathAndQuery.contains("/key/")
                return asksKeys || isSent(request) ? .unreachable : .delivered
            }
            for verb in ["ban", "unban"] { try await carol.act(verb, room, on: servers.bob.user) }
            try await servers.agree(room, on: c)
            let unban = try #require(try await servers.a.member(servers.bob.user, room))
            try await servers.bob.join(room, via: servers.a)
            try await eventually { try await servers.leftOut(of: room)?.contains(unban) == true }
            servers.network.set { request in
                isSent(request) || request.pathAndQuery.contains(percent(unban.text)) ? .unreachable : .delivered
            }
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            #expect(try await servers.b.membership(servers.bob.user, room) == .join)
            #expect(try await servers.leftOut(of: room) == [unban])
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            try await servers.agree(room)
            // The join leads to the unban, and so to the ban, which comes now.
            try await carol.say("welcome back", room)
            try await eventually { try await servers.b.messages(room).last == "welcome back" }
            try await servers.agree(room)
        }
    }

    @Test func `what a join without members names and comes with them is in its auth chain`() async throws {
        try await play("12", joins: false) { servers, c, carol, room in
            let levels: JSONValue = ["users": .object([carol.user.text: 50]), "events_default": 0, "state_default": 0]
            try await servers.alice.set("m.room.power_levels", levels, room)
            try await servers.agree(room, on: c)
            for verb in ["ban", "unban"] { try await carol.act(verb, room, on: servers.bob.user) }
            try await servers.agree(room, on: c)
            try await servers.a.fill(room, 60)
            servers.network.set { request in
                let asksKeys = request.host == "c.test" && request.pathAndQuery.contains("/key/")
                let isSent = request.host == "b.test" && request.pathAndQuery.contains("/send/")
                return asksKeys || isSent || request.pathAndQuery.contains("/v1/state") ? .unreachable : .delivered
            }
            let unban = try #require(try await servers.a.member(servers.bob.user, room))
            try await servers.bob.join(room, via: servers.a)
            #expect(try await servers.b.reader.record(room)?.isPartial == true)
            #expect(try await servers.b.reader.event(unban) == nil)
            servers.network.set()
            try await eventually { try await servers.b.reader.record(room)?.isPartial == false }
            #expect(try await servers.leftOut(of: room) == nil)
            try await servers.agree(room)
        }
    }

    @Test func `after a day it is not asked for any more`() async throws {
        try await play("12") { servers, _, carol, room in
            let nid = try #require(try await servers.b.reader.record(room)?.nid)
            try await servers.b.environment.database.write {
                try $0.execute("UPDATE partial_rooms SET left_out_until = 1 WHERE room_nid = \(nid)")
            }
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            #expect(try await servers.b.membership(carol.user, room) == nil)
        }
    }

    @Test func `where too much has followed the join it is given up, and nothing else`() async throws {
        try await play("12") { servers, _, carol, room in
            let nid = try #require(try await servers.b.reader.record(room)?.nid)
            try await servers.bob.say("before", room)
            try await servers.b.environment.database.write {
                try $0.execute(
                    """
                    INSERT INTO events (event_nid, room_nid, event_id, type, sender, depth, origin_server_ts, flags, body)
                    WITH RECURSIVE numbers (number) AS (
                        SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number <= \(Int64(RoomLimits.eventsAmended)))
                    SELECT 1000000000 + number, room_nid, event_id || number, type, sender, depth, origin_server_ts, 0, body
                    FROM events CROSS JOIN numbers WHERE room_nid = \(nid) AND type = 'm.room.message'
                    """)
            }
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            #expect(try await servers.b.membership(carol.user, room) == nil)
            #expect(try await servers.b.messages(room) == ["before"])
        }
    }

    @Test func `what was judged without it and is written after it is judged again`() async throws {
        try await play("12") { servers, _, carol, room in
            let before = try #require(try await servers.b.reader.record(room))
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.b.membership(carol.user, room) == .join }
            try await eventually { try await servers.leftOut(of: room) == nil }
            let record = try #require(try await servers.b.reader.record(room))
            #expect(record.knowledge.changes > before.knowledge.changes, "once for each part that could be had")

            let writer = RoomWriter(environment: servers.b.environment, reader: servers.b.reader)
            let built = try await writer.build(
                EventDraft(
                    type: .message, sender: servers.bob.user, content: ["msgtype": "m.text", "body": "late"],
                    roomID: room))
            for verdict in [Verdict.accepted, .softFailed("so"), .rejected("so")] {
                await #expect(throws: RoomKnowledgeChanged.self) {
                    try await writer.append(
                        [
                            JudgedPDU(
                                pdu: built.pdu, verdict: verdict, stateBefore: before.state, knowledge: before.knowledge
                            )
                        ], to: room)
                }
            }
        }
    }

    @Test func `of a room that was left it is not asked for, and after a day forgotten`() async throws {
        try await play("12") { servers, _, carol, room in
            try await servers.askAgain(in: room, at: .max)
            try await servers.bob.act("leave", room)
            servers.network.set()
            let nid = try #require(try await servers.b.reader.record(room)?.nid)
            let failures = try #require(try await servers.failures(nid))
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.failures(nid) == failures + 1 }
            #expect(try await servers.b.membership(carol.user, room) == nil)
            #expect(try await servers.leftOut(of: room)?.isEmpty == false)
            try await servers.b.environment.database.write {
                try $0.execute("UPDATE partial_rooms SET left_out_until = 1 WHERE room_nid = \(nid)")
            }
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
        }
    }

    @Test(arguments: [("12", 0), ("12", 60), ("1", 0)])
    func `what was rejected without it is judged again though the room was left meanwhile`(
        _ version: String, members: Int
    ) async throws {
        try await play(version) { servers, c, carol, room in
            let message = try await servers.rejected("am I here?", of: carol, in: room)
            let answer = try await servers.alice.say("you are", room)
            try await eventually { try await servers.b.messages(room) == ["you are"] }
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await servers.alice.say("has he gone?", room)
            try await servers.agree(room, on: c)

            // So many that they are not told with the join.
            try await servers.a.fill(room, members)
            try await servers.bob.join(room, via: servers.a)
            try await eventually {
                guard try await servers.b.reader.record(room)?.isPartial == false else { return false }
                return try await servers.leftOut(of: room) == nil
            }
            #expect(try await servers.b.reader.event(message)?.flags == [])
            #expect(try await servers.b.messages(room).contains("am I here?"))
            #expect(try await servers.b.membership(carol.user, room) == .join)
            // What he left is not among the newest again.
            let record = try #require(try await servers.b.reader.record(room))
            let newest = try await servers.b.environment.database.read {
                try servers.b.reader.log($0).events(nids: record.extremities).values.map(\.pdu)
            }
            #expect(newest.count == 1)
            #expect(!newest.contains { $0.prevEvents.contains(answer) })
            try await servers.bob.say("back", room)
            try await eventually { try await c.messages(room).last == "back" }
            try await servers.agree(room)
        }
    }

    @Test func `a join that was given up before its members were known keeps what earlier ones lacked`() async throws {
        try await play("12") { servers, c, carol, room in
            let message = try await servers.rejected("am I here?", of: carol, in: room)
            let lacked = try await servers.leftOut(of: room)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await servers.a.fill(room, 60)

            servers.network.set { request in
                request.host == "a.test" && request.pathAndQuery.contains("/state") ? .unreachable : .delivered
            }
            try await servers.bob.join(room, via: servers.a)
            #expect(try await servers.b.reader.record(room)?.isPartial == true)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.b.reader.record(room)?.isPartial == false }
            #expect(try await servers.leftOut(of: room) == lacked)
            #expect(try await servers.b.reader.event(message)?.flags.contains(.rejected) == true)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }

            servers.network.set()
            try await servers.bob.join(room, via: servers.a)
            try await eventually {
                guard try await servers.b.reader.record(room)?.isPartial == false else { return false }
                return try await servers.leftOut(of: room) == nil
            }
            #expect(try await servers.b.reader.event(message)?.flags == [])
            try await servers.agree(room)
        }
    }

    @Test func `who may not speak since this server was out of the room stays silent`() async throws {
        try await play("12") { servers, c, carol, room in
            try await servers.askAgain(in: room, at: .max)
            servers.network.set()
            let early = try await carol.say("early", room)
            try await eventually { try await servers.b.reader.event(early)?.flags.contains(.rejected) == true }
            // Carol's server hears nothing from now on, and what she says comes to Bob's only when he is back.
            servers.network.set { request in
                let isSent = request.host == "b.test" && request.pathAndQuery.contains("/send/")
                return request.host == "c.test" || isSent ? .unreachable : .delivered
            }
            let late = try await carol.say("late", room)
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await servers.alice.set("m.room.power_levels", ["events_default": 50, "users": [:]], room)
            try await servers.bob.join(room, via: servers.a)
            servers.network.set { $0.host == "c.test" ? .unreachable : .delivered }
            try await eventually { try await servers.b.reader.event(late) != nil }
            let name: JSONValue = ["membership": "join", "displayname": "Bob, again"]
            try await servers.bob.set("m.room.member", name, room, key: servers.bob.user.text)

            try await eventually { try await servers.leftOut(of: room) == nil }
            #expect(try await servers.b.reader.event(early)?.flags == [])
            #expect(try await servers.b.reader.event(late)?.flags == .softFailed)
            #expect(try await servers.b.messages(room) == ["early"])
            try await servers.agree(room)
        }
    }

    @Test func `each join is given what it lacked itself`() async throws {
        try await play("12") { servers, c, carol, room in
            let first = try #require(try await servers.b.member(servers.bob.user, room))
            let dave = try await c.register("dave")
            for server in [servers.a, c] {
                try await eventually { try await server.membership(servers.bob.user, room) == .join }
            }
            try await servers.bob.act("leave", room)
            try await eventually { try await servers.a.membership(servers.bob.user, room) == .leave }
            try await dave.join(room, via: servers.a)
            try await eventually { try await servers.a.membership(dave.user, room) == .join }
            try await servers.bob.join(room, via: servers.a)
            let second = try #require(try await servers.b.member(servers.bob.user, room))
            try await eventually { try await servers.leftOut(of: room)?.count == 5 }

            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            func members(after join: EventID) async throws -> Set<String> {
                let state = try #require(try await servers.b.reader.event(join)?.stateAfter)
                let keys = try await servers.b.reader.state(at: state).keys
                return Set(keys.filter { $0.type == .member }.map(\.stateKey))
            }
            let (alice, bob) = (servers.alice.user.text, servers.bob.user.text)
            #expect(try await members(after: first) == [alice, bob, carol.user.text])
            #expect(try await members(after: second) == [alice, bob, carol.user.text, dave.user.text])
            try await dave.say("all here?", room)
            try await eventually { try await servers.b.messages(room) == ["all here?"] }
            try await servers.agree(room)
        }
    }

    @Test func `of many joins the latest are kept, from the first that lacks something`() throws {
        let id = try EventID("$lacking")
        func kept(_ lacking: [Bool]) -> [Int64]? {
            let joins = lacking.enumerated().map { LackingJoin(nid: Int64($0), events: $1 ? [id] : []) }
            return LeftOutState(joins: joins, resident: "a.test", until: 1)?.joins.map(\.nid)
        }
        #expect(kept([]) == nil)
        #expect(kept([false, false]) == nil)
        #expect(kept([false, true, false]) == [1, 2])
        #expect(kept([Bool](repeating: true, count: 10)) == Array(2...9))
        #expect(kept([true] + [Bool](repeating: false, count: 8)) == nil)
    }

    @Test func `rows of before schema 25 are of the join by which the room is here`() async throws {
        try await play("12") { servers, _, carol, room in
            try await servers.askAgain(in: room, at: .max)
            let leftOut = try #require(try await servers.leftOut(of: room))
            let list = "[" + leftOut.map { "\"\($0.text)\"" }.joined(separator: ",") + "]"
            let dialect = servers.b.environment.database.dialect
            try await servers.b.environment.database.write {
                try $0.execute("UPDATE partial_rooms SET left_out = \(list)")
                try $0.executeAll(V025LackingJoins.statements(dialect))
            }
            #expect(try await servers.leftOut(of: room) == leftOut)
            servers.network.set()
            try await servers.askAgain(in: room, at: 0)
            try await eventually { try await servers.leftOut(of: room) == nil }
            #expect(try await servers.b.membership(carol.user, room) == .join)
        }
    }
}

extension TestHomeserver {
    fileprivate func member(_ user: UserID, _ room: RoomID) async throws -> EventID? {
        guard let record = try await reader.record(room) else { return nil }
        return try await reader.stateEvent(record, .member, user.text)?.id
    }

    fileprivate func event(_ type: EventType, _ room: RoomID) async throws -> EventID? {
        guard let record = try await reader.record(room) else { return nil }
        return try await reader.stateEvent(record, type)?.id
    }
}

extension TwoServers {
    /// What `b.test` still asks for in a room.
    fileprivate func leftOut(of room: RoomID) async throws -> [EventID]? {
        let nid = try #require(try await b.reader.record(room)?.nid)
        return try await b.environment.database.read {
            try PartialRoomStore($0).leftOut(of: nid, now: 0)?.leftOut.flatMap(\.events)
        }
    }

    /// How often `b.test` asked in vain, of a room of a number.
    fileprivate func failures(_ nid: Int64) async throws -> Int? {
        try await b.environment.database.read { try PartialRoomStore($0).leftOut(of: nid, now: 0)?.failures }
    }

    /// Has a member say something that `b.test` gets before what lets it in: that is not asked for until then.
    fileprivate func rejected(
        _ word: String, of member: TestHomeserver.Client, in room: RoomID
    ) async throws -> EventID {
        try await askAgain(in: room, at: .max)
        network.set()
        let message = try await member.say(word, room)
        try await eventually { try await b.reader.event(message)?.flags.contains(.rejected) == true }
        return message
    }

    /// Sets when `b.test` asks again for what was left out of a room, milliseconds since 1970.
    fileprivate func askAgain(in room: RoomID, at time: Int64) async throws {
        let nid = try #require(try await b.reader.record(room)?.nid)
        // A try that is under way would set it anew.
        try await eventually {
            try await b.environment.database.write {
                try $0.execute(
                    "UPDATE partial_rooms SET retry_at = \(time) WHERE room_nid = \(nid) AND lease_until = 0") == 1
            }
        }
    }
}
