import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

/// A homeserver that would like to read along makes the client believe that an encrypted room is not.
@Suite("Encryption is never turned off") struct EncryptionStaysTests {
    let server = PretendServer()
    private static let room = "!room0:a"

    /// `rooms` of one sync each. Afterwards the room is shown as joined again, without its state.
    static let tricks: [(name: String, syncs: [JSONValue])] = {
        func one(_ section: String, _ value: JSONValue) -> JSONValue { [section: [room: value]] }
        func state(_ content: JSONValue, key: JSONValue = "") -> JSONValue {
            [
                "type": "m.room.encryption", "state_key": key, "sender": "@alice:a", "content": content,
                "event_id": "$forged", "origin_server_ts": 1,
            ]
        }
        func joined(_ events: [JSONValue], limited: Bool = false) -> JSONValue {
            one(
                "join",
                [
                    "state": ["events": .array(events)],
                    "timeline": ["events": .array(events), "limited": .bool(limited), "prev_batch": "0"],
                ])
        }
        let invite = one("invite", ["invite_state": ["events": []]])
        let leave = one("leave", ["timeline": ["events": []], "state": ["events": []]])
        var both = invite
        both["join"] = joined([])["join"]
        return [
            ("an invitation", [invite]),
            ("two invitations", [invite, invite]),
            ("an invitation and the room in one sync", [both]),
            ("an invitation whose state turns it off", [one("invite", ["invite_state": ["events": [state([:])]]])]),
            ("a leave", [leave]),
            ("a leave, then an invitation", [leave, invite]),
            ("an invitation, then a leave", [invite, leave]),
            ("a knock", [one("knock", ["knock_state": ["events": []]])]),
            ("a knock, a leave, an invitation", [one("knock", ["knock_state": ["events": []]]), leave, invite]),
            ("a gap", [joined([], limited: true)]),
            ("state without an algorithm", [joined([state([:])])]),
            ("state with an algorithm that is none", [joined([state(["algorithm": .null])])]),
            ("state with an algorithm that is a number", [joined([state(["algorithm": 7])])]),
            ("state without content", [joined([state(.null)])]),
            ("state that is no object", [joined([state("off")])]),
            ("state under a key", [joined([state(["algorithm": .null], key: "x")])]),
            ("a section that is none", [["join": [room: .null], "invite": [room: .null], "leave": [room: .null]]]),
        ]
    }()

    private func until(_ holds: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while try await !holds() {
            guard ContinuousClock.now < end else { throw ClientError.timedOut("a sync") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    private var sentInTheClear: [String] {
        server.state.withLock { $0.log.filter { $0.contains("/send/") && !$0.contains("/send/m.room.encrypted") } }
    }

    @Test(arguments: tricks.map(\.name)) func `a room stays encrypted through`(trick: String) async throws {
        let syncs = try #require(Self.tricks.first { $0.name == trick }).syncs
        let (alice, database) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            #expect(room.text == Self.room)
            _ = try await alice.send("m.room.message", ["body": "before"], to: room)
            let again: JSONValue = ["join": [Self.room: ["timeline": ["events": []], "state": ["events": []]]]]
            server.state.withLock { $0.forged["@alice:a"] = syncs + [again, again] }
            try await until { server.state.withLock { $0.forged["@alice:a"]?.isEmpty == true } }
            try await until { try await alice.isJoined(room) }

            _ = try await alice.send("m.room.message", ["body": "after"], to: room)
            let summary = try await database.read { try alice.store.room(room, in: $0) }
            #expect(summary?.encryption?["algorithm"] == "m.megolm.v1.aes-sha2")
        }
        #expect(sentInTheClear.isEmpty)
        server.state.withLock { state in
            #expect(state.events.filter { $0.event["type"] == "m.room.encrypted" }.count == 2)
        }
    }

    @Test func `a room stays encrypted when the sync begins anew, and after leaving, forgetting and joining`()
        async throws
    {
        let (alice, database) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            // From now on the server denies that there ever was such an event.
            server.state.withLock { state in
                let kept = state.events.map { each in
                    each.event["type"] == "m.room.encryption" ? (room: "!gone:a", event: each.event) : each
                }
                state.events = kept
                state.instead["/sync"] = [.success((400, ["errcode": "M_INVALID_PARAM", "error": "since"]))]
            }
            try await until { server.state.withLock { $0.instead["/sync"]?.isEmpty == true } }
            try await until { try await database.read { try alice.store.syncToken(in: $0) } != nil }
            _ = try await alice.send("m.room.message", ["body": "anew"], to: room)

            try await alice.leave(room)
            server.state.withLock { $0.forged["@alice:a"] = [["leave": [room.text: [:]]]] }
            try await until { try await !alice.isJoined(room) }
            _ = try await alice.join(room.text)
            _ = try await alice.send("m.room.message", ["body": "back"], to: room)
        }
        // Also for a process that begins with the store as it is.
        let (next, _) = try await server.open("alice", database)
        try await PretendServer.running(next) {
            _ = try await next.send("m.room.message", ["body": "restarted"], to: try RoomID(Self.room))
        }
        #expect(sentInTheClear.isEmpty)
    }

    @Test func `what an invitation says of encryption is kept when the room itself does not say it`() async throws {
        let (alice, _) = try await server.open("alice")
        let (bob, _) = try await server.open("bob")
        try await PretendServer.running(alice, bob) {
            var creation = RoomCreation()
            creation.isEncrypted = false
            let room = try await alice.create(creation)
            let stripped: JSONValue = [
                "type": "m.room.encryption", "state_key": "", "sender": "@alice:a",
                "content": ["algorithm": "m.megolm.v1.aes-sha2"],
            ]
            server.state.withLock { state in
                state.forged["@bob:a"] = [["invite": [room.text: ["invite_state": ["events": [stripped]]]]]]
            }
            try await until { try await bob.rooms().contains { $0.room == room } }
            _ = try await bob.join(room.text)
            _ = try await bob.send("m.room.message", ["body": "secret"], to: room)
        }
        #expect(sentInTheClear.isEmpty)
    }

    @Test func `whoever names a person does not get a room in the clear, nor one without that person`() async throws {
        let (alice, database) = try await server.open("alice")
        let (bob, _) = try await server.open("bob")
        let (mallory, _) = try await server.open("mallory")
        try await PretendServer.running(alice, bob, mallory) {
            var clear = RoomCreation()
            clear.isEncrypted = false
            let inTheClear = try await alice.create(clear)
            try await alice.invite(bob.user, to: inTheClear)
            let another = try await alice.create(RoomCreation())
            try await alice.invite(mallory.user, to: another)
            let mine = try await alice.create(RoomCreation())
            try await alice.invite(bob.user, to: mine)
            try await until {
                try await database.read { try alice.store.membership(of: "@bob:a", in: mine, $0) } != nil
            }
            let list: JSONValue = [
                "@bob:a": .array([inTheClear, another, mine].map { .string($0.text) })
            ]
            try await database.write { try alice.store.setValue(list, "m.direct", in: $0) }

            #expect(try await alice.room(named: "@bob:a") == mine)
        }
    }

    @Test func `a room that was to be encrypted and is not made so is not spoken in`() async throws {
        let (alice, _) = try await server.open("alice")
        server.state.withLock { $0.dropsInitialState = true }
        try await PretendServer.running(alice) {
            do {
                let room = try await alice.room(named: "@bob:a", creating: true)
                Issue.record("\(room) was taken")
            } catch ClientError.notEncrypted {}
        }
        #expect(server.state.withLock { state in state.log.filter { $0.contains("createRoom") }.count } == 1)
        #expect(sentInTheClear.isEmpty)
    }

    @Test func `a room whose encryption comes in a later sync is waited for`() async throws {
        let (alice, _) = try await server.open("alice")
        server.state.withLock { $0.dropsInitialState = true }
        try await PretendServer.running(alice) {
            async let made = alice.create(RoomCreation())
            try await until { try await alice.isJoined(try RoomID(Self.room)) }
            let late: JSONValue = [
                "type": "m.room.encryption", "state_key": "", "sender": "@alice:a", "event_id": "$late",
                "content": ["algorithm": "m.megolm.v1.aes-sha2"], "origin_server_ts": 1,
            ]
            server.state.withLock { $0.events.append((Self.room, late)) }
            _ = try await alice.send("m.room.message", ["body": "first"], to: try await made)
        }
        #expect(sentInTheClear.isEmpty)
    }

    @Test func `what was accepted for an encrypted room does not leave in the clear even if that is lost`() async throws
    {
        let (alice, database) = try await server.open("alice")
        try await PretendServer.running(alice) {
            let room = try await alice.create(RoomCreation())
            let bob = try UserID("@bob:a")
            try await alice.invite(bob, to: room, sharingHistory: false)
            try await until {
                try await alice.database.read { try alice.store.membership(of: "@bob:a", in: room, $0) } != nil
            }
            server.state.withLock { $0.failBefore["/keys/query"] = 1_000 }
            await #expect(throws: ClientError.self) {
                try await alice.send("m.room.message", ["body": "secret"], to: room)
            }
            try await database.write { connection in
                try connection.execute("DELETE FROM rooms")
                try alice.store.save(RoomSummary(room: room, membership: "join"), in: connection)
            }
            server.state.withLock { $0.failBefore = [:] }
            // It would go out before this.
            _ = try await alice.send("m.room.message", ["body": "for all to hear"], to: room)
            do {
                _ = try await alice.send("m.call.candidates", [:], to: room, encryptedOnly: true)
                Issue.record("it was sent")
            } catch ClientError.notEncrypted {}
        }
        let bodies = server.state.withLock { $0.events.compactMap { $0.event["content", "body"]?.string } }
        #expect(bodies == ["for all to hear"])
    }
}
