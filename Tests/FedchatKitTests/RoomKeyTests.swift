import ClientEncryption
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@Suite("Room keys") struct RoomKeyTests {
    let server = PretendServer()

    private func devices(_ names: String...) async throws -> [PretendDevice] {
        var devices: [PretendDevice] = []
        for name in names {
            let device = try await PretendDevice(name, on: server)
            try await device.upload()
            devices.append(device)
        }
        return devices
    }

    @Test func `who leaves cannot read on, who comes cannot read back`() async throws {
        let people = try await devices("alice", "bob", "carol")
        let (alice, bob, carol) = (people[0], people[1], people[2])
        let first = try await alice.say("to bob", to: [bob.user])
        let second = try await alice.say("to both", to: [bob.user, carol.user])
        let third = try await alice.say("to carol", to: [carol.user])
        for device in [bob, carol] { try await device.sync() }

        #expect(try await bob.read(first) == "to bob")
        #expect(try await bob.read(second) == "to both")
        #expect(first["content", "session_id"] == second["content", "session_id"], "who comes gets the present key")
        #expect(second["content", "session_id"] != third["content", "session_id"], "who leaves changes the key")
        await #expect(throws: EncryptionError.self) { try await bob.read(third) }
        await #expect(throws: EncryptionError.self) { try await carol.read(first) }
        #expect(try await carol.read(second) == "to both")
        #expect(try await carol.read(third) == "to carol")
    }

    @Test func `who joins while a message is prepared is asked for first, also if never heard of`() async throws {
        let people = try await devices("alice", "bob", "carol")
        let (alice, bob, carol) = (people[0], people[1], people[2])
        let (machine, room, all) = (alice.machine, try RoomID(PretendDevice.room), [bob.user, carol.user])
        func isPrepared() async throws -> Bool {
            try await alice.write {
                try machine.isPrepared(for: room, recipients: all, settings: .standard, in: $0)
            }
        }
        try await alice.prepare([bob.user])

        #expect(try await !isPrepared())

        try await alice.prepare(all)
        #expect(try await isPrepared())
        let event = try await alice.encrypt("welcome")
        try await carol.sync()
        #expect(try await carol.read(event) == "welcome")
    }

    @Test func `a device that is gone changes the key`() async throws {
        let people = try await devices("alice", "bob")
        let (alice, bob) = (people[0], people[1])
        let tablet = try await PretendDevice("bob", "TABLET", on: server)
        try await tablet.upload()
        let first = try await alice.say("to both", to: [bob.user])
        server.state.withLock { state in
            state.deviceKeys["@bob:a"]?["TABLET"] = nil
            PretendServer.tell(of: "@bob:a", &state)
        }
        try await alice.sync()

        let second = try await alice.say("to one", to: [bob.user])

        #expect(first["content", "session_id"] != second["content", "session_id"])
    }

    @Test func `one's other devices read along`() async throws {
        let people = try await devices("alice", "bob")
        let laptop = try await PretendDevice("alice", "LAPTOP", on: server)
        try await laptop.upload()

        let event = try await people[0].say("note to self", to: [people[1].user])
        try await laptop.sync()

        #expect(try await laptop.read(event) == "note to self")
    }

    @Test func `a session ends after its messages or its time`() async throws {
        let people = try await devices("alice", "bob")
        let (alice, bob) = (people[0], people[1])
        var settings = RoomEncryptionSettings.standard
        settings.rotationMessages = 3
        var sessions: [String?] = []
        for number in 0..<7 {
            sessions.append(try await alice.say("\(number)", to: [bob.user], settings)["content", "session_id"]?.string)
        }
        #expect(Set(sessions).count == 3)
        #expect(sessions[0] == sessions[2] && sessions[2] != sessions[3])

        settings.rotationMessages = 100
        let before = try await alice.say("young", to: [bob.user], settings)["content", "session_id"]
        alice.clock.advance(by: 604_800_001)
        let after = try await alice.say("old", to: [bob.user], settings)["content", "session_id"]
        #expect(before != after)
    }

    @Test func `a session ends when what is said is for those who come later, or no more`() async throws {
        let people = try await devices("alice", "bob")
        let (alice, bob) = (people[0], people[1])
        var sessions: [String?] = []
        for visibility in ["joined", "invited", "shared", "world_readable", "joined"] {
            let settings = RoomEncryptionSettings(
                JSONValue.object(["algorithm": "m.megolm.v1.aes-sha2"]), historyVisibility: visibility)
            let event = try await alice.say(visibility, to: [bob.user], settings)
            let session = event["content", "session_id"]?.string
            sessions.append(session)
            try await bob.sync()
            #expect(try await bob.read(event) == visibility)
            // What the sender keeps, and what the other was told of the key.
            for device in [alice, bob] {
                let isShared = try await device.write { connection in
                    try connection.query(
                        "SELECT shared_history FROM inbound_group_sessions WHERE session_id = \(session ?? "")"
                    ).first?.bool(0)
                }
                #expect(isShared == ["shared", "world_readable"].contains(visibility), "\(visibility)")
            }
        }
        #expect(sessions[0] == sessions[1] && sessions[1] != sessions[2] && sessions[2] == sessions[3])
        #expect(Set(sessions).count == 3 && sessions[4] != sessions[0], "none is taken up again")
    }

    @Test func `a room may not weaken its settings without bounds`() {
        let settings = RoomEncryptionSettings(
            JSONValue.object(["algorithm": "x", "rotation_period_ms": 1, "rotation_period_msgs": 999_999_999]))
        #expect(settings.rotationMilliseconds == 3_600_000)
        #expect(settings.rotationMessages == 10_000)
    }

    @Test(arguments: [2_419_200_001, Int64.max])
    func `a room may not have one key for ever`(asked: Int64) {
        let settings = RoomEncryptionSettings(JSONValue.object(["rotation_period_ms": .integer(asked)]))
        #expect(settings.rotationMilliseconds == 2_419_200_000)
    }

    @Test(arguments: [Int64.min, -1, 0])
    func `a room's key lives an hour at least`(asked: Int64) {
        let settings = RoomEncryptionSettings(JSONValue.object(["rotation_period_ms": .integer(asked)]))
        #expect(settings.rotationMilliseconds == 3_600_000)
    }

    @Test func `it is told who can read a message on none of their devices yet`() async throws {
        let people = try await devices("alice", "bob", "carol")
        let (alice, bob, carol) = (people[0], people[1], people[2])
        let (machine, room) = (alice.machine, try RoomID(PretendDevice.room))
        func unreached() async throws -> [UserID] {
            try await alice.write { try machine.unreachedUsers(of: room, in: $0) }
        }
        _ = try await alice.say("to one", to: [bob.user])
        #expect(try await unreached() == [])

        // Bob's devices have it, whether or not he has another now; of Carol's none is known.
        server.state.withLock { state in
            state.unreachable = ["@bob:a", "@carol:a"]
            PretendServer.tell(of: "@bob:a", &state)
        }
        try await alice.sync()
        _ = try await alice.say("to both", to: [bob.user, carol.user])
        #expect(try await unreached() == [carol.user])

        server.state.withLock { $0.unreachable = [] }
        alice.clock.advance(by: 3_600_000)
        _ = try await alice.say("to both again", to: [bob.user, carol.user])
        #expect(try await unreached() == [])
    }

    @Test func `a lost Olm session is replaced, and the next key arrives`() async throws {
        let people = try await devices("alice", "bob")
        let (alice, bob) = (people[0], people[1])
        _ = try await alice.say("x", to: [bob.user])
        try await bob.sync()
        let answer = try await bob.say("y", to: [alice.user])
        try await alice.sync()
        #expect(try await alice.read(answer) == "y")
        // Bob's store is restored from a copy that lacks the session; Alice goes on using it.
        _ = try await bob.write { try $0.execute("DELETE FROM olm_sessions") }
        let (machine, room) = (alice.machine, try RoomID(PretendDevice.room))
        try await alice.write { try machine.discardRoomKey(of: room, in: $0) }
        let unread = try await alice.say("cannot be read", to: [bob.user])
        let outcome = try await bob.sync()
        #expect(outcome.roomKeys.isEmpty)
        await #expect(throws: EncryptionError.self) { try await bob.read(unread) }

        _ = try await bob.claim([])
        try await bob.flush()
        try await alice.sync()
        try await alice.write { try machine.discardRoomKey(of: room, in: $0) }
        let event = try await alice.say("can be read", to: [bob.user])
        try await bob.sync()

        #expect(try await bob.read(event) == "can be read")
        #expect(try await bob.claim([]).warnings.isEmpty)
    }

    @Test func `who could not be reached gets the key of what was said meanwhile`() async throws {
        let people = try await devices("alice", "bob", "carol")
        let (alice, bob, carol) = (people[0], people[1], people[2])
        // Bob has no one-time key left that could be claimed; Carol's devices are not known yet.
        let (keys, fallback) = server.state.withLock { state in
            defer {
                state.oneTimeKeys["@bob:a|PHONE"] = []
                state.fallbackKeys["@bob:a|PHONE"] = nil
                state.unreachable = ["@carol:a"]
            }
            return (state.oneTimeKeys["@bob:a|PHONE"], state.fallbackKeys["@bob:a|PHONE"])
        }
        var events: [JSONValue] = []
        for number in 0..<3 { events.append(try await alice.say("\(number)", to: [bob.user, carol.user])) }
        for device in [bob, carol] {
            try await device.sync()
            await #expect(throws: EncryptionError.self) { try await device.read(events[0]) }
        }

        server.state.withLock { state in
            state.oneTimeKeys["@bob:a|PHONE"] = keys
            state.fallbackKeys["@bob:a|PHONE"] = fallback
            state.unreachable = []
        }
        alice.clock.advance(by: 60_000)
        let machine = alice.machine
        #expect(try await alice.write { try machine.roomsWithOwedKeys(in: $0) }.map(\.text) == [PretendDevice.room])
        try await alice.prepare([bob.user, carol.user])

        for device in [bob, carol] {
            try await device.sync()
            for number in 0..<3 { #expect(try await device.read(events[number]) == "\(number)") }
        }
        #expect(try await alice.write { try machine.roomsWithOwedKeys(in: $0) }.isEmpty)
    }

    @Test func `who has left meanwhile is owed nothing`() async throws {
        let people = try await devices("alice", "bob")
        let (alice, bob) = (people[0], people[1])
        server.state.withLock { $0.unreachable = ["@bob:a"] }
        let event = try await alice.say("x", to: [bob.user])
        server.state.withLock { $0.unreachable = [] }
        alice.clock.advance(by: 60_000)

        try await alice.prepare([])
        try await alice.prepare([bob.user])
        try await bob.sync()

        await #expect(throws: EncryptionError.self) { try await bob.read(event) }
    }

    @Test func `nothing secret lies open in the store`() async throws {
        let people = try await devices("alice", "bob")
        let event = try await people[0].say("between you and me", to: [people[1].user])
        try await people[1].sync()
        #expect(try await people[1].read(event) == "between you and me")

        for device in people {
            let rows = try await device.write { connection in
                let tables = try connection.query("SELECT name FROM sqlite_master WHERE type = 'table'")
                return try tables.flatMap { row in
                    try connection.query(SQL(raw: "SELECT * FROM \"\(try row.text(0))\""))
                }
            }
            let held = rows.flatMap(\.values)
            #expect(held.count > 20)
            for value in held {
                let bytes: [UInt8] =
                    switch value {
                    case .text(let text): Array(text.utf8)
                    case .bytes(let bytes): bytes
                    default: []
                    }
                #expect(bytes.firstRange(of: Array("between you".utf8)) == nil)
                #expect(bytes.firstRange(of: Array("session_key".utf8)) == nil)
            }
        }
    }
}
