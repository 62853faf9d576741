import Cryptography
import Testing

@testable import Ratchet

/// Each limit at its last good value and the first bad one; each check with nothing else to refuse what it refuses.
@Suite("boundaries") struct BoundaryTests {
    private let key = [UInt8](repeating: 5, count: 32)

    /// An Olm message of `count` bytes, its code made up.
    private func normal(_ count: Int) -> [UInt8] {
        var writer = ProtobufWriter(version: 3, capacity: count)
        writer.write(Curve25519.PrivateKey.generate(random).publicKey.bytes, tag: 0x0a)
        writer.write(0, tag: 0x10)
        // The ciphertext's tag, its length in three bytes, the code.
        writer.write([UInt8](repeating: 0, count: count - writer.bytes.count - 4 - 8), tag: 0x22)
        return writer.bytes + [UInt8](repeating: 0, count: 8)
    }

    @Test func `messages have at most 1 MiB`() throws {
        let tooLong = RatchetError.malformed(rule: "messages have at most 1 MiB")
        let most = 1 << 20
        #expect(normal(most).count == most)
        _ = try NormalMessage(parsing: normal(most)[...])
        #expect(throws: tooLong) { try NormalMessage(parsing: normal(most + 1)[...]) }
        let zeros = [UInt8](repeating: 0, count: most)
        #expect(throws: tooLong) { try MegolmMessage([3] + zeros) }
        #expect(throws: RatchetError.malformed(rule: "field numbers are positive")) {
            try MegolmMessage([3] + zeros.dropLast())
        }
        #expect(throws: tooLong) { try PreKeyMessage([3] + zeros) }
        #expect(throws: RatchetError.malformed(rule: "field numbers are positive")) {
            try PreKeyMessage([3] + zeros.dropLast())
        }
        #expect(throws: RatchetError.unsupportedVersion(4)) { try PreKeyMessage([4] + zeros.prefix(9)) }
    }

    @Test func `a message of nothing but version and code has no payload`() {
        let empty = RatchetError.malformed(rule: "a message has a payload")
        for (version, size) in [(3, 8), (4, 32)] as [(UInt8, Int)] {
            let code = [UInt8](repeating: 1, count: size)
            #expect(throws: empty) { try NormalMessage(parsing: ([version] + code)[...]) }
            #expect(throws: RatchetError.malformed(rule: "fields end within the message")) {
                try NormalMessage(parsing: ([version, 0x0a] + code)[...])
            }
            let signed = code + [UInt8](repeating: 1, count: 64)
            #expect(throws: empty) { try MegolmMessage([version] + signed) }
            #expect(throws: RatchetError.malformed(rule: "fields end within the message")) {
                try MegolmMessage([version, 0x08 | 0x02] + signed)
            }
        }
    }

    @Test func `a Megolm message that its session signed still needs a right code`() throws {
        let signing = Ed25519.SigningKey.generate(random)
        let ratchet = MegolmRatchet(random: random)
        var session = InboundGroupSession(ratchet: ratchet, signingKey: signing.publicKey, isSigned: true)
        let keys = MegolmRatchet(random: random).cipherKeys
        for form in [MACForm.truncated, .full] {
            let message = try MegolmMessage.sealed([1], with: keys, index: 0, signingKey: signing, form: form)
            #expect(throws: RatchetError.wrongMAC) { try session.decrypt(message) }
        }
    }

    @Test func `a chain ends with its last 32-bit index`() throws {
        var chain = ChainKey(SecretBytes(key, placement: .pooled), index: UInt64(UInt32.max) - 1)
        try chain.advance()
        #expect(chain.index == UInt64(UInt32.max))
        #expect(throws: RatchetError.exhausted) { try chain.advance() }
    }

    @Test func `sessions are equal only if all of them is`() throws {
        var (pair, other) = (try OlmPair.acquainted(), try OlmPair.acquainted())
        _ = try (pair.alice.encrypt([], random: random), other.alice.encrypt([], random: random))
        let keys = pair.alice.keys
        func session(_ turn: OlmSession.Turn) -> OlmSession {
            OlmSession(keys: keys, turn: turn, receiving: [], form: .truncated)
        }
        guard case .ours(let root, let key, let chain) = pair.alice.turn,
            case .ours(let otherRoot, let otherKey, let otherChain) = other.alice.turn
        else { throw RatchetError.wrongSession }
        let ours = session(.ours(root, key, chain))
        #expect(ours == session(.ours(root, key, chain)))
        for turn in [.ours(otherRoot, key, chain), .ours(root, otherKey, chain), .ours(root, key, otherChain)]
            as [OlmSession.Turn]
        { #expect(ours != session(turn)) }
        let theirs = session(.theirs(root, key.publicKey))
        #expect(theirs == session(.theirs(root, key.publicKey)))
        #expect(theirs != session(.theirs(otherRoot, key.publicKey)))
        #expect(theirs != session(.theirs(root, otherKey.publicKey)))
        #expect(theirs != ours)
    }

    @Test func `a pre-key message of another session is refused for that, whoever's turn it is`() throws {
        var (pair, other) = (try OlmPair.acquainted(), try OlmPair())
        let message = try other.alice.encrypt([1], random: random)
        #expect(throws: RatchetError.wrongSession) { try pair.alice.decrypt(message) }
        _ = try pair.alice.encrypt([], random: random)
        #expect(throws: RatchetError.wrongSession) { try pair.alice.decrypt(message) }
        // Nor is a message of this session read under the keys that began another.
        let answer = try pair.bob.encrypt([2], random: random)
        let renamed = PreKeyMessage.encoded(other.alice.keys, message: answer.bytes)
        #expect(throws: RatchetError.wrongSession) {
            try pair.alice.decrypt(OlmMessage(type: .preKey, bytes: renamed))
        }
        #expect(try pair.alice.decrypt(answer) == [2])
    }

    @Test func `a session of short codes reads a whole one`() throws {
        var pair = try OlmPair.acquainted()
        _ = try pair.bob.decrypt(pair.alice.encrypt([], random: random))
        guard case .ours(_, let ratchetKey, let chain) = pair.alice.turn else { throw RatchetError.wrongSession }
        let bytes = try NormalMessage.sealed(
            [1, 2], with: CipherKeys(messageKey: chain.messageKey), ratchetKey: ratchetKey.publicKey,
            index: chain.index,
            form: .full)
        #expect(try pair.bob.decrypt(OlmMessage(type: .normal, bytes: bytes)) == [1, 2])
    }

    @Test func `halves of group sessions compare by key, ratchet and first index`() throws {
        let outbound = OutboundGroupSession(random: random)
        let inbound = outbound.inbound
        var later = inbound
        later.forget(before: 7)
        #expect(inbound.relation(to: inbound) == .equal)
        #expect(inbound.relation(to: later) == .better)
        #expect(later.relation(to: inbound) == .worse)
        #expect(later.relation(to: later) == .equal)
        let foreignKey = InboundGroupSession(
            ratchet: inbound.first, signingKey: Ed25519.SigningKey.generate(random).publicKey, isSigned: true)
        #expect(inbound.relation(to: foreignKey) == .unconnected)
        let foreignRatchet = InboundGroupSession(
            ratchet: MegolmRatchet(random: random), signingKey: inbound.signingKey, isSigned: true)
        #expect(inbound.relation(to: foreignRatchet) == .unconnected)
    }

    @Test func `what is forgotten stays so, and nothing else is`() throws {
        var outbound = OutboundGroupSession(random: random)
        var inbound = outbound.inbound
        let messages = try (0..<8).map { try outbound.encrypt([UInt8($0)]) }
        _ = try inbound.decrypt(messages[5])
        #expect(inbound.latest.index == 5)
        inbound.forget(before: 3)
        #expect((inbound.firstKnownIndex, inbound.latest.index) == (3, 5))
        let kept = inbound
        for index in [0, 2, 3] as [UInt32] {
            inbound.forget(before: index)
            #expect(inbound == kept)
        }
        #expect(throws: RatchetError.indexTooOld(first: 3)) { try inbound.decrypt(messages[2]) }
        #expect(try inbound.decrypt(messages[3]).plaintext == [3])
        // An older message leaves the newest place where it was.
        #expect(inbound.latest.index == 5)
        inbound.forget(before: 6)
        #expect((inbound.firstKnownIndex, inbound.latest.index) == (6, 6))
        #expect(try inbound.decrypt(messages[7]).plaintext == [7])
    }

    @Test func `a Megolm ratchet has 128 bytes`() {
        for count in [0, 127, 129] {
            #expect(throws: RatchetError.malformed(rule: "a Megolm ratchet has 128 bytes")) {
                try MegolmRatchet(bytes: [UInt8](repeating: 1, count: count), index: 0)
            }
        }
    }

    @Test func `field numbers and integers of Protocol Buffers keep their bounds`() throws {
        func first(_ bytes: [UInt8]) throws -> UInt64? {
            var reader = ProtobufReader(bytes[...])
            return try reader.next()?.field
        }
        let outside = RatchetError.malformed(rule: "field numbers are positive")
        #expect(throws: outside) { try first([0x00, 1]) }
        #expect(throws: outside) { try first([0x02, 0]) }
        // 2²⁹ − 1 is the last: its tag has 32 bits.
        #expect(try first([0xf8, 0xff, 0xff, 0xff, 0x0f, 1]) == (1 << 29) - 1)
        #expect(throws: outside) { try first([0x80, 0x80, 0x80, 0x80, 0x10, 1]) }
        #expect(try first([0x0a, 0]) == 1)
        let most: [UInt8] = [255, 255, 255, 255, 255, 255, 255, 255, 255]
        var reader = ProtobufReader(([0x08] + most + [1])[...])
        guard case .integer(.max)? = try reader.next()?.value else { throw RatchetError.exhausted }
        for last in [2, 0x80] as [UInt8] {
            #expect(throws: RatchetError.malformed(rule: "integers have at most 64 bits")) {
                try first([0x08] + most + [last, 0])
            }
        }
        for (value, bytes) in [(127, [0x7f]), (128, [0x80, 1]), (0, [0])] as [(UInt64, [UInt8])] {
            var writer = ProtobufWriter(version: 9, capacity: 4)
            writer.write(value, tag: 0x08)
            #expect(writer.bytes == [9, 0x08] + bytes)
        }
    }

    @Test func `recovery and storage keys have 32 bytes`() throws {
        #expect(throws: RatchetError.refusedKey) { try RecoveryKey.encode([UInt8](repeating: 1, count: 31)) }
        #expect(throws: RatchetError.refusedKey) { try SecretStorageKey([UInt8](repeating: 1, count: 33)) }
        #expect(throws: RatchetError.outOfRange(rule: "1 to 10,000,000 PBKDF2 iterations")) {
            try SecretStorageKey(passphrase: "a", salt: "b", iterations: 0)
        }
        let storage = try SecretStorageKey(key)
        #expect(!storage.matches(iv: [1], mac: [UInt8](repeating: 0, count: 32)))
        let text = try RecoveryKey.encode(key)
        // U+0131 ends in the byte of "1", and U+0141 in that of "A".
        for letter in ["\u{131}", "\u{141}"] {
            #expect(throws: RatchetError.malformed(rule: "a recovery key is base58")) {
                try RecoveryKey.decode(letter + text.dropFirst())
            }
        }
        #expect(throws: RatchetError.malformed(rule: "a recovery key has 35 bytes")) {
            try RecoveryKey.decode(String(text.dropLast(2)))
        }
        // The same key after 8B 02 and after 8C 01, the parity byte right.
        for other in [
            "EsULWwc8kmYE83wuV6No7UNvJwRL3bGSjewEMNtFdzear2i4", "EyEgjA4f57yP32aeNWntLTCTRvE78MAEDKRAA2LJm2vavWSQ",
        ] {
            #expect(throws: RatchetError.malformed(rule: "a recovery key starts with 8B 01")) {
                try RecoveryKey.decode(other)
            }
        }
        #expect(throws: RatchetError.malformed(rule: "a recovery key has 48 characters")) {
            try RecoveryKey.decode(String(repeating: "z", count: 65))
        }
        #expect(throws: RatchetError.malformed(rule: "a recovery key has 35 bytes")) {
            try RecoveryKey.decode(String(repeating: "1", count: 64))
        }
    }

    @Test func `key files of another version or without a code are refused for that`() throws {
        func file(_ bytes: [UInt8]) -> String {
            "-----BEGIN MEGOLM SESSION DATA-----\n\(Base64.encode(bytes))\n-----END MEGOLM SESSION DATA-----\n"
        }
        let rest = [UInt8](repeating: 0, count: 35) + [1] + [UInt8](repeating: 0, count: 32)
        #expect(throws: RatchetError.unsupportedVersion(2)) { try KeyExport.open(file([2] + rest), passphrase: "a") }
        #expect(throws: RatchetError.malformed(rule: "a key file has a header and a code")) {
            try KeyExport.open(file([1] + rest.dropLast()), passphrase: "a")
        }
        #expect(throws: RatchetError.cannotOpen) { try KeyExport.open(file([1] + rest), passphrase: "a") }
        let empty = try KeyExport.seal([], passphrase: "a", rounds: 1, random: random)
        #expect(try KeyExport.open(empty, passphrase: "a") == [])
        let spaced = empty.replacing("\n", with: " \t\n ").replacing(" -----", with: "-----")
        #expect(try KeyExport.open(spaced, passphrase: "a") == [])
    }

    @Test func `a code that is no base64 is not right`() throws {
        let sas = EstablishedSAS(sharedSecret: SecretBytes(key, placement: .pooled))
        #expect(!sas.verify("é", of: "", info: ""))
        #expect(!sas.verify("A", of: "", info: ""))
        #expect(sas.verify(sas.mac(of: "a", info: "b"), of: "a", info: "b"))
    }
}
