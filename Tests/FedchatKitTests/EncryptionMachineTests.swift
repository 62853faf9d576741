import ClientEncryption
import Cryptography
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@Suite("Encryption machine") struct EncryptionMachineTests {
    let server = PretendServer()

    private func pair() async throws -> (alice: PretendDevice, bob: PretendDevice) {
        let alice = try await PretendDevice("alice", on: server)
        let bob = try await PretendDevice("bob", on: server)
        try await alice.upload()
        try await bob.upload()
        return (alice, bob)
    }

    @Test func `two devices read each other`() async throws {
        let (alice, bob) = try await pair()

        for number in 0..<5 {
            let fromAlice = try await alice.say("a\(number)", to: [bob.user])
            try await bob.sync()
            #expect(try await bob.read(fromAlice) == "a\(number)")
            let fromBob = try await bob.say("b\(number)", to: [alice.user])
            try await alice.sync()
            #expect(try await alice.read(fromBob) == "b\(number)")
            #expect(try await alice.read(fromAlice) == "a\(number)", "one reads one's own messages")
        }
    }

    @Test func `messages may come in any order, and before their key`() async throws {
        let (alice, bob) = try await pair()
        var events: [JSONValue] = []
        for number in 0..<4 { events.append(try await alice.say("\(number)", to: [bob.user])) }

        await #expect(throws: EncryptionError.self) { try await bob.read(events[2]) }
        try await bob.sync()

        for number in [3, 0, 2, 1] { #expect(try await bob.read(events[number]) == "\(number)") }
    }

    @Test func `a message that is missing a key says so`() async throws {
        let (alice, bob) = try await pair()
        let event = try await alice.say("x", to: [bob.user])
        let session = event["content", "session_id"]?.string ?? ""

        await #expect(throws: EncryptionError.noRoomKey(session: session, withheld: nil)) { try await bob.read(event) }
        try await bob.sync { _ in
            [
                [
                    "type": "m.room_key.withheld", "sender": "@alice:a",
                    "content": ["room_id": "!room:a", "session_id": .string(session), "code": "m.unverified"],
                ]
            ]
        }
        await #expect(throws: EncryptionError.noRoomKey(session: session, withheld: "m.unverified")) {
            try await bob.read(event)
        }
    }

    @Test func `the same message under another event id is a replay`() async throws {
        let (alice, bob) = try await pair()
        let event = try await alice.say("once", to: [bob.user])
        try await bob.sync()
        var replay = event
        replay["event_id"] = "$other"

        #expect(try await bob.read(event) == "once")
        #expect(try await bob.read(event) == "once", "the same event may be read again")
        await #expect(throws: EncryptionError.replayed) { try await bob.read(replay) }
    }

    @Test func `a session belongs to its sender and its room`() async throws {
        let (alice, bob) = try await pair()
        let event = try await alice.say("mine", to: [bob.user])
        try await bob.sync()
        var stolen = event
        stolen["sender"] = "@mallory:a"

        await #expect(throws: EncryptionError.mismatch(rule: "the session belongs to the event's sender")) {
            try await bob.read(stolen)
        }
        await #expect(throws: EncryptionError.self) { try await bob.read(event, room: "!other:a") }
    }

    @Test func `a to-device message is taken once, from whom it says`() async throws {
        let (alice, bob) = try await pair()
        _ = try await alice.say("x", to: [bob.user])
        var kept: [JSONValue] = []

        let forged = try await bob.sync { events in
            kept = events
            return events.map { event in
                var event = event
                event["sender"] = "@mallory:a"
                return event
            }
        }
        #expect(forged.roomKeys.isEmpty)
        #expect(forged.warnings.count == 1)

        let again = try await bob.sync { _ in kept }
        #expect(again.roomKeys.isEmpty, "its key has been used")
        #expect(again.warnings.count == 1)
    }

    @Test func `a repeated to-device message changes nothing`() async throws {
        let (alice, bob) = try await pair()
        let event = try await alice.say("x", to: [bob.user])
        var kept: [JSONValue] = []
        let first = try await bob.sync { events in
            kept = events
            return events
        }
        #expect(first.roomKeys.count == 1)

        let again = try await bob.sync { _ in kept + kept }

        #expect(again.roomKeys.isEmpty)
        #expect(try await bob.read(event) == "x")
    }

    @Test func `a changed key is refused until it is accepted`() async throws {
        let (alice, bob) = try await pair()
        _ = try await alice.say("x", to: [bob.user])
        server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"] = [] }
        let impostor = try await PretendDevice("bob", on: server)
        try await impostor.upload()
        try await alice.sync()

        let outcome = try await alice.query([bob.user])
        #expect(outcome.changedKeys == [ChangedKey(user: bob.user, device: bob.device)])
        await #expect(throws: EncryptionError.changedKey(user: bob.user, device: bob.device)) {
            try await alice.say("secret", to: [bob.user])
        }

        let machine = alice.machine
        try await alice.write { try machine.acceptNewKeys(of: bob.user, bob.device, in: $0) }
        let event = try await alice.say("hello new phone", to: [bob.user])
        try await impostor.sync()
        #expect(try await impostor.read(event) == "hello new phone")
    }

    @Test func `a device that is not signed by itself is left out`() async throws {
        let (alice, bob) = try await pair()
        server.state.withLock { state in
            state.deviceKeys["@bob:a"]?["PHONE"]?["algorithms"] = ["m.none"]
        }

        let outcome = try await alice.query([bob.user])

        #expect(outcome.warnings.count == 1)
        let machine = alice.machine
        #expect(try await alice.write { try machine.devices(of: bob.user, in: $0) }.isEmpty)
    }

    @Test func `a one-time key that its device has not signed begins no session`() async throws {
        let (alice, bob) = try await pair()
        let other = try await PretendDevice("carol", on: server)
        try await other.upload()
        server.state.withLock { state in
            state.oneTimeKeys["@bob:a|PHONE"] = state.oneTimeKeys["@carol:a|PHONE"]
        }
        try await alice.query([bob.user])

        let outcome = try await alice.claim([bob.user])

        #expect(outcome.warnings.count == 1)
    }

    @Test func `all goes on from the store`() async throws {
        let (alice, bob) = try await pair()
        let first = try await alice.say("before", to: [bob.user])
        try await bob.sync()

        let alice2 = try await PretendDevice("alice", on: server, database: alice.database, clock: alice.clock)
        let bob2 = try await PretendDevice("bob", on: server, database: bob.database, clock: bob.clock)
        let second = try await alice2.say("after", to: [bob2.user])
        try await bob2.sync()

        #expect(try await bob2.read(first) == "before")
        #expect(try await bob2.read(second) == "after")
        #expect(first["content", "session_id"] == second["content", "session_id"], "the session goes on")
        #expect(first["content", "ciphertext"] != second["content", "ciphertext"])
    }

    @Test func `another store key opens nothing`() async throws {
        let alice = try await PretendDevice("alice", on: server)
        await #expect(throws: EncryptionError.wrongStoreKey) {
            _ = try await PretendDevice(
                "alice", on: server, database: alice.database, keyBytes: [UInt8](repeating: 8, count: 32))
        }
    }

    @Test func `a passphrase gives the same key again, and another gives another`() throws {
        let salt = [UInt8](0..<16)
        let sealed = try StoreKey(passphrase: Array("one".utf8), salt: salt).seal(
            [1, 2, 3], place: "here", random: SystemRandomSource())

        let same = try StoreKey(passphrase: Array("one".utf8), salt: salt)
        let other = try StoreKey(passphrase: Array("two".utf8), salt: salt)

        #expect(try same.open(sealed, place: "here") == [1, 2, 3])
        #expect(throws: CryptographyError.decryptionFailed) { try same.open(sealed, place: "there") }
        #expect(throws: CryptographyError.decryptionFailed) { try other.open(sealed, place: "here") }
    }

    @Test func `one-time keys are kept at half of the maximum, and a used fallback key is replaced`() async throws {
        let (alice, bob) = try await pair()
        let before = server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"]?.count ?? 0 }
        #expect(before == 25)
        let fallback = server.state.withLock { $0.fallbackKeys["@bob:a|PHONE"]?.id }
        server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"] = [] }

        let event = try await alice.say("by the fallback key", to: [bob.user])
        try await bob.sync()
        #expect(try await bob.read(event) == "by the fallback key")

        let machine = bob.machine
        let used = SyncChanges(
            response: try JSONDocument(
                Array(#"{"device_one_time_keys_count":{},"device_unused_fallback_key_types":[]}"#.utf8)
            ).root)
        _ = try await bob.write { try machine.receive(used, in: $0) }
        try await bob.upload()
        #expect(server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"]?.count } == 25)
        #expect(server.state.withLock { $0.fallbackKeys["@bob:a|PHONE"]?.id } != fallback)
    }

    @Test func `an upload without an answer is repeated with the same keys`() async throws {
        let alice = try await PretendDevice("alice", on: server)
        let machine = alice.machine
        let first = try await alice.write { try machine.keyUpload(in: $0)?.call.body }
        let second = try await alice.write { try machine.keyUpload(in: $0)?.call.body }

        let names = { (body: [UInt8]?) throws in try JSONValue.parse(body ?? [])["one_time_keys"]?.members.map(\.key) }
        #expect(first != nil)
        #expect(try names(first) == names(second))
    }
}
