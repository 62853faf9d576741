import Cryptography
import Federation
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import Logging
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import Homeserver

@Suite("Keys of servers") struct KeyRingTests {
    /// A server's key answer, as it may be told to give it.
    final class KeyServer: HTTPHandler {
        struct Told: Sendable {
            var name = "far.test"
            var keyID = "ed25519:1"
            var key: Ed25519.SigningKey
            var signer: Ed25519.SigningKey
            var validFor: Int64 = 86_400_000
            var old: JSONValue = [:]
            var isThere = true
        }

        let told: Mutex<Told>
        let asked = Mutex(0)
        let clock: TurnedClock

        init(_ clock: TurnedClock) throws {
            let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 4, count: 32))
            told = Mutex(Told(key: key, signer: key))
            self.clock = clock
        }

        func tell(_ change: (inout Told) -> Void) { told.withLock { change(&$0) } }

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            guard request.head.path == "/_matrix/key/v2/server" else {
                return OutgoingResponse(status: .notFound, fields: [:], body: .empty)
            }
            asked.withLock { $0 += 1 }
            // Others get the time to ask meanwhile.
            for _ in 0..<20 { await Task.yield() }
            let told = told.withLock { $0 }
            guard told.isThere else { return OutgoingResponse(status: .badGateway, fields: [:], body: .empty) }
            let answer: JSONValue = [
                "server_name": .string(told.name), "valid_until_ts": .integer(clock.now() + told.validFor),
                "verify_keys": [
                    told.keyID: ["key": .string(Base64.encode(told.key.publicKey.bytes, .standardUnpadded))]
                ],
                "old_verify_keys": told.old,
            ]
            let signed = SignedJSON.sign(answer, as: told.name, keyID: told.keyID, with: told.signer)
            return OutgoingResponse(status: .ok, fields: [:], body: HTTPBody(signed.serialized()))
        }
    }

    /// A clock that stands still until it is turned.
    final class TurnedClock: ServerClock {
        private let time = Mutex<Int64>(1_700_000_000_000)
        func now() -> Int64 { time.withLock { $0 } }
        func monotonic() -> Duration { .milliseconds(now()) }
        func sleep(for duration: Duration) async throws {}
        func turn(days: Double) { time.withLock { $0 += Int64(days * 86_400_000) } }
    }

    private let clock = TurnedClock()
    private let server: KeyServer
    private let ring: KeyRing
    private let environment: Environment
    private let far: ServerName

    init() async throws {
        far = try ServerName("far.test")
        server = try KeyServer(clock)
        let network = LoopNetwork()
        network.connect("far.test", server)
        (ring, environment) = try await Self.ring(on: network, clock)
    }

    /// The keys that `here.test` knows, on a network.
    static func ring(
        on network: LoopNetwork, _ clock: TurnedClock, trusting notaries: [ServerName] = []
    ) async throws -> (KeyRing, Environment) {
        let database = try SQLiteDatabase.inMemory()
        try await Instance.migrate(database)
        let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 8, count: 32))
        let old = try Ed25519.SigningKey(seed: [UInt8](repeating: 9, count: 32))
        var configuration = HomeserverConfiguration(publicBaseURL: "https://here.test")
        configuration.federation.notaryTrustedServers = notaries
        let environment = Environment(
            serverName: try ServerName("here.test"), configuration: configuration, database: database,
            sealer: .plain, clock: clock, random: SystemRandomSource(),
            signingKeys: SigningKeys(
                keyID: "ed25519:now", current: key,
                retired: [.init(keyID: "ed25519:then", publicKey: old.publicKey, expired: 1_600_000_000_000)]),
            httpClient: network, logger: Logger(label: "test"))
        let client = FederationClient(
            serverName: environment.serverName, keyID: "ed25519:now", key: key, httpClient: network,
            discovery: ServerDiscovery(
                httpClient: network, resolver: NoSRVRecords(), asksWellKnown: false, now: { clock.monotonic() }),
            allowsPrivateAddresses: false)
        return (KeyRing(environment, client: client), environment)
    }

    private var asked: Int { server.asked.withLock { $0 } }

    @Test func `our own keys are known, a retired one for events of its time`() async throws {
        let here = environment.serverName
        #expect(await ring.key("ed25519:now", of: here, for: .request) != nil)
        #expect(await ring.key("ed25519:then", of: here, for: .request) == nil)
        #expect(await ring.key("ed25519:then", of: here, for: .event(at: 1_500_000_000_000, enforced: true)) != nil)
        #expect(await ring.key("ed25519:then", of: here, for: .event(at: 1_650_000_000_000, enforced: true)) == nil)
        #expect(await ring.key("ed25519:then", of: here, for: .event(at: 1_650_000_000_000, enforced: false)) != nil)
    }

    @Test func `a key is fetched once for all who wait for it, and remembered`() async throws {
        let (ring, far) = (ring, far)
        let found = await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 { group.addTask { await ring.key("ed25519:1", of: far, for: .request) != nil } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(found == [Bool](repeating: true, count: 50))
        #expect(asked == 1)
        server.tell { $0.isThere = false }
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
        #expect(asked == 1)
    }

    @Test func `a key nobody has is asked for now and then, not each time`() async throws {
        for _ in 0..<10 { #expect(await ring.key("ed25519:none", of: far, for: .request) == nil) }
        #expect(asked == 1)
        clock.turn(days: 0.01)
        #expect(await ring.key("ed25519:none", of: far, for: .request) == nil)
        #expect(asked == 2)
    }

    @Test func `validity is trusted for seven days, whatever the server says`() async throws {
        server.tell { $0.validFor = 1_000 * 86_400_000 }
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
        let now = clock.now()
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: now + 6 * 86_400_000, enforced: true)) != nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: now + 8 * 86_400_000, enforced: true)) == nil)
        server.tell { $0.isThere = false }
        clock.turn(days: 6.9)
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
        clock.turn(days: 0.2)
        #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
        // Events of the time when it was valid, and of rooms that do not ask, are still checked by it.
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: now, enforced: true)) != nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: clock.now(), enforced: false)) != nil)
        clock.turn(days: 0.01)
        server.tell { $0.isThere = true }
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
    }

    @Test func `a server whose clock is behind signs no requests, and events of its time only`() async throws {
        server.tell { $0.validFor = -86_400_000 }
        let now = clock.now()
        #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: now - 90_000_000, enforced: true)) != nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: now, enforced: true)) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: now, enforced: false)) != nil)
        // When its clock is right again, so are its requests.
        server.tell { $0.validFor = 86_400_000 }
        clock.turn(days: 0.01)
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
    }

    @Test func `a key that was retired checks events of its time and no requests`() async throws {
        let first = try #require(await ring.key("ed25519:1", of: far, for: .request))
        let retired = clock.now()
        clock.turn(days: 0.5)
        server.tell { told in
            told.old = [
                "ed25519:1": [
                    "key": .string(Base64.encode(first.bytes, .standardUnpadded)), "expired_ts": .integer(retired),
                ]
            ]
            told.keyID = "ed25519:2"
        }
        #expect(await ring.key("ed25519:2", of: far, for: .request) != nil)
        #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: retired, enforced: true)) != nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: retired + 1, enforced: true)) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: retired + 1, enforced: false)) != nil)
    }

    @Test func `an answer that is not the server's or not signed by its key is not believed`() async throws {
        let other = try Ed25519.SigningKey(seed: [UInt8](repeating: 6, count: 32))
        server.tell { $0.signer = other }
        #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
        server.tell { told in
            told.signer = told.key
            told.name = "else.test"
        }
        clock.turn(days: 0.01)
        #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
        server.tell { $0.name = "far.test" }
        clock.turn(days: 0.01)
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
    }
}
