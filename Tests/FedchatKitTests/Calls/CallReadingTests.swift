import ClientEncryption
import MatrixModel
import Synchronization
import Testing

@testable import FedchatKit

@Suite("Calls: what is read for them") struct CallReadingTests {
    let server = PretendServer()

    /// What is read for Alice, with an event of a room that waits for its key.
    private struct Waiting {
        let room: RoomID
        let clock: PretendClock
        let database: CountingDatabase
        let reading: CallReading
    }

    private func waiting() async throws -> Waiting {
        let (room, clock) = (try RoomID("!room:a"), PretendClock())
        let (alice, database) = try await server.openCounting("alice", clock: clock)
        let reading = CallReading(alice, of: nil)
        let update = try unread("one", in: room, at: clock.now)
        #expect(try await reading.take(update, inCall: []).isEmpty)
        return Waiting(room: room, clock: clock, database: database, reading: reading)
    }

    /// What a sync brings: an event whose key has not come.
    private func unread(_ name: String, in room: RoomID, at time: Int64) throws -> ClientUpdate {
        let event: JSONValue = [
            "type": "m.room.encrypted", "sender": "@bob:a", "event_id": .string("$\(name)"),
            "origin_server_ts": .integer(time),
            "content": [
                "algorithm": "m.megolm.v1.aes-sha2", "session_id": "unknown", "ciphertext": "AwgA", "sender_key": "x",
            ],
        ]
        var update = ClientUpdate()
        update.timelines[room] = ClientUpdate.Timeline(events: [try JSONDocument(event.serialized()).root], gap: nil)
        return update
    }

    @Test func `an event that waits for its key is decrypted anew when one comes, and when its time is over`()
        async throws
    {
        let waiting = try await waiting()
        let (clock, database, reading) = (waiting.clock, waiting.database, waiting.reading)
        let before = database.writes

        for _ in 0..<20 { #expect(try await reading.release().isEmpty) }
        #expect(database.writes == before, "it was tried in vain")

        // Another room's key is none.
        var keys = ClientUpdate()
        keys.roomKeys = [SyncOutcome.RoomKey(room: try RoomID("!other:a"), session: "other")]
        _ = try await reading.take(keys, inCall: [])
        #expect(database.writes == before)
        keys.roomKeys = [SyncOutcome.RoomKey(room: waiting.room, session: "other")]
        _ = try await reading.take(keys, inCall: [])
        #expect(database.writes > before)

        clock.advance(by: 2_500)
        #expect(try await reading.release().isEmpty)
        clock.advance(by: 500)
        #expect(try await reading.release().count == 1, "it is passed over")
        let after = database.writes
        for _ in 0..<20 { #expect(try await reading.release().isEmpty) }
        #expect(database.writes == after, "nothing is held any more")
    }

    @Test func `what comes behind an event that waits is in its turn`() async throws {
        let waiting = try await waiting()
        let (clock, reading) = (waiting.clock, waiting.reading)
        clock.advance(by: 2_000)
        let update = try unread("two", in: waiting.room, at: clock.now)
        #expect(try await reading.take(update, inCall: []).isEmpty)
        clock.advance(by: 1_000)
        #expect(try await reading.release().count == 1)
        clock.advance(by: 2_000)
        #expect(try await reading.release().count == 1)
    }

    @Test func `a clock that goes back holds nothing for as long as it was ahead`() async throws {
        let waiting = try await waiting()
        waiting.clock.advance(by: -86_400_000)
        #expect(try await waiting.reading.release().count == 1)
    }

    @Test func `a room that is slow to be read back keeps no call waiting`() async throws {
        let (alice, _) = try await server.open("alice")
        let (bob, _) = try await server.open("bob")
        let (carol, _) = try await server.open("carol")
        try await PretendServer.running(alice, bob, carol) {
            func room(with other: Client) async throws -> RoomID {
                let room = try await other.create(RoomCreation())
                try await other.invite(bob.user, to: room)
                return try await bob.join(room.text)
            }
            let rooms = (try await room(with: alice), try await room(with: carol))
            let slow = "\(rooms.1)".dropFirst().prefix { $0 != ":" }
            server.state.withLock { $0.held = [String(slow)] }
            let ringing = Mutex<Set<RoomID>>([])
            let (commands, input) = AsyncStream<CallCommand>.makeStream()
            let session = CallSession(.answer(nil, .ask), client: bob) { output in
                if case .report(.ringing(let call, _, _, _, _, _), _) = output {
                    _ = ringing.withLock { $0.insert(call.room) }
                }
            }
            async let waiting = session.run(commands)
            try await until { server.state.withLock { $0.waiting > 0 } }

            let first = try invite("c1", to: "@bob:a")
            _ = try await alice.send(first.type, first.content, to: rooms.0)
            try await until { ringing.withLock { $0 == [rooms.0] } }

            server.state.withLock { $0.held = [] }
            let second = try invite("c2", to: "@bob:a")
            _ = try await carol.send(second.type, second.content, to: rooms.1)
            try await until { ringing.withLock { $0 == [rooms.0, rooms.1] } }
            input.yield(.hangUp)
            _ = try await waiting
        }
    }

    private func until(_ holds: () -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while !holds() {
            guard ContinuousClock.now < end else { throw ClientError.timedOut("a call") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
