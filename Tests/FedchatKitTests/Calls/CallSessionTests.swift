import ClientEncryption
import Cryptography
import HTTPMessages
import Logging
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

/// Calls between clients on a pretended server, with media programs that are closures.
@Suite("Calls: sessions") struct CallSessionTests {
    let server = PretendServer()

    private func open(_ name: String, _ database: SQLiteDatabase? = nil) async throws -> (Client, SQLiteDatabase) {
        try await server.open(name, database)
    }

    /// A room of both.
    private func room(_ alice: Client, _ bob: Client, encrypted: Bool = true) async throws -> RoomID {
        var creation = RoomCreation()
        creation.isEncrypted = encrypted
        let room = try await alice.create(creation)
        try await alice.invite(bob.user, to: room)
        return try await bob.join(room.text)
    }

    /// One end: a media program in a few lines, and what was told.
    private final class End: Sendable {
        let told = Mutex<[JSONValue]>([])
        let reports = Mutex<[JSONValue]>([])
        let commands: AsyncStream<CallCommand>
        private let input: AsyncStream<CallCommand>.Continuation

        init() { (commands, input) = AsyncStream.makeStream() }

        func say(_ command: CallCommand) { input.yield(command) }

        func take(_ output: CallOutput) {
            switch output {
            case .report(_, let json): reports.withLock { $0.append(json) }
            case .media(let line):
                told.withLock { $0.append(line) }
                let call = line["call_id"] ?? .null
                func say(_ type: String, _ more: JSONValue) {
                    var answer = more
                    (answer["v"], answer["type"], answer["call_id"]) = (1, .string(type), call)
                    self.say(.media(answer))
                }
                func describe(_ kind: String) {
                    say(
                        "description",
                        [
                            "request": line["request"] ?? 0,
                            "description": ["type": .string(kind), "sdp": .string("SECRET \(kind)")],
                        ])
                }
                switch line["type"] {
                case "create_offer": describe("offer")
                case "remote_description":
                    if line["description", "type"] == "offer" { describe("answer") }
                    say("candidates", ["candidates": [["candidate": "SECRET", "sdpMid": "0"], ["candidate": ""]]])
                    say("state", ["state": "connected"])
                default: break
                }
            }
        }

        /// The program's user ends the call that goes on at both ends.
        func hangUp(after other: End) async throws {
            try await until { events.contains("connected") && other.events.contains("connected") }
            let call = told.withLock { $0.last?["call_id"] } ?? .null
            say(.media(["v": 1, "type": "hangup", "call_id": call]))
        }

        var events: [String] {
            reports.withLock { $0.compactMap { $0["event"]?.string } }
        }

        var notices: [String] {
            reports.withLock { $0.compactMap { $0["notice"]?.string } }
        }
    }

    private func session(_ purpose: CallPurpose, _ client: Client, _ end: End) async throws -> CallEnd? {
        try await CallSession(purpose, client: client) { end.take($0) }.run(end.commands)
    }

    @Test func `a call goes through a room that holds nothing of it in the clear`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, _) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob)
            let (calling, answering) = (End(), End())
            async let one = session(.place(room, invitee: bob.user), alice, calling)
            async let other = session(.answer(nil, .accept), bob, answering)
            try await answering.hangUp(after: calling)
            let ends = try await [one, other]
            #expect(ends.map { $0?.by } == [.remote, .local])
            #expect(ends.map { $0?.reason } == [.userHangup, .userHangup])
            #expect(calling.events == ["calling", "answered", "connected", "ended"])
            #expect(answering.events.first == "ringing")
            #expect(answering.reports.withLock { $0.first?["sender_standing"] } == "not_cross_signed")
        }
        server.state.withLock { state in
            for (_, event) in state.events {
                #expect(event["type"]?.string?.hasPrefix("m.call") == false)
                #expect(!String(decoding: event.serialized(), as: UTF8.self).contains("SECRET"))
            }
        }
    }

    @Test func `a room in the clear is refused`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, _) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob, encrypted: false)
            for purpose in [CallPurpose.place(room, invitee: nil), .answer(room, .accept)] {
                do {
                    _ = try await session(purpose, alice, End())
                    Issue.record("it was not refused")
                } catch ClientError.notEncrypted {}
            }
        }
    }

    @Test func `a call that comes encrypted into a room in the clear does not ring`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, database) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob, encrypted: false)
            // Bob encrypts all the same.
            var summary = RoomSummary(room: room, membership: "join")
            summary.encryption = ["algorithm": "m.megolm.v1.aes-sha2"]
            let kept = summary
            try await database.write { try bob.store.save(kept, in: $0) }
            let end = End()
            async let waiting = session(.answer(nil, .accept), alice, end)
            let invite = try invite("c1", to: "@alice:a")
            _ = try await bob.send(invite.type, invite.content, to: room)
            try await until { end.notices.contains("unencrypted") }
            #expect(!end.events.contains("ringing"))
            #expect(end.told.withLock { $0.isEmpty }, "the media program was started")
            end.say(.hangUp)
            #expect(try await waiting == nil)
        }
        server.state.withLock { state in
            #expect(!state.events.contains { $0.event["type"]?.string?.hasPrefix("m.call") ?? false })
        }
    }

    @Test func `rooms that cannot be read back end neither waiting for a call nor a call`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, _) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob)
            server.state.withLock { state in
                let refusal: JSONValue = ["errcode": "M_FORBIDDEN", "error": "no"]
                state.instead["/messages"] = Array(repeating: .success((403, refusal)), count: 1_000)
            }
            let (calling, answering) = (End(), End())
            async let one = session(.place(room, invitee: bob.user), alice, calling)
            async let other = session(.answer(nil, .accept), bob, answering)
            try await until { calling.events.contains("connected") && answering.events.contains("connected") }
            // A gap in the middle of it.
            let gap: JSONValue = ["timeline": ["events": [], "limited": true, "prev_batch": "0"]]
            server.state.withLock { $0.forged["@bob:a"] = [["join": [room.text: gap]]] }
            try await until { server.state.withLock { $0.forged["@bob:a"]?.isEmpty == true } }
            try await answering.hangUp(after: calling)
            #expect(try await [one, other].map { $0?.reason } == [.userHangup, .userHangup])
        }
    }

    @Test func `a call that cannot be followed any more is hung up`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, database) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob)
            let (calling, answering) = (End(), End())
            async let one = session(.place(room, invitee: bob.user), alice, calling)
            async let other = session(.answer(nil, .accept), bob, answering)
            try await until { calling.events.contains("connected") && answering.events.contains("connected") }
            // What is read is noted: the table it is noted in is gone.
            try await database.write { try $0.execute("ALTER TABLE unread_events RENAME TO gone") }
            server.state.withLock { state in
                state.held = ["/send/m.room"]
                state.waiting = 0
                // A message that comes again cannot be read.
                var again = state.events.last { $0.event["type"] == "m.room.encrypted" }?.event ?? [:]
                again["event_id"] = "$again"
                state.forged["@bob:a"] = [["join": [room.text: ["timeline": ["events": [again]]]]]]
            }
            // The hangup is under way, slowly.
            try await until { server.state.withLock { $0.waiting > 0 } }
            try await Task.sleep(for: .milliseconds(50))
            server.state.withLock { $0.held = [] }
            do {
                _ = try await other
                Issue.record("it did not fail")
            } catch is DatabaseError {}
            #expect(try await one?.reason == .userHangup)
        }
    }

    @Test func `whoever gives the commands goes away, and the call is hung up`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, _) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob)
            let gone = AsyncStream<CallCommand> { $0.finish() }
            let reports = Mutex<[String]>([])
            let end = try await CallSession(.answer(room, .accept), client: bob) { _ in }.run(gone)
            #expect(end == nil, "no call was there to be hung up")
            let ringing = End()
            async let other = session(.answer(nil, .ask), bob, ringing)
            let (stream, input) = AsyncStream<CallCommand>.makeStream()
            let placing = CallSession(.place(room, invitee: bob.user), client: alice) { output in
                if case .report(_, let json) = output {
                    reports.withLock { $0.append(json["event"]?.string ?? "") }
                } else if case .media(let line) = output, line["type"] == "create_offer" {
                    var answer: JSONValue = ["v": 1, "type": "description", "request": line["request"] ?? 0]
                    answer["call_id"] = line["call_id"]
                    answer["description"] = ["type": "offer", "sdp": "x"]
                    input.yield(.media(answer))
                }
            }
            async let placed = placing.run(stream)
            try await until { ringing.events.contains("ringing") }
            input.finish()
            #expect(try await placed?.reason == .userHangup)
            // The hangup has gone out before the session ended.
            try await until { ringing.events.contains("ended") }
            ringing.say(.hangUp)
            _ = try await other
        }
    }

    @Test func `a call that was dealt with does not ring again after a restart`() async throws {
        let (alice, _) = try await open("alice")
        let (bob, database) = try await open("bob")
        try await PretendServer.running(alice, bob) {
            let room = try await room(alice, bob)
            let (calling, answering) = (End(), End())
            async let one = session(.place(room, invitee: bob.user), alice, calling)
            async let other = session(.answer(nil, .accept), bob, answering)
            try await answering.hangUp(after: calling)
            _ = try await [one, other]
        }
        let (again, _) = try await open("bob", database)
        try await PretendServer.running(again) {
            try await again.caughtUp()
            let end = End()
            async let waiting = session(.answer(nil, .accept), again, end)
            // All of the room's events come once more, as if they were new.
            try await Task.sleep(for: .milliseconds(200))
            server.state.withLock { state in
                let old = state.events.filter { $0.event["type"] == "m.room.encrypted" }
                state.events += old
            }
            try await until { end.notices.contains("replayed") }
            #expect(end.told.withLock { $0.isEmpty }, "the media program was started")
            end.say(.hangUp)
            #expect(try await waiting == nil)
        }
    }

    @Test func `what is worth nothing later waits neither for the server nor for the next start`() async throws {
        let (alice, database) = try await open("alice")
        let made = Mutex<RoomID?>(nil)
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            made.withLock { $0 = room }
            server.state.withLock { $0.failBefore["/send/m.room"] = 1_000 }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.call.invite", ["body": "now"], to: room, within: .seconds(60))
            }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "patience"], to: room)
            }
            server.state.withLock { $0.failBefore = [:] }
        }
        let room = try #require(made.withLock { $0 })
        let (again, _) = try await open("alice", database)
        try await PretendServer.running(again) {
            let heard = Mutex<[String]>([])
            while !heard.withLock({ $0.contains("patience") }) {
                let timeline = Timeline(of: room, client: again) { event in
                    if let body = event.event["content", "body"]?.string { heard.withLock { $0.append(body) } }
                }
                try await timeline.run(fromStart: true, following: false)
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(!heard.withLock { $0.contains("now") })
        }
    }
}

/// Asks again and again, but not for ever: a call that failed would otherwise be waited for.
private func until(_ holds: () -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(60)
    while !holds() {
        guard ContinuousClock.now < end else { throw ClientError.timedOut("a call") }
        try await Task.sleep(for: .milliseconds(5))
    }
}
