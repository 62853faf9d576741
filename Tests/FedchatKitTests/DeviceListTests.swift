import ClientEncryption
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@Suite("Device lists") struct DeviceListTests {
    let server = PretendServer()

    private func pair() async throws -> (alice: PretendDevice, bob: PretendDevice) {
        let alice = try await PretendDevice("alice", on: server)
        let bob = try await PretendDevice("bob", on: server)
        try await alice.upload()
        try await bob.upload()
        try await alice.query([bob.user])
        return (alice, bob)
    }

    /// Tells Alice that the user's devices have changed.
    private func tell(_ alice: PretendDevice, changed: String? = nil, left: String? = nil) async throws {
        let response: JSONValue = [
            "device_lists": [
                "changed": changed.map { [.string($0)] } ?? [], "left": left.map { [.string($0)] } ?? [],
            ],
            "device_one_time_keys_count": ["signed_curve25519": 25],
        ]
        let (machine, changes) = (alice.machine, SyncChanges(response: try JSONDocument(response.serialized()).root))
        _ = try await alice.write { try machine.receive(changes, in: $0) }
    }

    private func due(_ alice: PretendDevice) async throws -> KeyQuery? {
        let machine = alice.machine
        return try await alice.write { try machine.keyQuery(in: $0) }
    }

    private func answer(_ query: KeyQuery, _ alice: PretendDevice, _ response: JSONView? = nil) async throws {
        let (machine, response) = (alice.machine, try response ?? alice.call(query.call))
        _ = try await alice.write { try machine.queried(query, response: response, in: $0) }
    }

    @Test func `a change that comes during a query leaves the list stale`() async throws {
        let (alice, _) = try await pair()
        try await tell(alice, changed: "@bob:a")
        let first = try #require(try await due(alice))
        let early = try alice.call(first.call)
        let tablet = try await PretendDevice("bob", "TABLET", on: server)
        try await tablet.upload()
        try await tell(alice, changed: "@bob:a")

        try await answer(first, alice, early)

        let second = try #require(try await due(alice), "the second change is not answered yet")
        try await answer(second, alice)
        let (machine, bob) = (alice.machine, tablet.user)
        #expect(try await alice.write { try machine.devices(of: bob, in: $0) }.count == 2)
        #expect(try await due(alice) == nil)
    }

    @Test func `an answer that is older than one taken changes nothing`() async throws {
        let (alice, bob) = try await pair()
        try await tell(alice, changed: "@bob:a")
        let first = try #require(try await due(alice))
        let early = try alice.call(first.call)
        let tablet = try await PretendDevice("bob", "TABLET", on: server)
        try await tablet.upload()
        try await tell(alice, changed: "@bob:a")
        try await answer(try #require(try await due(alice)), alice)

        try await answer(first, alice, early)

        let (machine, user) = (alice.machine, bob.user)
        #expect(try await alice.write { try machine.devices(of: user, in: $0) }.count == 2)
        #expect(try await due(alice) == nil)
    }

    @Test func `who left and came back is asked for again, whatever was under way`() async throws {
        let (alice, bob) = try await pair()
        try await tell(alice, changed: "@bob:a")
        let old = try #require(try await due(alice))
        let early = try alice.call(old.call)
        try await tell(alice, left: "@bob:a")
        let (machine, user) = (alice.machine, bob.user)
        try await alice.write { try machine.track([user], in: $0) }

        try await answer(old, alice, early)

        #expect(try await due(alice) != nil)
    }

    @Test func `a server that does not answer is asked less and less, and at once when it speaks`() async throws {
        let (alice, _) = try await pair()
        server.state.withLock { $0.unreachable = ["@bob:a"] }
        try await tell(alice, changed: "@bob:a")
        var waits: [Int64] = []
        for _ in 0..<4 {
            try await answer(try #require(try await due(alice)), alice)
            var waited: Int64 = 0
            while try await due(alice) == nil {
                alice.clock.advance(by: 1_000)
                waited += 1_000
            }
            waits.append(waited)
        }
        #expect(waits == waits.sorted() && waits[3] >= 8 * waits[0] - 8_000)
        try await answer(try #require(try await due(alice)), alice)
        #expect(try await due(alice) == nil)

        try await tell(alice, changed: "@bob:a")
        #expect(try await due(alice) != nil)
    }

    @Test func `a user whom an answer leaves out is asked for again`() async throws {
        let (alice, bob) = try await pair()
        try await tell(alice, changed: "@bob:a")
        try await answer(
            try #require(try await due(alice)), alice, try JSONDocument(Array(#"{"device_keys":{}}"#.utf8)).root)
        let (machine, user) = (alice.machine, bob.user)
        #expect(try await alice.write { try machine.devices(of: user, in: $0) }.count == 1, "nothing was said of them")
        #expect(try await due(alice) == nil)
        alice.clock.advance(by: 16_000)
        #expect(try await due(alice) != nil)
    }
}
