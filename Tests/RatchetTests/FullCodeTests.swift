import Cryptography
import MatrixModel
import Testing

@testable import Ratchet

/// Message version 4, whose codes are whole: vodozemac's second session configuration.
@Suite("full codes") struct FullCodeTests {
    @Test func `the messages of the second ratchet are read`() throws {
        let vector = try Vectors.read("olm/full-codes.json")
        var account = try account(of: vector)
        let bodies = try vector.elements("messages").compactMap { $0.string.flatMap { Base64.decode($0) } }
        #expect(bodies.count == 3)
        let sender = try Curve25519.PublicKey(vector.base64("sender"))
        var (session, plaintext) = try account.inboundSession(
            identityKey: sender, preKeyMessage: PreKeyMessage(bodies[0]))
        #expect(plaintext == Array("full 0".utf8))
        #expect(session.id == (try vector.text("session_id")))
        // Ours answer in kind.
        #expect(session.form == .full)
        #expect(try session.encrypt([1], random: random).bytes.first == 4)
        for number in [2, 1] {
            #expect(
                try session.decrypt(OlmMessage(type: .preKey, bytes: bodies[number])) == Array("full \(number)".utf8))
        }
        let group = try #require(vector["group"])
        var inbound = try InboundGroupSession(sessionKey: group.base64("session_key"))
        for (number, message) in try group.elements("messages").enumerated() {
            let bytes = try #require(message.string.flatMap { Base64.decode($0) })
            #expect(bytes.first == 4)
            #expect(try inbound.decrypt(bytes).plaintext == Array("full \(number)".utf8))
        }
    }

    private func account(of vector: JSONValue) throws -> OlmAccount {
        let oneTime = OlmAccount.OneTimeKey(
            number: 1, secret: try Curve25519.PrivateKey(vector.base64("one_time_secret")))
        return OlmAccount(
            signingKey: .generate(random), identitySecret: try Curve25519.PrivateKey(vector.base64("identity_secret")),
            nextNumber: 2, oneTimeKeys: [oneTime], publishedBelow: 2, fallback: nil, previousFallback: nil)
    }

    /// Two sessions of a form, Alice's begun.
    private func pair(_ form: MACForm) throws -> (alice: OlmSession, bob: OlmSession) {
        let alice = OlmAccount(random: random)
        var bob = OlmAccount(random: random)
        bob.generateOneTimeKeys(1, random: random)
        var first = try alice.outboundSession(
            identityKey: bob.curve25519Key, oneTimeKey: bob.unpublishedOneTimeKeys[0].publicKey, form: form,
            random: random)
        let (second, _) = try bob.inboundSession(
            identityKey: alice.curve25519Key, preKeyMessage: PreKeyMessage(first.encrypt([], random: random).bytes))
        return (first, second)
    }

    @Test func `each session keeps the form it began with`() throws {
        for form in [MACForm.truncated, .full] {
            var (alice, bob) = try pair(form)
            for round in 0..<4 {
                let message = try bob.encrypt([UInt8(round)], random: random)
                #expect(message.bytes.first == form.rawValue)
                #expect(try alice.decrypt(message) == [UInt8(round)])
                swap(&alice, &bob)
            }
            let key = random.bytes(32)
            #expect(try OlmSession(pickle: alice.pickle(key: key, random: random), key: key) == alice)
            #expect(try OlmSession(pickle: alice.pickle(key: key, random: random), key: key).form == form)
            let group = OutboundGroupSession(random: random, form: form)
            #expect(try OutboundGroupSession(pickle: group.pickle(key: key, random: random), key: key).form == form)
        }
    }

    @Test func `a code is not cut down to eight bytes, nor a short one taken for whole`() throws {
        var (alice, bob) = try pair(.full)
        _ = try alice.decrypt(bob.encrypt([], random: random))
        let message = try alice.encrypt([1, 2, 3], random: random)
        // The same message under the shorter code: its keys are right, but the session is of the longer kind.
        let parsed = try NormalMessage(parsing: message.bytes[...])
        var writer = ProtobufWriter(version: 3, capacity: 100)
        writer.write(parsed.ratchetKey.bytes, tag: 0x0a)
        writer.write(parsed.index, tag: 0x10)
        writer.write(Array(parsed.ciphertext), tag: 0x22)
        for mac in [parsed.mac.prefix(8), parsed.mac] {
            let bytes = writer.bytes + mac
            #expect(throws: RatchetError.self) { try bob.decrypt(OlmMessage(type: .normal, bytes: bytes)) }
        }
        for index in message.bytes.indices {
            var altered = message.bytes
            altered[index] ^= 0x10
            #expect(throws: RatchetError.self) { try bob.decrypt(OlmMessage(type: .normal, bytes: altered)) }
        }
        #expect(try bob.decrypt(message) == [1, 2, 3])
        // And the other way round a short code is refused by itself.
        #expect(throws: RatchetError.unsupportedVersion(3)) {
            var other = try pair(.truncated).alice
            _ = try bob.decrypt(
                NormalMessage(parsing: PreKeyMessage(other.encrypt([1], random: random).bytes).message))
        }
    }

    @Test func `pickles from before there were forms are still read`() throws {
        let key = random.bytes(32)
        var (alice, bob) = try pair(.truncated)
        // Version 1 of a session is version 2 less the last byte.
        let pickle = try alice.pickle(key: key, random: random)
        let body = try XChaCha20Poly1305.open(
            Array(pickle[2...]), key: key, additionalData: Array(pickle[..<2]))
        let header: [UInt8] = [1, 2]
        let old =
            header
            + (try XChaCha20Poly1305.seal(
                Array(body.dropLast()), key: key, additionalData: header, random: random))
        alice = try OlmSession(pickle: old, key: key)
        #expect(try alice.decrypt(bob.encrypt([1], random: random)) == [1])
        #expect(throws: RatchetError.unsupportedVersion(3)) {
            try OlmSession(pickle: [3] + pickle.dropFirst(), key: key)
        }
        #expect(throws: RatchetError.unsupportedVersion(0)) {
            try OlmSession(pickle: [0] + pickle.dropFirst(), key: key)
        }
    }

    @Test func `a base key with the bit that X25519 ignores begins nothing`() throws {
        let alice = OlmAccount(random: random)
        let bob = OlmAccount(random: random)
        var session = try alice.outboundSession(
            identityKey: bob.curve25519Key, oneTimeKey: bob.curve25519Key, random: random)
        var bytes = try session.encrypt([1], random: random).bytes
        // Version, one-time key with its tag and length, tag and length of the base key, its last byte.
        bytes[1 + 34 + 2 + 31] |= 0x80
        #expect(throws: RatchetError.refusedKey) { try PreKeyMessage(bytes) }
    }
}
