import Cryptography
import PostQuantum
import Ratchet
import Testing

let random = SystemRandomSource()

@Suite("hybrid sessions") struct HybridSessionTests {
    /// Two devices; Bob has published what Alice needs.
    struct Pair {
        var aliceAccount = OlmAccount(random: random)
        var bobAccount = OlmAccount(random: random)
        var bobKeys = EncapsulationKeys()
        var alice: HybridSession

        init(fallback: Bool = false) throws {
            bobAccount.generateOneTimeKeys(1, random: random)
            if fallback {
                try bobKeys.generateFallbackKey(random: random)
            } else {
                try bobKeys.generateOneTimeKeys(1, random: random)
            }
            let key = try #require(bobKeys.unpublishedOneTimeKeys.first ?? bobKeys.unpublishedFallbackKey)
            alice = try HybridSession(
                account: aliceAccount, identityKey: bobAccount.curve25519Key,
                oneTimeKey: bobAccount.unpublishedOneTimeKeys[0].publicKey, encapsulationKey: key.publicKey,
                random: random)
        }

        mutating func bobReads(_ message: OlmMessage) throws -> (HybridSession, [UInt8]) {
            let (session, plaintext) = try bobKeys.inboundSession(
                of: &bobAccount, identityKey: aliceAccount.curve25519Key,
                preKeyMessage: HybridPreKeyMessage(message.bytes))
            return (session, plaintext)
        }
    }

    @Test func `both sides agree, and the agreement travels until the first answer`() throws {
        var pair = try Pair()
        let first = try pair.alice.encrypt([1], random: random)
        let second = try pair.alice.encrypt([2], random: random)
        #expect(first.type == .preKey && second.type == .preKey)
        #expect(first.bytes.count > 1088)
        var (bob, plaintext) = try pair.bobReads(first)
        #expect(plaintext == [1])
        #expect(bob.id == pair.alice.id)
        #expect(bob.matches(try HybridPreKeyMessage(second.bytes)))
        #expect(try bob.decrypt(second) == [2])
        #expect(try pair.alice.decrypt(bob.encrypt([3], random: random)) == [3])
        let third = try pair.alice.encrypt([4], random: random)
        #expect(third.type == .normal)
        // Full codes, whatever the specification's Olm does.
        #expect(third.bytes.first == 4)
        #expect(try bob.decrypt(third) == [4])
        #expect(pair.bobKeys.oneTimeKeyCount == 0)
        #expect(pair.bobAccount.oneTimeKeyCount == 0)
    }

    @Test func `an altered agreement, message or sender is refused and uses up no key`() throws {
        var pair = try Pair()
        let message = try pair.alice.encrypt([1], random: random)
        for index in stride(from: 0, to: message.bytes.count, by: 7) {
            var altered = message.bytes
            altered[index] ^= 4
            #expect(throws: RatchetError.self) {
                _ = try pair.bobReads(OlmMessage(type: .preKey, bytes: altered))
            }
            #expect(throws: RatchetError.self) {
                _ = try pair.bobReads(OlmMessage(type: .preKey, bytes: Array(message.bytes.prefix(index))))
            }
        }
        #expect(throws: RatchetError.wrongSession) {
            _ = try pair.bobKeys.inboundSession(
                of: &pair.bobAccount, identityKey: pair.bobAccount.curve25519Key,
                preKeyMessage: HybridPreKeyMessage(message.bytes))
        }
        #expect(pair.bobKeys.oneTimeKeyCount == 1)
        #expect(pair.bobAccount.oneTimeKeyCount == 1)
        #expect(try pair.bobReads(message).1 == [1])
        #expect(throws: RatchetError.unknownOneTimeKey) { _ = try pair.bobReads(message) }
    }

    @Test func `the agreement of another session does not fit a known one`() throws {
        var (pair, other) = (try Pair(), try Pair())
        let (message, foreign) = (
            try pair.alice.encrypt([1], random: random), try other.alice.encrypt([1], random: random)
        )
        var (bob, _) = try pair.bobReads(message)
        #expect(throws: RatchetError.wrongSession) { try bob.decrypt(foreign) }
        // The message of one with the agreement of the other: cut and pasted.
        let length = 1088 + 3 + 32 + 2
        let pasted = Array(message.bytes.dropLast(length) + foreign.bytes.suffix(length))
        #expect(throws: RatchetError.wrongSession) { try bob.decrypt(OlmMessage(type: .preKey, bytes: pasted)) }
    }

    @Test func `a fallback key begins several sessions, and once it was replaced still those`() throws {
        var pair = try Pair(fallback: true)
        let key = try #require(pair.bobKeys.unpublishedFallbackKey)
        let first = try pair.alice.encrypt([1], random: random)
        #expect(try pair.bobReads(first).1 == [1])
        try pair.bobKeys.generateFallbackKey(random: random)
        func message() throws -> OlmMessage {
            pair.bobAccount.generateOneTimeKeys(1, random: random)
            var session = try HybridSession(
                account: pair.aliceAccount, identityKey: pair.bobAccount.curve25519Key,
                oneTimeKey: pair.bobAccount.unpublishedOneTimeKeys[0].publicKey, encapsulationKey: key.publicKey,
                random: random)
            return try session.encrypt([2], random: random)
        }
        #expect(try pair.bobReads(message()).1 == [2])
        let late = try message()
        pair.bobKeys.forgetPreviousFallbackKey()
        #expect(throws: RatchetError.unknownOneTimeKey) { _ = try pair.bobReads(late) }
    }

    @Test func `a key that is none begins nothing`() throws {
        let pair = try Pair()
        let account = OlmAccount(random: random)
        for key in [[], [UInt8](repeating: 1, count: 1183), [UInt8](repeating: 255, count: 1184)] {
            #expect(throws: RatchetError.refusedKey) {
                try HybridSession(
                    account: account, identityKey: pair.bobAccount.curve25519Key,
                    oneTimeKey: pair.bobAccount.curve25519Key, encapsulationKey: key, random: random)
            }
        }
    }

    @Test func `sessions and keys come back from their pickles`() throws {
        let key = random.bytes(32)
        var pair = try Pair()
        let alice = try HybridSession(pickle: pair.alice.pickle(key: key, random: random), key: key)
        #expect(alice == pair.alice)
        pair.alice = alice
        try pair.bobKeys.generateFallbackKey(random: random)
        let mark = pair.bobKeys.uploadMark
        pair.bobKeys.markPublished(upTo: mark)
        pair.bobKeys = try EncapsulationKeys(pickle: pair.bobKeys.pickle(key: key, random: random), key: key)
        #expect(pair.bobKeys.unpublishedOneTimeKeys.isEmpty && pair.bobKeys.unpublishedFallbackKey == nil)
        #expect((pair.bobKeys.oneTimeKeyCount, pair.bobKeys.uploadMark) == (1, mark))
        var (bob, plaintext) = try pair.bobReads(pair.alice.encrypt([5], random: random))
        #expect(plaintext == [5])
        bob = try HybridSession(pickle: bob.pickle(key: key, random: random), key: key)
        #expect(try pair.alice.decrypt(bob.encrypt([6], random: random)) == [6])
        #expect(throws: RatchetError.cannotOpen) {
            try HybridSession(pickle: bob.pickle(key: key, random: random), key: random.bytes(32))
        }
        #expect(throws: RatchetError.self) {
            try EncapsulationKeys(pickle: bob.pickle(key: key, random: random), key: key)
        }
    }

    @Test func `no more than 500 keys are kept`() throws {
        var keys = EncapsulationKeys()
        try keys.generateOneTimeKeys(1, random: random)
        let oldest = keys.unpublishedOneTimeKeys[0].id
        try keys.generateOneTimeKeys(.max, random: random)
        #expect(keys.oneTimeKeyCount == 500)
        #expect(!keys.unpublishedOneTimeKeys.contains { $0.id == oldest })
    }

    @Test func `it is off unless chosen, and used only where both offer it`() {
        let theirs = ["m.olm.v1.curve25519-aes-sha2", HybridAlgorithm.name]
        let plain = ["m.olm.v1.curve25519-aes-sha2"]
        func choice(_ policy: HybridAlgorithm.Policy, _ algorithms: [String], _ hasKey: Bool, _ before: Bool)
            -> HybridAlgorithm.Choice
        {
            HybridAlgorithm.choice(policy, theirAlgorithms: algorithms, hasKey: hasKey, offeredBefore: before)
        }
        #expect(choice(.off, theirs, true, true) == .plain)
        #expect(choice(.offered, theirs, true, false) == .hybrid)
        #expect(choice(.offered, theirs, false, true) == .plain)
        #expect(choice(.offered, plain, true, true) == .plain)
        #expect(choice(.kept, theirs, true, false) == .hybrid)
        // A server that hides the offer, or the keys, is noticed.
        #expect(choice(.kept, plain, true, true) == .refused)
        #expect(choice(.kept, theirs, false, false) == .refused)
        #expect(choice(.kept, plain, false, false) == .plain)
    }
}
