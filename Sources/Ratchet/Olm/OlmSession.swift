public import Cryptography

/// A conversation between two devices with a key of its own for each message.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#overview>
///
/// A value: a copy is a snapshot. Keep the one that the last successful call left, for a key must not be used twice.
public struct OlmSession: Sendable, Equatable {
    /// Whose turn it is to make a new ratchet key.
    enum Turn: Sendable {
        /// We made the newest key, and send on this chain.
        case ours(RootKey, Curve25519.PrivateKey, ChainKey)
        /// They made the newest key; our next message makes a new one.
        case theirs(RootKey, Curve25519.PublicKey)
    }

    let keys: SessionKeys
    var turn: Turn
    /// Newest first.
    var receiving: [ReceiverChain]
    /// How much of the code our messages carry. Theirs may carry more, but not less.
    public let form: MACForm

    init(keys: SessionKeys, turn: Turn, receiving: [ReceiverChain], form: MACForm) {
        self.form = form
        self.keys = keys
        self.turn = turn
        self.receiving = receiving
    }

    /// The same text on both sides: base64 of the hash of the keys that the session began with.
    public var id: String { keys.sessionID }

    /// Whether a message of the other side has been read; until then ours are pre-key messages.
    public var hasReceived: Bool { !receiving.isEmpty }

    /// Whether `message` began this session, so that it is to be read here and not in a new one.
    public func matches(_ message: PreKeyMessage) -> Bool { keys == message.keys }

    /// Encrypts; the key is then gone. Throws `exhausted` after 2³² messages without an answer, `refusedKey` where the
    /// other side's ratchet key is of low order.
    public mutating func encrypt(
        _ plaintext: [UInt8], random: some RandomSource
    ) throws(RatchetError) -> OlmMessage {
        let root: RootKey
        let ratchetKey: Curve25519.PrivateKey
        var chain: ChainKey
        switch turn {
        case .ours(let currentRoot, let key, let current):
            (root, ratchetKey, chain) = (currentRoot, key, current)
        case .theirs(let previousRoot, let remote):
            ratchetKey = .generate(random)
            (root, chain) = try previousRoot.advanced(own: ratchetKey, remote: remote)
        }
        let sealed = try NormalMessage.sealed(
            plaintext, with: CipherKeys(messageKey: chain.messageKey), ratchetKey: ratchetKey.publicKey,
            index: chain.index, form: form)
        try chain.advance()
        turn = .ours(root, ratchetKey, chain)
        if hasReceived { return OlmMessage(type: .normal, bytes: sealed) }
        return OlmMessage(type: .preKey, bytes: PreKeyMessage.encoded(keys, message: sealed))
    }

    /// Decrypts; the key is then gone. Throws any `RatchetError` but `exhausted` for a message that is altered, repeated,
    /// too old, too far ahead or of another session, and is then unchanged.
    public mutating func decrypt(_ message: OlmMessage) throws(RatchetError) -> [UInt8] {
        switch message.type {
        case .normal:
            return try decrypt(NormalMessage(parsing: message.bytes[...]))
        case .preKey:
            return try decrypt(PreKeyMessage(message.bytes))
        }
    }

    /// As above, a message that is parsed already.
    public mutating func decrypt(_ message: PreKeyMessage) throws(RatchetError) -> [UInt8] {
        guard matches(message) else { throw .wrongSession }
        return try decrypt(NormalMessage(parsing: message.message))
    }

    mutating func decrypt(_ message: NormalMessage) throws(RatchetError) -> [UInt8] {
        guard message.form == form || form == .truncated else { throw .unsupportedVersion(message.form.rawValue) }
        if let position = receiving.firstIndex(where: { $0.ratchetKey == message.ratchetKey }) {
            return try receiving[position].decrypt(message)
        }
        // They can only have made a new key after reading ours.
        guard case .ours(let root, let ratchetKey, _) = turn else { throw .wrongSession }
        let (newRoot, chainKey) = try root.advanced(own: ratchetKey, remote: message.ratchetKey)
        var chain = ReceiverChain(ratchetKey: message.ratchetKey, chain: chainKey)
        let plaintext = try chain.decrypt(message)
        turn = .theirs(newRoot, message.ratchetKey)
        receiving.insert(chain, at: 0)
        if receiving.count > Limits.receivingChains { receiving.removeLast() }
        return plaintext
    }
}

extension OlmSession.Turn: Equatable {
    static func == (first: Self, second: Self) -> Bool {
        switch (first, second) {
        case (.ours(let root, let key, let chain), .ours(let otherRoot, let otherKey, let otherChain)):
            root == otherRoot && key.publicKey == otherKey.publicKey && chain == otherChain
        case (.theirs(let root, let key), .theirs(let otherRoot, let otherKey)):
            root == otherRoot && key == otherKey
        default: false
        }
    }
}

extension OlmSession {
    /// What the three secrets of the first message become: 64 bytes, of which R₀ and the first chain key are made.
    package typealias Combining = (_ sharedSecret: SecretBytes, _ keys: SessionKeys) throws(RatchetError) -> SecretBytes

    /// HKDF with "OLM_ROOT".
    /// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#initial-setup>
    package static func specified(_ sharedSecret: SecretBytes, _ keys: SessionKeys) throws(RatchetError) -> SecretBytes
    {
        HKDFSHA256.deriveSecret(input: sharedSecret, salt: [UInt8](), info: Array("OLM_ROOT".utf8), count: 64)
    }

    /// The side that sends first.
    static func outbound(
        own identityKey: Curve25519.PrivateKey, remote remoteIdentityKey: Curve25519.PublicKey,
        oneTimeKey: Curve25519.PublicKey, form: MACForm, random: some RandomSource, combining: Combining
    ) throws(RatchetError) -> OlmSession {
        let baseKey = Curve25519.PrivateKey.generate(random)
        let secret = try translating { () throws(CryptographyError) in
            SecretBytes.joined([
                try identityKey.agreement(with: oneTimeKey), try baseKey.agreement(with: remoteIdentityKey),
                try baseKey.agreement(with: oneTimeKey),
            ])
        }
        let keys = SessionKeys(
            identityKey: identityKey.publicKey, baseKey: baseKey.publicKey, oneTimeKey: oneTimeKey)
        let (root, chain) = RootKey.split(try combining(secret, keys))
        return OlmSession(keys: keys, turn: .ours(root, .generate(random), chain), receiving: [], form: form)
    }

    /// The side that reads first, and that first message.
    static func inbound(
        own identityKey: Curve25519.PrivateKey, oneTimeKey: Curve25519.PrivateKey, message: PreKeyMessage,
        combining: Combining
    ) throws(RatchetError) -> (OlmSession, plaintext: [UInt8]) {
        let inner = try NormalMessage(parsing: message.message)
        let secret = try translating { () throws(CryptographyError) in
            SecretBytes.joined([
                try oneTimeKey.agreement(with: message.identityKey), try identityKey.agreement(with: message.baseKey),
                try oneTimeKey.agreement(with: message.baseKey),
            ])
        }
        let (root, chainKey) = RootKey.split(try combining(secret, message.keys))
        var chain = ReceiverChain(ratchetKey: inner.ratchetKey, chain: chainKey)
        let plaintext = try chain.decrypt(inner)
        let session = OlmSession(
            keys: message.keys, turn: .theirs(root, inner.ratchetKey), receiving: [chain], form: inner.form)
        return (session, plaintext)
    }
}
