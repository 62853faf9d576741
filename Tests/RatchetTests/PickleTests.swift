import Cryptography
import Ratchet
import Testing

@Suite("pickles") struct PickleTests {
    let key = random.bytes(32)

    @Test func `a session comes back with its skipped keys, whoever's turn it is`() throws {
        var pair = try OlmPair.acquainted()
        let messages = try (0..<5).map { try pair.alice.encrypt([UInt8($0)], random: random) }
        #expect(try pair.bob.decrypt(messages[4]) == [4])
        for session in [pair.alice, pair.bob] {
            #expect(try OlmSession(pickle: session.pickle(key: key, random: random), key: key) == session)
        }
        var bob = try OlmSession(pickle: pair.bob.pickle(key: key, random: random), key: key)
        for index in 0..<4 { #expect(try bob.decrypt(messages[index]) == [UInt8(index)]) }
        #expect(try pair.alice.decrypt(bob.encrypt([9], random: random)) == [9])
    }

    @Test func `an account comes back with all its keys`() throws {
        var account = OlmAccount(random: random)
        account.generateOneTimeKeys(2, random: random)
        account.markPublished()
        account.generateOneTimeKeys(1, random: random)
        account.generateFallbackKey(random: random)
        account.generateFallbackKey(random: random)
        let copy = try OlmAccount(pickle: account.pickle(key: key, random: random), key: key)
        #expect(copy.ed25519Key == account.ed25519Key)
        #expect(copy.curve25519Key == account.curve25519Key)
        #expect(copy.unpublishedOneTimeKeys.map(\.publicKey) == account.unpublishedOneTimeKeys.map(\.publicKey))
        #expect(copy.unpublishedFallbackKey?.id == account.unpublishedFallbackKey?.id)
        #expect((copy.oneTimeKeyCount, copy.uploadMark) == (3, account.uploadMark))
    }

    @Test func `group sessions come back at their index`() throws {
        var outbound = OutboundGroupSession(random: random)
        var inbound = outbound.inbound
        for _ in 0..<5 { _ = try inbound.decrypt(outbound.encrypt([])) }
        var copy = try OutboundGroupSession(pickle: outbound.pickle(key: key, random: random), key: key)
        #expect(copy.messageIndex == 5)
        var inboundCopy = try InboundGroupSession(pickle: inbound.pickle(key: key, random: random), key: key)
        #expect(inboundCopy == inbound)
        #expect(try inboundCopy.decrypt(copy.encrypt([1])).index == 5)
    }

    @Test func `another key, another kind and any altered byte are refused`() throws {
        let session = OutboundGroupSession(random: random)
        let pickle = try session.pickle(key: key, random: random)
        #expect(throws: RatchetError.cannotOpen) { try OutboundGroupSession(pickle: pickle, key: random.bytes(32)) }
        #expect(throws: RatchetError.refusedKey) { try OutboundGroupSession(pickle: pickle, key: [1]) }
        #expect(throws: RatchetError.refusedKey) { try session.pickle(key: [], random: random) }
        #expect(throws: RatchetError.self) { try InboundGroupSession(pickle: pickle, key: key) }
        for index in pickle.indices {
            var altered = pickle
            altered[index] ^= 1
            #expect(throws: RatchetError.self) { try OutboundGroupSession(pickle: altered, key: key) }
            #expect(throws: RatchetError.self) {
                try OutboundGroupSession(pickle: Array(pickle.prefix(index)), key: key)
            }
        }
        var relabeled = pickle
        relabeled[1] = 4
        #expect(throws: RatchetError.cannotOpen) { try InboundGroupSession(pickle: relabeled, key: key) }
    }
}
