import Cryptography
import Ratchet

/// Bytes that are always the same.
private struct FixedRandomSource: RandomSource {
    func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) } }
}

private let random = FixedRandomSource()
private let key = [UInt8](repeating: 3, count: 32)

/// An account with one-time keys, and a session of its that has read and written.
private let olm: (account: OlmAccount, session: OlmSession)? = {
    let alice = OlmAccount(random: SystemRandomSource())
    var bob = OlmAccount(random: SystemRandomSource())
    bob.generateOneTimeKeys(3, random: SystemRandomSource())
    guard let oneTimeKey = bob.unpublishedOneTimeKeys.first?.publicKey,
        var outbound = try? alice.outboundSession(
            identityKey: bob.curve25519Key, oneTimeKey: oneTimeKey, random: SystemRandomSource()),
        let message = try? outbound.encrypt(Array("hello".utf8), random: SystemRandomSource()),
        let preKey = try? PreKeyMessage(message.bytes),
        let (session, _) = try? bob.inboundSession(identityKey: preKey.identityKey, preKeyMessage: preKey)
    else { return nil }
    return (bob, session)
}()

/// An Olm message: the first byte says of which kind.
func fuzzOlmMessage(_ bytes: [UInt8]) {
    guard let first = bytes.first, var (account, session) = olm else { return }
    let body = Array(bytes.dropFirst())
    let before = session
    _ = try? session.decrypt(OlmMessage(type: first & 1 == 0 ? .preKey : .normal, bytes: body))
    hold(session == before, "a message that nobody encrypted changes nothing")
    if let message = try? PreKeyMessage(body) {
        _ = try? account.inboundSession(identityKey: message.identityKey, preKeyMessage: message)
    }
}

private let group: InboundGroupSession? = {
    let outbound = OutboundGroupSession(random: random)
    return try? InboundGroupSession(sessionKey: outbound.sessionKey)
}()

/// A Megolm message.
func fuzzMegolmMessage(_ bytes: [UInt8]) {
    guard var session = group, let message = try? MegolmMessage(bytes) else { return }
    let before = session
    hold((try? session.decrypt(message)) == nil, "nobody else signs as this session does")
    hold(session == before, "a message that nobody encrypted changes nothing")
}

/// A session key, shared or exported.
func fuzzSessionKey(_ bytes: [UInt8]) {
    _ = try? InboundGroupSession(sessionKey: bytes)
    guard let session = try? InboundGroupSession(exportedKey: bytes) else { return }
    hold(session.exportedKey == bytes, "an exported key is exported as it came")
    _ = try? session.exportedKey(at: session.firstKnownIndex)
}

/// The inside of a pickle. The first byte says of which kind; it is sealed, so that what is read is the fuzzer's.
func fuzzPickle(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    // Both versions.
    let header: [UInt8] = [1 + first / 128, first % 5]
    guard
        let sealed = try? XChaCha20Poly1305.seal(
            Array(bytes.dropFirst()), key: key, additionalData: header, random: random)
    else { return }
    let pickle = header + sealed
    if let account = try? OlmAccount(pickle: pickle, key: key) {
        _ = account.unpublishedOneTimeKeys
        let once = try? account.pickle(key: key, random: random)
        let again = once.flatMap { try? OlmAccount(pickle: $0, key: key) }
        hold(again.flatMap { try? $0.pickle(key: key, random: random) } == once, "a pickle is read as it was written")
    }
    if let session = try? OlmSession(pickle: pickle, key: key) {
        _ = session.id
        let once = try? session.pickle(key: key, random: random)
        let again = once.flatMap { try? OlmSession(pickle: $0, key: key) }
        hold(again == session, "a pickle is read as it was written")
    }
    if var session = try? OutboundGroupSession(pickle: pickle, key: key) { _ = try? session.encrypt([1, 2, 3]) }
    if let session = try? InboundGroupSession(pickle: pickle, key: key) { _ = session.exportedKey }
    _ = try? OlmSession(pickle: bytes, key: key)
}

/// A key file: its text, if it is too short to have rounds; else its bytes, with one round.
func fuzzKeyExport(_ bytes: [UInt8]) {
    if bytes.count < 150 { _ = try? KeyExport.open(text(bytes), passphrase: "secret") }
    var body = bytes
    if body.count > 36 { body.replaceSubrange(33..<37, with: [0, 0, 0, 1]) }
    let file = """
        -----BEGIN MEGOLM SESSION DATA-----
        \(Base64.encode(body, .standard))
        -----END MEGOLM SESSION DATA-----
        """
    _ = try? KeyExport.open(file, passphrase: "secret")
}

/// A recovery key.
func fuzzRecoveryKey(_ bytes: [UInt8]) {
    if let key = try? RecoveryKey.decode(text(bytes)) {
        hold((try? RecoveryKey.encode(key)).flatMap { try? RecoveryKey.decode($0) } == key, "a key reads itself")
    }
}

/// The inside of another library's pickle: sealed, so that what is read is the fuzzer's. The first byte says of which kind.
func fuzzForeignPickle(_ bytes: [UInt8]) {
    guard let first = bytes.first, let pickle = sealedAsForeign(Array(bytes.dropFirst())) else { return }
    if first & 1 == 0 {
        if let account = try? OlmAccount(libolmPickle: pickle, key: key) { exercise(account) }
        if let session = try? OlmSession(libolmPickle: pickle, key: key) { exercise(session) }
        if let group = try? OutboundGroupSession(libolmPickle: pickle, key: key) { exercise(group) }
        if let group = try? InboundGroupSession(libolmPickle: pickle, key: key) { _ = group.exportedKey }
    } else {
        if let account = try? OlmAccount(vodozemacPickle: pickle, key: key) { exercise(account) }
        if let session = try? OlmSession(vodozemacPickle: pickle, key: key) { exercise(session) }
        if let group = try? OutboundGroupSession(vodozemacPickle: pickle, key: key) { exercise(group) }
        if let group = try? InboundGroupSession(vodozemacPickle: pickle, key: key) { _ = group.exportedKey }
    }
    _ = try? OlmAccount(libolmPickle: text(bytes), key: key)
}

/// The inside of a dehydrated device.
func fuzzDehydratedDevice(_ bytes: [UInt8]) {
    let nonce = random.bytes(ChaCha20Poly1305.nonceSize)
    guard let pickle = try? ChaCha20Poly1305.seal(bytes, key: key, nonce: nonce) else { return }
    let secret = SecretBytes(key, placement: .pooled)
    guard let account = try? DehydratedDevice(pickle: pickle, nonce: nonce).account(key: secret) else { return }
    hold(account.unpublishedOneTimeKeys.isEmpty, "nothing of a dehydrated device is published again")
    exercise(account)
}

/// Seals as libolm does.
private func sealedAsForeign(_ plaintext: [UInt8]) -> String? {
    let keys = HKDFSHA256.deriveSecret(input: key, salt: [UInt8](), info: Array("Pickle".utf8), count: 80)
    guard
        let ciphertext = try? AES256CBC.encrypt(plaintext, key: keys.view(0..<32), iv: keys.view(64..<80))
    else { return nil }
    return Base64.encode(ciphertext + HMACSHA256.authenticate(ciphertext, key: keys.view(32..<64)).prefix(8))
}

private func exercise(_ account: OlmAccount) {
    guard account.oneTimeKeyCount < 20 else { return }
    var account = account
    account.generateOneTimeKeys(1, random: SystemRandomSource())
    hold(Set(account.unpublishedOneTimeKeys.map(\.id)).count == account.unpublishedOneTimeKeys.count, "names differ")
    let once = try? account.pickle(key: key, random: random)
    let again = once.flatMap { try? OlmAccount(pickle: $0, key: key) }
    hold(again.flatMap { try? $0.pickle(key: key, random: random) } == once, "a pickle is read as it was written")
}

private func exercise(_ session: OlmSession) {
    var session = session
    let once = try? session.pickle(key: key, random: random)
    hold(once.flatMap { try? OlmSession(pickle: $0, key: key) } == session, "a pickle is read as it was written")
    _ = try? session.encrypt([1, 2, 3], random: SystemRandomSource())
}

private func exercise(_ session: OutboundGroupSession) {
    var (session, inbound) = (session, session.inbound)
    guard let message = try? session.encrypt([1, 2, 3]) else { return }
    hold((try? inbound.decrypt(message).plaintext) == [1, 2, 3], "what it encrypts is read")
}
