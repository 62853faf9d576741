import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import Homeserver

/// Names that strangers invent cannot keep this server from learning the keys it needs.
@Suite("Whose keys are asked for") struct KeyAskingTests {
    /// Servers that take a request and do not answer.
    final class SilentServers: HTTPHandler {
        private let waiting = Mutex<[CheckedContinuation<Void, Never>]?>([])

        /// How many requests wait.
        var count: Int { waiting.withLock { $0?.count ?? 0 } }

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            await withCheckedContinuation { continuation in
                let isOver = waiting.withLock { waiting in
                    waiting?.append(continuation)
                    return waiting == nil
                }
                if isOver { continuation.resume() }
            }
            return OutgoingResponse(status: .badGateway, fields: [:], body: .empty)
        }

        func giveUp() {
            for one in waiting.withLock({ $0.take() }) ?? [] { one.resume() }
        }
    }

    private final class Counter: Sendable {
        private let counted = Mutex(0)

        var number: Int { counted.withLock { $0 } }

        func count() { counted.withLock { $0 += 1 } }
    }

    private let clock = KeyRingTests.TurnedClock()
    private let silent = SilentServers()
    private let network = LoopNetwork()
    private let ring: KeyRing
    private let environment: Environment
    private let far: ServerName
    private let invented: [ServerName]

    init() async throws {
        far = try ServerName("far.test")
        network.connect("far.test", try KeyRingTests.KeyServer(clock))
        (ring, environment) = try await KeyRingTests.ring(on: network, clock)
        invented = try (0..<600).map { try ServerName("invented\($0).test") }
        for name in invented { network.connect(name.text, silent) }
    }

    /// Has something asked of each invented name, and gives how many of them have places once all others were refused.
    private func fill(
        _ ask: @escaping @Sendable (ServerName) async throws -> Void, _ then: (_ places: Int) async throws -> Void
    ) async throws {
        let refused = Counter()
        try await withThrowingTaskGroup(of: Void.self) { group in
            defer { silent.giveUp() }
            for name in invented {
                group.addTask {
                    try await ask(name)
                    refused.count()
                }
            }
            try await eventually { refused.number + silent.count == invented.count }
            try await then(silent.count)
        }
    }

    @Test func `those who ask us as a notary have a few places, and take none from federation`() async throws {
        let ring = ring
        try await fill({ try await ring.refresh($0) {} }) { places in
            #expect(places == KeyRing.maximumAskedForStrangers)
            #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
        }
    }

    @Test func `names of which we know nothing leave places for servers that we send to`() async throws {
        let known = try ServerName("known.test")
        let server = try KeyRingTests.KeyServer(clock)
        server.tell { $0.name = "known.test" }
        network.connect("known.test", server)
        try await environment.database.write {
            try Outbox($0).enqueue(eventNID: 1, position: 1, roomNID: 1, destinations: ["known.test"])
        }
        let ring = ring
        try await fill({ _ = await ring.key("ed25519:1", of: $0, for: .request) }) { places in
            #expect(places == KeyRing.maximumUnknownAsked)
            #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
            #expect(await ring.key("ed25519:1", of: known, for: .request) != nil)
        }
    }

    @Test func `a notary's asker does not keep us from asking notaries of our own`() async throws {
        try await ring.refresh(far) {}
        #expect(network.paths.count == 1)
        #expect(await ring.key("ed25519:none", of: far, for: .request) == nil)
        #expect(network.paths.count == 2)
        // Nor does anybody have it asked all the time.
        for _ in 0..<5 { try await ring.refresh(far) {} }
        #expect(network.paths.count == 2)
    }

    @Test func `nobody is asked for whom that is too much, and what is known needs no leave`() async throws {
        struct TooMuch: Error {}
        await #expect(throws: TooMuch.self) {
            try await ring.key("ed25519:1", of: far, for: .request) { throw TooMuch() }
        }
        await #expect(throws: TooMuch.self) { try await ring.refresh(far) { throw TooMuch() } }
        #expect(network.paths.isEmpty)
        #expect(try await ring.key("ed25519:1", of: far, for: .request) {} != nil)
        #expect(try await ring.key("ed25519:1", of: far, for: .request) { throw TooMuch() } != nil)
    }

    @Test func `who waited for a question that was not admitted asks it by leave of its own`() async throws {
        struct TooMuch: Error {}
        let (ring, far) = (ring, far)
        let (held, lined, admitted) = (Counter(), Counter(), Counter())
        let (leave, end) = AsyncStream<Void>.makeStream()
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    _ = try await ring.key("ed25519:1", of: far, for: .request) {
                        held.count()
                        for await _ in leave {}
                        throw TooMuch()
                    }
                    return false
                } catch is TooMuch { return true }
            }
            try await eventually { held.number == 1 }
            for _ in 0..<50 {
                group.addTask {
                    lined.count()
                    return try await ring.key("ed25519:1", of: far, for: .request) { admitted.count() } != nil
                }
            }
            try await eventually { lined.number == 50 }
            // Most of them stand in line then; to who comes later the same must happen.
            for _ in 0..<20 {
                _ = try await environment.database.read { try Outbox($0).destination("far.test") }
            }
            // Nobody asks while another has the turn.
            #expect(admitted.number == 0 && network.paths.isEmpty)
            end.finish()
            for try await isAsItMust in group { #expect(isAsItMust) }
        }
        // One of them asked, and the others waited for what it learned.
        #expect(admitted.number == 1)
        #expect(network.paths.count == 1)
    }

    @Test func `how many servers an address makes us ask is limited, as one who signs and as one who asks a notary`()
        async throws
    {
        let network = LoopNetwork()
        let server = try await TestHomeserver("a.test", on: network) {
            $0.rateLimits.isEnabled = true
            $0.rateLimits.keyFetches = .init(burst: 2, perSecond: 0.000_01)
        }
        let others = try (0..<4).map { try HandmadeServer("other\($0).test", on: network) }
        func ask(_ number: Int) async throws -> Int {
            try await others[number].ask(server, .get, "/_matrix/federation/v1/query/profile?user_id=@x:a.test").status
        }
        func told(_ number: Int) async throws -> Int? {
            try await others[0].ask(server, .get, "/_matrix/key/v2/query/other\(number).test").body["server_keys"]?
                .elements.count
        }
        #expect(try await ask(0) == 404)
        #expect(try await told(1) == 1)
        #expect(try await ask(2) == 429)
        #expect(try await told(3) == 0)
        // Who is known may still come, and be told of.
        #expect(try await ask(0) == 404)
        #expect(try await ask(1) == 404)
        #expect(try await told(1) == 1)
        #expect(!network.paths.contains { $0.hasPrefix("other2.test") || $0.hasPrefix("other3.test") })
    }

    @Test func `a notary is not asked without end by one address`() async throws {
        let network = LoopNetwork()
        let server = try await TestHomeserver("a.test", on: network) {
            $0.rateLimits.isEnabled = true
            $0.rateLimits.other = .init(burst: 2, perSecond: 0.000_01)
        }
        let other = try HandmadeServer("other.test", on: network)
        let bulk: JSONValue = ["server_keys": ["other.test": [:]]]
        #expect(try await other.ask(server, .get, "/_matrix/key/v2/query/other.test").status == 200)
        #expect(try await other.ask(server, .post, "/_matrix/key/v2/query", bulk).status == 200)
        #expect(try await other.ask(server, .get, "/_matrix/key/v2/query/other.test").status == 429)
        #expect(try await other.ask(server, .post, "/_matrix/key/v2/query", bulk).status == 429)
    }
}
