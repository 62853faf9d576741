import Cryptography
import PostQuantum
import Ratchet

/// A device that hybrid sessions are begun to, and a session that somebody began.
private let hybrid: (account: OlmAccount, keys: EncapsulationKeys, session: HybridSession)? = {
    let random = SystemRandomSource()
    let alice = OlmAccount(random: random)
    var bob = OlmAccount(random: random)
    var keys = EncapsulationKeys()
    bob.generateOneTimeKeys(2, random: random)
    guard (try? keys.generateOneTimeKeys(2, random: random)) != nil,
        let oneTimeKey = bob.unpublishedOneTimeKeys.first?.publicKey, let key = keys.unpublishedOneTimeKeys.first,
        var there = try? HybridSession(
            account: alice, identityKey: bob.curve25519Key, oneTimeKey: oneTimeKey, encapsulationKey: key.publicKey,
            random: random),
        let message = try? there.encrypt([1], random: random),
        let opening = try? HybridPreKeyMessage(message.bytes),
        let (session, _) = try? keys.inboundSession(
            of: &bob, identityKey: alice.curve25519Key, preKeyMessage: opening)
    else { return nil }
    return (bob, keys, session)
}()

/// A hybrid message: the first byte says of which kind.
func fuzzHybridMessage(_ bytes: [UInt8]) {
    guard let first = bytes.first, var (account, keys, session) = hybrid else { return }
    let body = Array(bytes.dropFirst())
    let before = session
    _ = try? session.decrypt(OlmMessage(type: first & 1 == 0 ? .preKey : .normal, bytes: body))
    hold(session == before, "a message that nobody encrypted changes nothing")
    guard let message = try? HybridPreKeyMessage(body) else { return }
    let begun = try? keys.inboundSession(of: &account, identityKey: message.identityKey, preKeyMessage: message)
    hold(begun == nil, "nobody knows the keys")
    hold(keys.oneTimeKeyCount == 1 && account.oneTimeKeyCount == 1, "what was refused uses up no key")
}

/// A pre-key message of somebody else's session to begin with.
func hybridSeeds() throws -> [[UInt8]] {
    guard let (account, keys, _) = hybrid, let key = keys.unpublishedOneTimeKeys.first else { return [] }
    let alice = OlmAccount(random: SystemRandomSource())
    var session = try HybridSession(
        account: alice, identityKey: account.curve25519Key, oneTimeKey: alice.curve25519Key,
        encapsulationKey: key.publicKey, random: SystemRandomSource())
    return [[0] + (try session.encrypt([1], random: SystemRandomSource()).bytes)]
}
