@testable import ClientEncryption
import Cryptography
import MatrixModel
import Ratchet
import Testing

/// Two machines that talk to each other; messages may be changed or kept on the way.
struct VerificationPair {
    static let now: Int64 = 1_700_000_000_000

    var alice: Verification
    var bob: Verification
    var shown: [String: [Verification.Action]] = [:]
    /// Changes a message from `sender`, or takes it away.
    var tamper: (_ sender: String, _ type: String, JSONValue) -> JSONValue? = { _, _, content in content }

    static func party(
        _ user: String, _ device: String, trustsMaster: Bool = true, master: String? = nil
    ) throws -> VerificationParty {
        VerificationParty(
            user: try UserID("@\(user):a"), device: try DeviceID(device), ed25519: key("\(user) \(device)"),
            master: master ?? key(user), trustsMaster: trustsMaster)
    }

    static func key(_ name: String) -> String { Base64.encode(SHA256.hash(Array(name.utf8))) }

    init(
        _ alice: VerificationParty, _ bob: VerificationParty, aliceSeesBob: VerificationParty? = nil, isInRoom: Bool = false,
        methods: [String] = Verification.methods
    ) {
        let id = isInRoom ? "$request" : "txn"
        self.alice = Verification(
            transaction: id, isInRoom: isInRoom, us: alice, them: aliceSeesBob ?? bob, weRequested: true,
            random: SystemRandomSource(), at: Self.now)
        self.bob = Verification(
            transaction: id, isInRoom: isInRoom, us: bob, them: alice, weRequested: false, methods: methods,
            random: SystemRandomSource(), at: Self.now)
    }

    static func users(isInRoom: Bool = false) throws -> VerificationPair {
        VerificationPair(try party("alice", "A"), try party("bob", "B"), isInRoom: isInRoom)
    }

    /// Gives `input` to one of them, and all messages that follow to the other, until nobody says anything.
    mutating func on(_ name: String, _ input: Verification.Input, at now: Int64 = VerificationPair.now) {
        var waiting: [(name: String, input: Verification.Input)] = [(name, input)]
        while let (name, input) = waiting.first {
            waiting.removeFirst()
            let actions = name == "alice" ? alice.on(input, at: now) : bob.on(input, at: now)
            for action in actions {
                if case .send(let type, let content) = action {
                    guard let content = tamper(name, type, content) else { continue }
                    waiting.append((name == "alice" ? "bob" : "alice", .message(type, content)))
                } else {
                    shown[name, default: []].append(action)
                }
            }
        }
    }

    func code(_ name: String) -> [Int]? {
        for case .compare(let code) in shown[name] ?? [] { return code.emojiNumbers }
        return nil
    }

    func verified(_ name: String) -> VerifiedKeys? {
        for case .verified(let keys) in shown[name] ?? [] { return keys }
        return nil
    }

    func cancelled(_ name: String) -> VerificationCancellation? {
        for case .cancelled(let cancellation) in shown[name] ?? [] { return cancellation }
        return nil
    }

    func qr(_ name: String) -> [UInt8]? {
        for case .showQR(let bytes) in shown[name] ?? [] { return bytes }
        return nil
    }

    func isDone(_ name: String) -> Bool { shown[name]?.contains(.done) ?? false }
}

@Suite("Verification by comparing") struct VerificationTests {
    @Test(arguments: [true, false], ["alice", "bob"])
    func `two users who see the same code verify each other`(_ isInRoom: Bool, _ starter: String) throws {
        var pair = try VerificationPair.users(isInRoom: isInRoom)
        pair.on("bob", .accept)
        pair.on(starter, .startSAS)

        #expect(pair.code("alice") != nil)
        #expect(pair.code("alice") == pair.code("bob"))
        pair.on("alice", .matches(true))
        #expect(pair.verified("alice") == nil, "bob has not compared yet")
        pair.on("bob", .matches(true))

        for (name, other, device) in [("alice", "bob", "bob B"), ("bob", "alice", "alice A")] {
            #expect(pair.verified(name)?.master == VerificationPair.key(other))
            #expect(pair.verified(name)?.ed25519 == VerificationPair.key(device))
            #expect(pair.isDone(name))
        }
    }

    @Test func `a device that does not trust its own identity does not vouch for it`() throws {
        var pair = VerificationPair(
            try VerificationPair.party("alice", "A", trustsMaster: false), try VerificationPair.party("alice", "B"))
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        pair.on("alice", .matches(true))
        pair.on("bob", .matches(true))

        #expect(pair.verified("bob")?.master == nil)
        #expect(pair.verified("bob")?.ed25519 == VerificationPair.key("alice A"))
        #expect(pair.verified("alice")?.master == VerificationPair.key("alice"))
    }

    @Test func `of two starts the smaller user's counts`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        let first = pair.alice.on(.startSAS, at: VerificationPair.now)
        let second = pair.bob.on(.startSAS, at: VerificationPair.now)
        guard case .send(_, let alices) = first.first, case .send(_, let bobs) = second.first else {
            Issue.record("both start")
            return
        }

        pair.on("alice", .message("start", bobs))
        pair.on("bob", .message("start", alices))

        #expect(pair.code("alice") != nil)
        #expect(pair.code("alice") == pair.code("bob"))
        pair.on("bob", .matches(true))
        pair.on("alice", .matches(true))
        #expect(pair.isDone("alice") && pair.isDone("bob"))
    }

    @Test func `a start without a request is answered`() throws {
        var pair = try VerificationPair.users()
        var start = JSONValue.object(SASExchange.offer)
        start["from_device"] = "A"
        start["transaction_id"] = "txn"
        pair.alice.phase = .sas
        pair.alice.sas = SASExchange(weStarted: true, start: start, random: SystemRandomSource())
        pair.on("bob", .message("start", start))
        #expect(pair.code("bob") != nil)
        #expect(pair.code("alice") == pair.code("bob"))
    }

    @Test func `the old code is spoken with those who have no other`() throws {
        var pair = try VerificationPair.users()
        pair.tamper = { _, type, content in
            var content = content
            if type == "start" { content["message_authentication_codes"] = ["hkdf-hmac-sha256"] }
            return content
        }
        // Alice's start as bob sees it is what both hash.
        pair.on("bob", .accept)
        guard case .send(_, var start) = pair.alice.on(.startSAS, at: VerificationPair.now).first else { return }
        start["message_authentication_codes"] = ["hkdf-hmac-sha256"]
        pair.alice.sas = SASExchange(weStarted: true, start: start, random: SystemRandomSource())
        pair.on("bob", .message("start", start))
        pair.on("alice", .matches(true))
        pair.on("bob", .matches(true))
        #expect(pair.isDone("alice") && pair.isDone("bob"))
    }

    // MARK: Each code of cancelling

    @Test func `m.user: whoever gives up says so`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .cancel)
        #expect(pair.cancelled("alice") == VerificationCancellation(code: "m.user", byUs: false))
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.user", byUs: true))
    }

    @Test func `m.timeout: after ten minutes it is over`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .tick, at: VerificationPair.now + 599_999)
        #expect(pair.cancelled("alice") == nil)
        pair.on("alice", .tick, at: VerificationPair.now + 600_000)
        #expect(pair.cancelled("alice")?.code == "m.timeout")
        #expect(pair.cancelled("bob") != nil)
    }

    @Test(arguments: ["key_agreement_protocols", "hashes", "message_authentication_codes", "short_authentication_string"])
    func `m.unknown_method: nothing in common`(_ field: String) throws {
        var pair = try VerificationPair.users()
        pair.tamper = { _, type, content in
            var content = content
            if type == "start" { content[field] = ["org.example.none"] }
            return content
        }
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.unknown_method", byUs: true))
    }

    @Test(arguments: ["key_agreement_protocol", "hash", "message_authentication_code", "short_authentication_string"])
    func `m.unknown_method: what we did not offer is not accepted`(_ field: String) throws {
        var pair = try VerificationPair.users()
        pair.tamper = { _, type, content in
            var content = content
            if type == "accept" { content[field] = "org.example.none" }
            return content
        }
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        #expect(pair.cancelled("alice") == VerificationCancellation(code: "m.unknown_method", byUs: true))
    }

    @Test(arguments: ["accept", "key", "mac", "done", "ready"])
    func `m.unexpected_message: a message out of its turn`(_ type: String) throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("bob", .message(type, ["transaction_id": "txn", "methods": ["m.sas.v1"]]))
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.unexpected_message", byUs: true))
    }

    @Test func `m.unexpected_message: a second key or a second MAC`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        pair.on("bob", .message("key", ["key": .string(VerificationPair.key("x"))]))
        #expect(pair.cancelled("bob")?.code == "m.unexpected_message")
    }

    @Test func `m.invalid_message: a key that is none`() throws {
        for key in ["", "AAAA", Base64.encode([UInt8](repeating: 0, count: 32))] {
            var pair = try VerificationPair.users()
            pair.tamper = { sender, type, content in
                sender == "alice" && type == "key" ? ["transaction_id": "txn", "key": .string(key)] : content
            }
            pair.on("bob", .accept)
            pair.on("alice", .startSAS)
            #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.invalid_message", byUs: true))
        }
    }

    @Test func `m.invalid_message: our own key sent back to us`() throws {
        var pair = try VerificationPair.users()
        var own: JSONValue?
        pair.on("bob", .accept)
        guard case .send(_, let start) = pair.alice.on(.startSAS, at: VerificationPair.now).first else { return }
        _ = pair.bob.on(.message("start", start), at: VerificationPair.now)
        own = pair.bob.sas.map { .string($0.ownKey) }
        pair.on("bob", .message("key", ["key": own ?? ""]))
        #expect(pair.cancelled("bob")?.code == "m.invalid_message")
    }

    @Test func `m.mismatched_commitment: a key other than the one committed to`() throws {
        var pair = try VerificationPair.users()
        let other = SASExchange(weStarted: true, start: [:], random: SystemRandomSource()).ownKey
        pair.tamper = { sender, type, content in
            var content = content
            if sender == "bob", type == "key" { content["key"] = .string(other) }
            return content
        }
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        #expect(pair.cancelled("alice") == VerificationCancellation(code: "m.mismatched_commitment", byUs: true))
        #expect(pair.code("alice") == nil, "the user sees no code")
    }

    @Test func `a start altered on the way is noticed by the commitment`() throws {
        var pair = try VerificationPair.users()
        pair.tamper = { _, type, content in
            var content = content
            if type == "start" { content["short_authentication_string"] = ["decimal"] }
            return content
        }
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        #expect(pair.cancelled("alice")?.code == "m.mismatched_commitment")
    }

    @Test func `a man in the middle of both keys shows different codes`() throws {
        var pair = try VerificationPair.users()
        let mallory = SASExchange(weStarted: true, start: [:], random: SystemRandomSource())
        pair.tamper = { sender, type, content in
            var content = content
            if sender == "alice", type == "key" { content["key"] = .string(mallory.ownKey) }
            return content
        }
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        #expect(pair.code("bob") != nil)
        #expect(pair.code("alice") != pair.code("bob"))
    }

    @Test func `m.mismatched_sas: the user says that they differ`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        pair.on("alice", .matches(false))
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.mismatched_sas", byUs: false))
        #expect(pair.verified("alice") == nil && pair.verified("bob") == nil)
    }

    @Test(arguments: ["mac", "keys", "more", "none"])
    func `m.key_mismatch: a MAC that was touched verifies nothing`(_ what: String) throws {
        var pair = try VerificationPair.users()
        pair.tamper = { sender, type, content in
            guard sender == "alice", type == "mac" else { return content }
            var (content, macs) = (content, content["mac"] ?? [:])
            switch what {
            case "mac": macs["ed25519:A"] = .string(VerificationPair.key("wrong"))
            case "keys": content["keys"] = .string(VerificationPair.key("wrong"))
            case "more": macs["ed25519:OTHER"] = .string(VerificationPair.key("wrong"))
            default: macs = [:]
            }
            content["mac"] = macs
            return content
        }
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        pair.on("bob", .matches(true))
        pair.on("alice", .matches(true))
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.key_mismatch", byUs: true))
        #expect(pair.verified("bob") == nil)
    }

    @Test func `m.key_mismatch: keys other than those the server showed`() throws {
        let swapped = try VerificationPair.party("bob", "B", master: VerificationPair.key("mallory"))
        var pair = VerificationPair(
            try VerificationPair.party("alice", "A"), try VerificationPair.party("bob", "B"), aliceSeesBob: swapped)
        pair.on("bob", .accept)
        pair.on("alice", .startSAS)
        pair.on("alice", .matches(true))
        pair.on("bob", .matches(true))
        #expect(pair.verified("alice")?.master == nil, "what is not what bob vouched for is not verified")
    }

    @Test func `nothing happens after the end`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .cancel)
        #expect(pair.bob.on(.accept, at: VerificationPair.now).isEmpty)
        #expect(pair.bob.on(.message("start", [:]), at: VerificationPair.now).isEmpty)
    }
}

@Suite("Verification by QR code") struct QRVerificationTests {
    private func run(_ pair: inout VerificationPair, shower: String, scanner: String) throws {
        pair.on("bob", .accept)
        pair.on(shower, .showQR)
        pair.on(scanner, .scanned(try #require(pair.qr(shower))))
        #expect(pair.shown[shower]?.contains(.confirmScan) ?? false)
        pair.on(shower, .matches(true))
    }

    @Test func `mode 0: one scan verifies two users`() throws {
        var pair = try VerificationPair.users(isInRoom: true)
        try run(&pair, shower: "alice", scanner: "bob")
        #expect(pair.verified("bob") == VerifiedKeys(ed25519: nil, master: VerificationPair.key("alice")))
        #expect(pair.verified("alice") == VerifiedKeys(ed25519: nil, master: VerificationPair.key("bob")))
        #expect(pair.isDone("alice") && pair.isDone("bob"))
    }

    @Test(arguments: ["alice", "bob"])
    func `modes 1 and 2: the new device trusts the identity, the old one the device`(_ shower: String) throws {
        // Alice's new device asks her old one.
        var pair = VerificationPair(
            try VerificationPair.party("alice", "NEW", trustsMaster: false), try VerificationPair.party("alice", "OLD"))
        try run(&pair, shower: shower, scanner: shower == "alice" ? "bob" : "alice")
        #expect(pair.qr(shower)?[7] == (shower == "alice" ? 2 : 1))
        #expect(pair.verified("alice")?.master == VerificationPair.key("alice"))
        #expect(pair.verified("bob")?.ed25519 == VerificationPair.key("alice NEW"))
        #expect(pair.verified("bob")?.master == nil)
    }

    @Test func `a code for other keys is refused`() throws {
        let swapped = try VerificationPair.party("bob", "B", master: VerificationPair.key("mallory"))
        var pair = VerificationPair(
            try VerificationPair.party("alice", "A"), try VerificationPair.party("bob", "B"), aliceSeesBob: swapped)
        pair.on("bob", .accept)
        pair.on("alice", .showQR)
        pair.on("bob", .scanned(try #require(pair.qr("alice"))))
        #expect(pair.cancelled("bob") == VerificationCancellation(code: "m.key_mismatch", byUs: true))
        #expect(pair.verified("bob") == nil)
    }

    @Test func `a code of another verification, or altered in any byte, is refused`() throws {
        var first = try VerificationPair.users()
        first.on("bob", .accept)
        first.on("alice", .showQR)
        let bytes = try #require(first.qr("alice"))
        for position in bytes.indices.dropLast(16) {
            var pair = try VerificationPair.users()
            pair.on("bob", .accept)
            var altered = bytes
            altered[position] ^= 1
            pair.on("bob", .scanned(altered))
            #expect(pair.verified("bob") == nil, "byte \(position)")
        }
        for length in bytes.indices.dropLast(8) {
            #expect((try? QRPayload(Array(bytes[..<length]))) == nil || length >= bytes.count - 8)
        }
    }

    @Test func `a secret that was not in the code is an attack`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .showQR)
        pair.on("alice", .message("start", ["method": "m.reciprocate.v1", "secret": "AAAAAAAAAAAAAAAAAAAAAA"]))
        #expect(pair.cancelled("alice")?.code == "m.key_mismatch")
        #expect(pair.verified("alice") == nil)
    }

    @Test func `who does not see success on the other side verifies nothing`() throws {
        var pair = try VerificationPair.users()
        pair.on("bob", .accept)
        pair.on("alice", .showQR)
        pair.on("bob", .scanned(try #require(pair.qr("alice"))))
        pair.on("alice", .matches(false))
        #expect(pair.verified("alice") == nil)
        #expect(pair.cancelled("bob")?.code == "m.key_mismatch")
    }

    @Test func `the specification's example`() throws {
        let bytes =
            Array("MATRIX".utf8) + [2, 0, 0, 5] + Array("$ABCD".utf8) + [UInt8](0..<32) + [UInt8](16..<48)
            + [UInt8](0x20..<0x28)
        let payload = try QRPayload(bytes)
        #expect(payload.transaction == "$ABCD" && payload.mode == .otherUser)
        #expect(payload.first == [UInt8](0..<32) && payload.second == [UInt8](16..<48))
        #expect(payload.secret == [UInt8](0x20..<0x28))
        #expect(payload.bytes == bytes)
    }
}
