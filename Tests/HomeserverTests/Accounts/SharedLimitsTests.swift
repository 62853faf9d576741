import Cryptography
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Limits that nodes share") struct SharedLimitsTests {
    /// Two nodes of one server, whose clock stands still: nothing comes back.
    private func nodes(
        _ store: TestStore, _ test: (TestHomeserver, TestHomeserver) async throws -> Void
    ) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            var nodes: [TestHomeserver] = []
            for _ in 0..<2 {
                nodes.append(
                    try await TestHomeserver(
                        "a.test", on: LoopNetwork(), database: database, clock: StandingClock()
                    ) {
                        $0.rateLimits.isEnabled = true
                        $0.rateLimits.registrations.burst = 3
                        $0.rateLimits.logins.burst = 4
                        $0.rateLimits.messages.burst = 40
                        $0.rateLimits.other.burst = 10_000
                    })
            }
            try await test(nodes[0], nodes[1])
        }
    }

    /// How often something succeeds at two nodes in turn before both refuse.
    private func successes(
        _ nodes: [TestHomeserver], _ work: (TestHomeserver) async throws -> Void
    ) async throws -> Int {
        var count = 0
        for turn in 0..<300 {
            do {
                try await work(nodes[turn % nodes.count])
                count += 1
            } catch let error as MatrixError where error.code == .limitExceeded {
                continue
            }
        }
        return count
    }

    @Test(.enabled(if: TestStore.available.contains(.postgres), "PostgreSQL is not installed"))
    func `logins and registrations are counted by all nodes together`() async throws {
        try await nodes(.postgres) { a, b in
            var names = 0
            let registered = try await successes([a, b]) { node in
                names += 1
                _ = try await node.register("user\(names)")
            }
            #expect(registered == 3)
            // Wrong passwords and right ones: the address may try four times, wherever it asks.
            let tried = try await successes([a, b]) { node in
                do {
                    _ = try await node.ask(
                        .post, "/_matrix/client/v3/login",
                        [
                            "type": "m.login.password", "password": "wrong",
                            "identifier": ["type": "m.id.user", "user": "user1"],
                        ])
                } catch let error as MatrixError where error.code == .forbidden {}
            }
            #expect(tried == 4)
        }
    }

    @Test(.enabled(if: TestStore.available.contains(.postgres), "PostgreSQL is not installed"))
    func `messages are limited for all nodes together, but for a tenth per further node`() async throws {
        try await nodes(.postgres) { a, b in
            let alice = try await a.register("alice")
            let room = try await alice.createRoom("12")
            func send(_ node: TestHomeserver) async throws {
                let client = TestHomeserver.Client(server: node, user: alice.user, token: alice.token)
                try await client.say("hello", room)
            }
            // Making the room took one. Each node gives four of its own, the row the other thirty-six.
            #expect(try await successes([a, b], send) == 40 + 4 - 1)
            let bob = try await b.register("bob")
            let other = try await bob.createRoom("12")
            let alone = try await successes([b]) { _ in try await bob.say("hello", other) }
            #expect(alone == 40 - 1)
        }
    }

    @Test(.enabled(if: TestStore.available.contains(.postgres), "PostgreSQL is not installed"))
    func `a request rarely asks the row, and one that is refused does not ask again`() async throws {
        try await TestStore.postgres.run { database, _ in
            try await Instance.migrate(database)
            var limits = HomeserverConfiguration.RateLimits()
            limits.messages = .init(burst: 100, perSecond: 10)
            let limiter = RateLimiter(limits, clock: StandingClock(), database: database)
            var seen: [Int64] = []
            for _ in 0..<200 {
                try? await limiter.take(.messages, who: "@alice:a.test")
                let row = try await database.read {
                    try $0.query("SELECT full_at FROM token_buckets").first?.integer(0) ?? 0
                }
                if seen.last != row { seen.append(row) }
            }
            // Ten without the row (0), then nine blocks of ten.
            #expect(seen.count == 10)
        }
    }

    @Test(arguments: TestStore.available)
    func `a bucket gives what it holds, and what has come back`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            let size = TokenBucketStore.Size(burst: 5, perSecond: 2)
            func take(_ count: Int = 1, at now: Int64) async throws -> TokenBucketStore.Answer {
                try await database.write { try TokenBucketStore($0).take(count, from: "b", size, now: now) }
            }
            let start: Int64 = 1_700_000_000_000
            let answers = [
                try await take(3, at: start), try await take(3, at: start), try await take(at: start),
                try await take(3, at: start), try await take(at: start + 499), try await take(at: start + 500),
                try await take(9, at: start + 60_000),
            ]
            #expect(
                answers == [
                    .given(3), .given(1), .given(1), .empty(milliseconds: 500), .empty(milliseconds: 1), .given(1),
                    .given(1),
                ])
            try await database.write { try TokenBucketStore($0).giveBack(to: "b", size) }
            #expect(try await take(5, at: start + 60_000) == .given(5))
            // Buckets that are full again leave no row.
            for number in 0..<20 {
                try await database.write {
                    let now = start + 100_000 + Int64(number) * 10_000
                    _ = try TokenBucketStore($0).take(from: "c\(number)", size, now: now)
                    try TokenBucketStore($0).removeFull(now: now)
                }
            }
            let rows = try await database.read { try $0.query("SELECT COUNT(*) FROM token_buckets").first?.int(0) }
            #expect(rows == 1)
        }
    }

    @Test(arguments: TestStore.available)
    func `who takes at the same moment takes no token twice`(_ store: TestStore) async throws {
        try await store.run { database, _ in
            try await Instance.migrate(database)
            let size = TokenBucketStore.Size(burst: 10, perSecond: 1)
            let given = try await withThrowingTaskGroup(of: Bool.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        try await database.write {
                            try TokenBucketStore($0).take(from: "b", size, now: 1_000_000) == .given(1)
                        }
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(given == 10)
        }
    }
}
