import Cryptography
import Ratchet

/// Two devices with a session between them. Alice sent first, and Bob has read that.
struct OlmPair {
    var aliceAccount = OlmAccount(random: random)
    var bobAccount = OlmAccount(random: random)
    var alice: OlmSession
    var bob: OlmSession
    let firstMessage: OlmMessage

    init() throws {
        bobAccount.generateOneTimeKeys(1, random: random)
        let oneTimeKey = bobAccount.unpublishedOneTimeKeys[0].publicKey
        bobAccount.markPublished()
        alice = try aliceAccount.outboundSession(
            identityKey: bobAccount.curve25519Key, oneTimeKey: oneTimeKey, random: random)
        firstMessage = try alice.encrypt([1, 2, 3], random: random)
        bob = try bobAccount.inboundSession(
            identityKey: aliceAccount.curve25519Key, preKeyMessage: PreKeyMessage(firstMessage.bytes)
        ).session
    }

    /// As above, and Alice has read an answer.
    static func acquainted() throws -> OlmPair {
        var pair = try OlmPair()
        _ = try pair.alice.decrypt(pair.bob.encrypt([4], random: random))
        return pair
    }
}
