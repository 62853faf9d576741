import Cryptography
import Federation
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import Homeserver

/// A key that its server has retired, perhaps because somebody else has it, stays so.
@Suite("Retired keys of servers") struct KeyRetirementTests {
    /// A notary that tells what it once heard of `far.test`.
    struct Notary: HTTPHandler {
        static let keyID = "ed25519:n"
        let name: ServerName
        let key: Ed25519.SigningKey
        let kept: JSONValue
        let clock: KeyRingTests.TurnedClock

        func handle(_ request: IncomingRequest) async -> OutgoingResponse {
            let answer: JSONValue
            if request.head.path == "/_matrix/key/v2/server" {
                let own: JSONValue = [
                    "server_name": "notary.test", "valid_until_ts": .integer(clock.now() + 86_400_000),
                    "verify_keys": [
                        Self.keyID: ["key": .string(Base64.encode(key.publicKey.bytes, .standardUnpadded))]
                    ],
                    "old_verify_keys": [:],
                ]
                answer = signed(own)
            } else {
                answer = ["server_keys": [signed(kept)]]
            }
            return OutgoingResponse(status: .ok, fields: [:], body: HTTPBody(answer.serialized()))
        }

        private func signed(_ value: JSONValue) -> JSONValue {
            SignedJSON.sign(value, as: name, keyID: Self.keyID, with: key)
        }
    }

    private let far: ServerName
    private let clock = KeyRingTests.TurnedClock()
    private let server: KeyRingTests.KeyServer
    private let network = LoopNetwork()
    private let ring: KeyRing
    private let environment: Environment

    init() async throws {
        far = try ServerName("far.test")
        server = try KeyRingTests.KeyServer(clock)
        network.connect("far.test", server)
        (ring, environment) = try await KeyRingTests.ring(
            on: network, clock, trusting: [try ServerName("notary.test")])
    }

    /// What `far.test` would answer now.
    private func answer() async throws -> JSONValue {
        let response = await server.handle(
            IncomingRequest(head: .init(method: .get, scheme: "https", authority: nil, path: "/_matrix/key/v2/server")))
        return try JSONValue.parse(try await response.body.collect(upTo: 1 << 20))
    }

    private func kept() async throws -> ServerKeyStore.Answer? {
        try await environment.database.read { try ServerKeyStore($0).answer(of: "far.test") }
    }

    /// Lets `far.test` have another key from now on.
    private func rotate() throws -> Int64 {
        let retired = clock.now()
        server.tell { told in
            told.old = [
                "ed25519:1": [
                    "key": .string(Base64.encode(told.key.publicKey.bytes, .standardUnpadded)),
                    "expired_ts": .integer(retired),
                ]
            ]
            told.keyID = "ed25519:2"
        }
        return retired
    }

    private func expectRetired(_ retired: Int64) async {
        #expect(await ring.key("ed25519:1", of: far, for: .request) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: retired + 1, enforced: true)) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .event(at: retired, enforced: true)) != nil)
        #expect(await ring.key("ed25519:2", of: far, for: .request) != nil)
    }

    /// - Parameter validFor: how long the older answer was said to be valid: for less than the newer, or for ever.
    @Test(arguments: [86_400_000, 1_000 * 86_400_000] as [Int64])
    func `a notary that kept an answer from before does not bring the key back`(_ validFor: Int64) async throws {
        server.tell { $0.validFor = validFor }
        let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 5, count: 32))
        let notary = try ServerName("notary.test")
        network.connect("notary.test", Notary(name: notary, key: key, kept: try await answer(), clock: clock))
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)

        clock.turn(days: 0.5)
        server.tell { $0.validFor = 86_400_000 }
        let retired = try rotate()
        #expect(await ring.key("ed25519:2", of: far, for: .request) != nil)
        await expectRetired(retired)
        let newer = try #require(try await kept())

        // A key that nobody has is asked of the server, and then of the notary.
        for _ in 0..<2 {
            clock.turn(days: 0.01)
            #expect(await ring.key("ed25519:none", of: far, for: .request) == nil)
        }
        #expect(network.paths.contains { $0.hasPrefix("notary.test/_matrix/key/v2/query/far.test") })
        await expectRetired(retired)
        let told = try #require(try await kept())
        #expect(told.validUntil >= newer.validUntil)
        #expect(try JSONValue.parse(told.body)["verify_keys"]?["ed25519:1"] == nil)
    }

    @Test func `a server that answers as before, and is valid for no longer, does not bring the key back`()
        async throws
    {
        let before = server.told.withLock { $0 }
        let retired = try rotate()
        #expect(await ring.key("ed25519:2", of: far, for: .request) != nil)
        let newer = try #require(try await kept())

        clock.turn(days: 0.1)
        server.tell { told in
            told = before
            told.validFor -= 20_000_000
        }
        #expect(await ring.key("ed25519:none", of: far, for: .request) == nil)
        await expectRetired(retired)
        #expect(try #require(try await kept()).body == newer.body)

        // The server itself may think better of it.
        clock.turn(days: 0.1)
        server.tell { $0.validFor = before.validFor }
        #expect(await ring.key("ed25519:none", of: far, for: .request) == nil)
        #expect(await ring.key("ed25519:1", of: far, for: .request) != nil)
    }

    @Test func `of several times at which a key was retired the first counts, but where the server says so anew`()
        async throws
    {
        let key = ServerKeyStore.Key(keyID: "ed25519:1", publicKey: [1], validUntil: 100, expired: nil)
        func take(_ expired: Int64?, until: Int64, isDirect: Bool, _ publicKey: UInt8 = 1) async throws
            -> ServerKeyStore.Key?
        {
            var told = key
            told.expired = expired
            told.publicKey = [publicKey]
            let news = ServerKeyStore.News(
                keys: [told], body: Array("\(until) \(expired ?? 0)".utf8), validUntil: until, isDirect: isDirect)
            return try await environment.database.write {
                try ServerKeyStore($0).take(news, of: "far.test", now: 1).first
            }
        }
        func body() async throws -> String { String(decoding: try await kept()?.body ?? [], as: UTF8.self) }
        #expect(try await take(50, until: 200, isDirect: true)?.expired == 50)
        #expect(try await take(60, until: 150, isDirect: true)?.expired == 50)
        #expect(try await take(60, until: 300, isDirect: false)?.expired == 50)
        #expect(try await take(40, until: 150, isDirect: false)?.expired == 40)
        #expect(try await body() == "300 60")
        // A notary's answer, newer or not, brings it not back, and is not what others are told.
        #expect(try await take(nil, until: 400, isDirect: false)?.expired == 40)
        #expect(try await take(nil, until: 300, isDirect: true)?.expired == 40)
        #expect(try await take(nil, until: 250, isDirect: true, 2)?.publicKey == [1])
        #expect(try await body() == "300 60")
        #expect(try await take(nil, until: 301, isDirect: true).map { $0.expired == nil } == true)
        #expect(try await body() == "301 0")
        // An answer that claims to be valid for years does not keep all later ones out.
        let years: Int64 = 1 << 50
        #expect(try await take(nil, until: years, isDirect: true) != nil)
        let now = 1 + ServerKeyStore.longestValidity
        let news = ServerKeyStore.News(keys: [key], body: [7], validUntil: now + 10, isDirect: true)
        try await environment.database.write { _ = try ServerKeyStore($0).take(news, of: "far.test", now: now) }
        #expect(try await kept()?.body == [7])
    }
}
