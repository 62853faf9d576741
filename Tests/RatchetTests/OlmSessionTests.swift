import Cryptography
import Ratchet
import Testing

@Suite("Olm sessions") struct OlmSessionTests {
    @Test func `both sides name the session alike, and pre-key messages end with the first answer`() throws {
        var pair = try OlmPair()
        #expect(pair.alice.id == pair.bob.id)
        #expect(pair.firstMessage.type == .preKey)
        #expect(pair.bob.matches(try PreKeyMessage(pair.firstMessage.bytes)))
        #expect(try pair.alice.encrypt([9], random: random).type == .preKey)

        let answer = try pair.bob.encrypt([4, 5], random: random)
        #expect(answer.type == .normal)
        #expect(try pair.alice.decrypt(answer) == [4, 5])

        let next = try pair.alice.encrypt([6], random: random)
        #expect(next.type == .normal)
        #expect(try pair.bob.decrypt(next) == [6])
    }

    @Test(arguments: 0..<8)
    func `whatever is lost or reordered within the limits, the rest is read`(seed: UInt64) throws {
        var dice = Dice(state: seed)
        var pair = try OlmPair.acquainted()
        for round in 0..<20 {
            var sent: [(plaintext: [UInt8], message: OlmMessage)] = []
            for number in 0..<Int.random(in: 1...30, using: &dice) {
                let plaintext = [UInt8](repeating: UInt8(number), count: round * 7)
                sent.append((plaintext, try pair.alice.encrypt(plaintext, random: random)))
            }
            sent = sent.filter { _ in Int.random(in: 0..<10, using: &dice) < 8 }.shuffled(using: &dice)
            for (plaintext, message) in sent { #expect(try pair.bob.decrypt(message) == plaintext) }
            if Bool.random(using: &dice) { swap(&pair.alice, &pair.bob) }
        }
    }

    @Test func `messages of older chains are read late, up to five chains back`() throws {
        var pair = try OlmPair.acquainted()
        var late: [OlmMessage] = []
        for _ in 0..<6 {
            late.append(try pair.alice.encrypt([7], random: random))
            _ = try pair.bob.decrypt(pair.alice.encrypt([8], random: random))
            _ = try pair.alice.decrypt(pair.bob.encrypt([9], random: random))
        }
        #expect(throws: RatchetError.self) { try pair.bob.decrypt(late[0]) }
        for message in late.dropFirst() { #expect(try pair.bob.decrypt(message) == [7]) }
    }

    @Test func `a repeated message is refused, also one that was read late`() throws {
        var pair = try OlmPair.acquainted()
        let messages = try (0..<4).map { try pair.alice.encrypt([UInt8($0)], random: random) }
        for message in messages.reversed() { _ = try pair.bob.decrypt(message) }
        for message in messages {
            #expect(throws: RatchetError.messageKeyGone) { try pair.bob.decrypt(message) }
        }
    }

    @Test func `no altered byte and no cut is read, and the true message still is`() throws {
        var pair = try OlmPair.acquainted()
        for round in 0..<2 {
            let message = try pair.alice.encrypt([UInt8](repeating: 3, count: 20), random: random)
            let before = pair.bob
            for index in message.bytes.indices {
                var altered = message.bytes
                altered[index] ^= 1 << UInt8(index % 8)
                #expect(throws: RatchetError.self) { try pair.bob.decrypt(OlmMessage(type: .normal, bytes: altered)) }
                let cut = Array(message.bytes.prefix(index))
                #expect(throws: RatchetError.self) { try pair.bob.decrypt(OlmMessage(type: .normal, bytes: cut)) }
            }
            #expect(pair.bob == before)
            #expect(try pair.bob.decrypt(message) == [UInt8](repeating: 3, count: 20))
            // Once as the first of a new chain, once in a known one.
            if round == 0 { _ = try pair.bob.decrypt(pair.alice.encrypt([], random: random)) }
        }
    }

    @Test func `random bytes are refused and change nothing`() throws {
        var pair = try OlmPair.acquainted()
        let before = pair.bob
        for count in 0..<300 {
            for type in [OlmMessage.Kind.preKey, .normal] {
                for first in [[], [3] as [UInt8]] {
                    let bytes = first + random.bytes(count)
                    #expect(throws: RatchetError.self) { try pair.bob.decrypt(OlmMessage(type: type, bytes: bytes)) }
                }
            }
        }
        #expect(pair.bob == before)
    }

    @Test func `a gap of 2,000 is read, one more is refused`() throws {
        var pair = try OlmPair.acquainted()
        for _ in 0..<2000 { _ = try pair.alice.encrypt([], random: random) }
        var reader = pair.bob
        #expect(try reader.decrypt(pair.alice.encrypt([1], random: random)) == [1])
        #expect(throws: RatchetError.tooManyMissing(2001)) {
            try pair.bob.decrypt(pair.alice.encrypt([2], random: random))
        }
    }

    @Test func `the newest forty skipped messages can still be read`() throws {
        var pair = try OlmPair.acquainted()
        let messages = try (0..<50).map { try pair.alice.encrypt([UInt8($0)], random: random) }
        #expect(try pair.bob.decrypt(messages[49]) == [49])
        #expect(throws: RatchetError.messageKeyGone) { try pair.bob.decrypt(messages[8]) }
        for index in 9..<49 { #expect(try pair.bob.decrypt(messages[index]) == [UInt8(index)]) }
    }

    @Test func `a message of another session is refused`() throws {
        var (pair, other) = (try OlmPair(), try OlmPair())
        let message = try other.alice.encrypt([1], random: random)
        #expect(throws: RatchetError.wrongSession) { try pair.bob.decrypt(message) }
        #expect(!pair.bob.matches(try PreKeyMessage(message.bytes)))
    }

    @Test func `keys of low order begin no session`() throws {
        let account = OlmAccount(random: random)
        let zero = try Curve25519.PublicKey([UInt8](repeating: 0, count: 32))
        for (identityKey, oneTimeKey) in [(zero, account.curve25519Key), (account.curve25519Key, zero)] {
            #expect(throws: RatchetError.refusedKey) {
                try account.outboundSession(identityKey: identityKey, oneTimeKey: oneTimeKey, random: random)
            }
        }
    }
}
