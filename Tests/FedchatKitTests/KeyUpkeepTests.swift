import ClientEncryption
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@Suite("Upkeep of keys") struct KeyUpkeepTests {
    let server = PretendServer()

    private func changes(_ text: String) throws -> SyncChanges {
        SyncChanges(response: try JSONDocument(Array(text.utf8)).root)
    }

    private func receive(_ device: PretendDevice, _ text: String) async throws {
        let (machine, changes) = (device.machine, try changes(text))
        _ = try await device.write { try machine.receive(changes, in: $0) }
    }

    private func fallback() -> String? { server.state.withLock { $0.fallbackKeys["@bob:a|PHONE"]?.id } }

    private static let all =
        #"{"device_one_time_keys_count":{"signed_curve25519":25},"device_unused_fallback_key_types":["signed_curve25519"]}"#
    private static let used =
        #"{"device_one_time_keys_count":{"signed_curve25519":25},"device_unused_fallback_key_types":[]}"#

    @Test func `a fallback key is renewed weekly`() async throws {
        let bob = try await PretendDevice("bob", on: server)
        try await bob.upload()
        let first = fallback()
        try await receive(bob, Self.all)
        bob.clock.advance(by: 6 * 86_400_000)
        try await bob.upload()
        #expect(fallback() == first)
        bob.clock.advance(by: 2 * 86_400_000)
        try await bob.upload()
        #expect(fallback() != first)
    }

    @Test func `the fallback key before opens messages for an hour, and there is no third meanwhile`() async throws {
        let (alice, carol) = (
            try await PretendDevice("alice", on: server), try await PretendDevice("carol", on: server)
        )
        let bob = try await PretendDevice("bob", on: server)
        for device in [alice, bob, carol] { try await device.upload() }
        let first = fallback()
        server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"] = [] }
        // Both begin with the first fallback key, and are slow.
        let early = try await alice.say("early", to: [bob.user])
        let kept = server.state.withLock { state in state.inboxes.removeValue(forKey: "@bob:a|PHONE") ?? [] }
        let late = try await carol.say("late", to: [bob.user])
        let keptLonger = server.state.withLock { state in state.inboxes.removeValue(forKey: "@bob:a|PHONE") ?? [] }
        try await receive(bob, Self.used)
        try await bob.upload()
        let second = fallback()
        #expect(second != first)
        try await receive(bob, Self.used)
        try await bob.upload()
        #expect(fallback() == second, "the one before may still be on its way")

        try await bob.sync { _ in kept }
        #expect(try await bob.read(early) == "early")
        bob.clock.advance(by: 3_700_000)
        try await receive(bob, Self.used)
        try await bob.upload()
        #expect(fallback() != second)
        let outcome = try await bob.sync { _ in keptLonger }
        #expect(outcome.warnings.count == 1, "an old fallback key opens nothing any more")
        await #expect(throws: EncryptionError.self) { try await bob.read(late) }
    }

    @Test func `a server that has other keys under our names is offered the next names`() async throws {
        let bob = try await PretendDevice("bob", on: server)
        let machine = bob.machine
        let first = try #require(try await bob.write { try machine.keyUpload(in: $0) })
        #expect(try await bob.write { try machine.refused(first, in: $0) })
        let second = try #require(try await bob.write { try machine.keyUpload(in: $0) })

        let names = { (body: [UInt8]) throws in
            Set(
                (try JSONValue.parse(body)["one_time_keys"]?.members ?? []).map(\.key)
                    + (try JSONValue.parse(body)["fallback_keys"]?.members ?? []).map(\.key))
        }
        #expect(try names(first.call.body).isDisjoint(with: names(second.call.body)))
        #expect(try names(second.call.body).count == 26)
        #expect(try JSONValue.parse(second.call.body)["device_keys"] != nil)
    }

    @Test func `a renewed fallback key that is refused does not drive out the one on the server`() async throws {
        let (alice, bob) = (try await PretendDevice("alice", on: server), try await PretendDevice("bob", on: server))
        for device in [alice, bob] { try await device.upload() }
        // Alice begins with the first fallback key, and is slow.
        server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"] = [] }
        let event = try await alice.say("early", to: [bob.user])
        let kept = server.state.withLock { state in state.inboxes.removeValue(forKey: "@bob:a|PHONE") ?? [] }
        try await receive(bob, #"{"device_one_time_keys_count":{},"device_unused_fallback_key_types":[]}"#)
        let machine = bob.machine
        for _ in 0..<3 {
            let upload = try #require(try await bob.write { try machine.keyUpload(in: $0) })
            #expect(try JSONValue.parse(upload.call.body)["fallback_keys"]?.count == 1)
            #expect(try await bob.write { try machine.refused(upload, in: $0) })
        }
        try await bob.upload()

        try await bob.sync { _ in kept }
        #expect(try await bob.read(event) == "early")
    }

    @Test func `all to-device messages of a sync are taken, however many`() async throws {
        let (alice, bob) = (try await PretendDevice("alice", on: server), try await PretendDevice("bob", on: server))
        for device in [alice, bob] { try await device.upload() }
        let event = try await alice.say("after many", to: [bob.user])
        let other: JSONValue = ["type": "m.room.encrypted", "sender": "@mallory:a", "content": [:]]

        let outcome = try await bob.sync { Array(repeating: other, count: 1_500) + $0 }

        #expect(try await bob.read(event) == "after many")
        #expect(outcome.warnings.count == 101 && outcome.warnings.last == "and 1400 more")
    }

    @Test func `a server that does not count is asked once in a while`() async throws {
        let bob = try await PretendDevice("bob", on: server)
        try await bob.upload()
        let machine = bob.machine
        try await receive(bob, "{}")
        let question = try #require(try await bob.write { try machine.keyUpload(in: $0) })
        #expect(question.call.body == Array("{}".utf8))
        #expect(try await bob.write { try machine.keyUpload(in: $0) } == nil)
        let answer = try JSONDocument(Array(#"{"one_time_key_counts":{"signed_curve25519":3}}"#.utf8)).root
        try await bob.write { try machine.uploaded(question, response: answer, in: $0) }
        let upload = try #require(try await bob.write { try machine.keyUpload(in: $0) })
        #expect(try JSONValue.parse(upload.call.body)["one_time_keys"]?.count == 22)
    }

    @Test(arguments: [Int64.min, -1, 0, 25, 26, .max])
    func `a server may say any number of keys`(_ count: Int64) async throws {
        let bob = try await PretendDevice("bob", on: server)
        try await bob.upload()
        try await receive(bob, #"{"device_one_time_keys_count":{"signed_curve25519":\#(count)}}"#)
        let machine = bob.machine

        let upload = try await bob.write { try machine.keyUpload(in: $0) }

        let made = try upload.map { try JSONValue.parse($0.call.body)["one_time_keys"]?.count ?? 0 } ?? 0
        #expect(made == (count <= 0 ? 25 : 0))
        if let upload {
            let answer = try JSONDocument(
                Array(#"{"one_time_key_counts":{"signed_curve25519":\#(count)}}"#.utf8)
            ).root
            try await bob.write { try machine.uploaded(upload, response: answer, in: $0) }
            _ = try await bob.write { try machine.keyUpload(in: $0) }
        }
    }

    @Test func `a device without keys is told so once, until there is a session`() async throws {
        let (alice, bob) = (try await PretendDevice("alice", on: server), try await PretendDevice("bob", on: server))
        for device in [alice, bob] { try await device.upload() }
        let keys = server.state.withLock { state in
            defer {
                state.oneTimeKeys["@bob:a|PHONE"] = []
                state.fallbackKeys["@bob:a|PHONE"] = nil
            }
            return state.oneTimeKeys["@bob:a|PHONE"]
        }
        var told = 0
        for _ in 0..<3 {
            try await alice.prepare([bob.user])
            told += server.state.withLock { state in
                let inbox = state.inboxes.removeValue(forKey: "@bob:a|PHONE") ?? []
                return inbox.filter { $0["content", "code"] == "m.no_olm" && $0["content", "room_id"] == nil }.count
            }
            alice.clock.advance(by: 3_700_000)
        }
        #expect(told == 1)
        server.state.withLock { $0.oneTimeKeys["@bob:a|PHONE"] = keys }
        try await alice.prepare([bob.user])
        #expect(server.state.withLock { $0.inboxes["@bob:a|PHONE"]?.count } == 1, "the key itself")
    }
}
