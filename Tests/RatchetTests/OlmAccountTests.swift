import Cryptography
import Ratchet
import Testing

@Suite("Olm accounts") struct OlmAccountTests {
    @Test func `a one-time key begins one session only`() throws {
        var pair = try OlmPair()
        let message = try PreKeyMessage(pair.firstMessage.bytes)
        #expect(pair.bobAccount.oneTimeKeyCount == 0)
        #expect(throws: RatchetError.unknownOneTimeKey) {
            try pair.bobAccount.inboundSession(identityKey: pair.aliceAccount.curve25519Key, preKeyMessage: message)
        }
    }

    @Test func `a message that is not from the claimed device, or is altered, uses up no key`() throws {
        let alice = OlmAccount(random: random)
        var bob = OlmAccount(random: random)
        bob.generateOneTimeKeys(2, random: random)
        let key = bob.unpublishedOneTimeKeys[1].publicKey
        var session = try alice.outboundSession(identityKey: bob.curve25519Key, oneTimeKey: key, random: random)
        let message = try session.encrypt([1], random: random).bytes
        #expect(throws: RatchetError.wrongSession) {
            try bob.inboundSession(identityKey: bob.curve25519Key, preKeyMessage: PreKeyMessage(message))
        }
        var altered = message
        altered[altered.count - 1] ^= 1
        #expect(throws: RatchetError.wrongMAC) {
            try bob.inboundSession(identityKey: alice.curve25519Key, preKeyMessage: PreKeyMessage(altered))
        }
        #expect(bob.oneTimeKeyCount == 2)
        let read = try bob.inboundSession(identityKey: alice.curve25519Key, preKeyMessage: PreKeyMessage(message))
        #expect(read.plaintext == [1])
        #expect(bob.oneTimeKeyCount == 1)
    }

    @Test func `a fallback key works again and again, and the one before it until the next`() throws {
        let alice = OlmAccount(random: random)
        var bob = OlmAccount(random: random)
        bob.generateFallbackKey(random: random)
        let key = try #require(bob.unpublishedFallbackKey).publicKey
        bob.markPublished()
        #expect(bob.unpublishedFallbackKey == nil)
        func begin() throws -> [UInt8] {
            var session = try alice.outboundSession(identityKey: bob.curve25519Key, oneTimeKey: key, random: random)
            return try bob.inboundSession(
                identityKey: alice.curve25519Key,
                preKeyMessage: PreKeyMessage(session.encrypt([5], random: random).bytes)
            ).plaintext
        }
        #expect(try begin() == [5])
        #expect(try begin() == [5])
        bob.generateFallbackKey(random: random)
        #expect(try begin() == [5])
        bob.generateFallbackKey(random: random)
        #expect(throws: RatchetError.unknownOneTimeKey) { try begin() }
    }

    @Test func `a fallback key under another name is the same, and the one before it stays`() throws {
        let alice = OlmAccount(random: random)
        var bob = OlmAccount(random: random)
        bob.renameFallbackKey()
        #expect(bob.unpublishedFallbackKey == nil, "there is none")
        bob.generateFallbackKey(random: random)
        let first = try #require(bob.unpublishedFallbackKey)
        bob.markPublished()
        bob.generateFallbackKey(random: random)
        let second = try #require(bob.unpublishedFallbackKey)
        bob.markPublished()

        bob.renameFallbackKey()

        let renamed = try #require(bob.unpublishedFallbackKey)
        #expect(renamed.publicKey == second.publicKey && renamed.id != second.id)
        for key in [first, renamed] {
            var session = try alice.outboundSession(
                identityKey: bob.curve25519Key, oneTimeKey: key.publicKey, random: random)
            let message = try PreKeyMessage(session.encrypt([5], random: random).bytes)
            #expect(try bob.inboundSession(identityKey: alice.curve25519Key, preKeyMessage: message).plaintext == [5])
        }
    }

    @Test func `keys are unpublished until marked, with ids that never repeat`() throws {
        var account = OlmAccount(random: random)
        account.generateOneTimeKeys(50, random: random)
        let first = Set(account.unpublishedOneTimeKeys.map(\.id))
        let mark = account.uploadMark
        account.generateOneTimeKeys(3, random: random)
        account.markPublished(upTo: mark)
        let second = Set(account.unpublishedOneTimeKeys.map(\.id))
        #expect((first.count, second.count) == (50, 3))
        #expect(first.isDisjoint(with: second))
        account.markPublished()
        #expect(account.unpublishedOneTimeKeys.isEmpty)
        #expect(account.oneTimeKeyCount == 53)
    }

    @Test func `keys are named by numbers in a row from one, whatever they are for`() {
        var account = OlmAccount(random: random)
        account.generateOneTimeKeys(2, random: random)
        account.generateFallbackKey(random: random)
        account.renameFallbackKey()
        account.generateOneTimeKeys(1, random: random)
        // Eight bytes, the highest first, in base64.
        #expect(account.unpublishedOneTimeKeys.map(\.id) == ["AAAAAAAAAAE", "AAAAAAAAAAI", "AAAAAAAAAAU"])
        #expect(account.unpublishedFallbackKey?.id == "AAAAAAAAAAQ")
    }

    @Test func `a server is to hold fifty one-time keys, and none are made where none are asked for`() {
        #expect(OlmAccount.maximumOneTimeKeys == 50)
        var account = OlmAccount(random: random)
        for count in [0, -1, .min] {
            account.generateOneTimeKeys(count, random: random)
            #expect(account.oneTimeKeyCount == 0)
        }
    }

    @Test func `at most 5,000 one-time keys are kept, the newest ones`() {
        var account = OlmAccount(random: random)
        account.generateOneTimeKeys(2, random: random)
        let oldest = account.unpublishedOneTimeKeys[0].id
        account.generateOneTimeKeys(.max, random: random)
        #expect(account.oneTimeKeyCount == 5000)
        #expect(!account.unpublishedOneTimeKeys.contains { $0.id == oldest })
    }

    @Test func `the device key signs`() {
        let account = OlmAccount(random: random)
        #expect(account.ed25519Key.verifies(account.sign([1, 2]), of: [1, 2] as [UInt8]))
    }
}
