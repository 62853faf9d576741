import Cryptography
import MatrixModel
import Testing

@testable import ClientEncryption

@Suite("Rules of the verification framework") struct VerificationRulesTests {
    private let now = VerificationPair.now

    @Test func `a request that nobody accepts is dropped after two minutes, and nobody is told`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .message("request", [:]), at: now)
        #expect(pair.bob.on(.tick, at: now + 119_999) == [])
        let actions = pair.bob.on(.tick, at: now + 120_000)
        #expect(actions == [.cancelled(VerificationCancellation(code: "m.timeout", byUs: true))])
        #expect(pair.bob.isOver)
    }

    @Test func `a request is dropped ten minutes after it was made, if that comes first`() throws {
        let (alice, bob) = (try VerificationPair.party("alice", "A"), try VerificationPair.party("bob", "B"))
        func bobs(requestedAt: Int64) -> Verification {
            Verification(
                transaction: "txn", isInRoom: false, us: bob, them: alice, weRequested: false,
                methods: Verification.methods, random: SystemRandomSource(), requestedAt: requestedAt, at: now)
        }
        var old = bobs(requestedAt: now - 599_000)
        #expect(old.on(.tick, at: now + 999) == [])
        #expect(
            old.on(.accept, at: now + 1_000) == [.cancelled(VerificationCancellation(code: "m.timeout", byUs: true))])
        var early = bobs(requestedAt: now + 3_600_000)
        #expect(early.on(.tick, at: now + 119_999) == [])
        #expect(early.on(.tick, at: now + 120_000).count == 1, "their clock moves nothing")
        var accepted = bobs(requestedAt: now - 599_000)
        #expect(accepted.on(.accept, at: now + 999).count == 2)
        #expect(accepted.on(.tick, at: now + 300_000) == [], "what was accepted has ten minutes")
        for extreme in [Int64.min, .max] {
            var verification = bobs(requestedAt: extreme)
            _ = verification.on(.tick, at: now)
        }
    }

    @Test func `a device without a common method leaves the request to others`() throws {
        var pair = VerificationPair(
            try VerificationPair.party("alice", "A"), try VerificationPair.party("bob", "B"),
            methods: ["org.example.handshake"])
        pair.on("bob", .accept)
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.unknown_method", byUs: true))
        #expect(pair.cancelled("alice") == nil, "alice hears nothing of it")
        pair.on("bob", .cancel)
        #expect(pair.cancelled("alice") == nil)
    }

    @Test(arguments: ["ready", "start"])
    func `another device of theirs that was slower changes nothing`(_ type: String) throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        let late: JSONValue = [
            "transaction_id": "txn", "from_device": "C", "method": "m.sas.v1", "methods": ["m.sas.v1"],
        ]
        #expect(pair.alice.on(.message(type, late), at: now) == [])
        pair.on("alice", .startSAS)
        #expect(pair.alice.on(.message(type, late), at: now) == [])
        pair.on("alice", .matches(true))
        pair.on("bob", .matches(true))
        #expect(pair.isDone("alice") && pair.isDone("bob"))
    }

    @Test func `m.unexpected_message: two starts with different methods`() throws {
        for first in ["alice", "bob"] {
            var pair = try VerificationPair.users()
            pair.on("bob", .accept)
            pair.on("alice", .showQR)
            pair.on("bob", .showQR)
            let other = first == "alice" ? "bob" : "alice"
            let scanned = Verification.Input.scanned(try #require(pair.qr(other)))
            let one = first == "alice" ? pair.alice.on(scanned, at: now) : pair.bob.on(scanned, at: now)
            let two = first == "alice" ? pair.bob.on(.startSAS, at: now) : pair.alice.on(.startSAS, at: now)
            guard case .send("start", let reciprocation)? = one.first, case .send("start", let sas)? = two.first else {
                Issue.record("both start")
                return
            }
            pair.on(first, .message("start", sas))
            pair.on(other, .message("start", reciprocation))
            for name in ["alice", "bob"] {
                #expect(pair.cancelled(name)?.code == "m.unexpected_message", "\(name), where \(first) scanned")
            }
        }
    }

    @Test func `both scan each other's code: the smaller's scan counts`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .showQR)
        pair.on("bob", .showQR)
        let (alices, bobs) = (try #require(pair.qr("alice")), try #require(pair.qr("bob")))
        let one = pair.alice.on(.scanned(bobs), at: now)
        let two = pair.bob.on(.scanned(alices), at: now)
        guard case .send("start", let fromAlice)? = one.first, case .send("start", let fromBob)? = two.first else {
            Issue.record("both start")
            return
        }
        pair.on("alice", .message("start", fromBob))
        pair.on("bob", .message("start", fromAlice))
        #expect(pair.cancelled("alice") == nil && pair.cancelled("bob") == nil)
        #expect(pair.shown["bob"]?.contains(.confirmScan) ?? false, "alice is the smaller: bob confirms")
        #expect(!(pair.shown["alice"]?.contains(.confirmScan) ?? false))
        pair.on("bob", .matches(true))
        #expect(pair.isDone("alice") && pair.isDone("bob"))
    }

    @Test func `both scan, and the smaller's secret is wrong: that is an attack`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .showQR)
        pair.on("bob", .showQR)
        _ = pair.bob.on(.scanned(try #require(pair.qr("alice"))), at: now)
        pair.on("bob", .message("start", ["method": "m.reciprocate.v1", "secret": "AAAAAAAAAAAAAAAAAAAAAA"]))
        #expect(pair.cancelled("bob")?.code == "m.key_mismatch")
    }

    @Test func `m.user_mismatch: a code for two users shown to one's own device, and the other way round`() throws {
        let keys = ([UInt8](0..<32), [UInt8](32..<64))
        func code(_ mode: QRPayload.Mode) -> [UInt8] {
            QRPayload(
                mode: mode, transaction: "txn", first: keys.0, second: keys.1, secret: [UInt8](repeating: 1, count: 16)
            ).bytes
        }
        var own = VerificationPair(
            try VerificationPair.party("alice", "NEW", trustsMaster: false), try VerificationPair.party("alice", "OLD"))
        own.on("bob", .accept)
        own.on("bob", .scanned(code(.otherUser)))
        #expect(own.cancelled("bob") == VerificationCancellation(code: "m.user_mismatch", byUs: true))
        #expect(own.cancelled("alice") == VerificationCancellation(code: "m.user_mismatch", byUs: false))
        for mode in [QRPayload.Mode.trusting, .untrusting] {
            var users = try VerificationPair.users()
            users.on("bob", .accept)
            users.on("bob", .scanned(code(mode)))
            #expect(users.cancelled("bob") == VerificationCancellation(code: "m.user_mismatch", byUs: true))
            #expect(users.verified("bob") == nil)
        }
    }
}
