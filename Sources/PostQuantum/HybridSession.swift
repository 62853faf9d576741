public import Cryptography
public import Ratchet

/// An Olm session whose first secret is also ML-KEM's: who records it now and breaks X25519 later reads nothing.
///
/// A value: a copy is a snapshot. Keep the one that the last successful call left, for a key must not be used twice.
public struct HybridSession: Sendable, Equatable {
    var session: OlmSession
    let agreementHash: [UInt8]
    /// What our pre-key messages carry; nil once an answer was read, or where the other side began.
    var opening: HybridAgreement?

    init(session: OlmSession, agreementHash: [UInt8], opening: HybridAgreement?) {
        self.session = session
        self.agreementHash = agreementHash
        self.opening = opening
    }

    /// A session to a device whose keys are known; `encapsulationKey` was signed by it, which the caller has checked. Throws
    /// `refusedKey` for a key that is none, or of low order.
    public init(
        account: OlmAccount, identityKey: Curve25519.PublicKey, oneTimeKey: Curve25519.PublicKey,
        encapsulationKey: [UInt8], random: some RandomSource
    ) throws(RatchetError) {
        let (ciphertext, secret) = try MLKEM.encapsulate(to: encapsulationKey)
        let agreement = HybridAgreement(keyHash: SHA256.hash(encapsulationKey), ciphertext: ciphertext)
        session = try account.outboundSession(
            identityKey: identityKey, oneTimeKey: oneTimeKey, form: .full, random: random
        ) { (sharedSecret, keys) throws(RatchetError) in
            agreement.combined(secret, sharedSecret, keys, receiver: identityKey)
        }
        agreementHash = agreement.hash
        opening = agreement
    }

    /// The same text on both sides.
    public var id: String { session.id }

    /// Whether a message of the other side has been read; until then ours carry the key agreement.
    public var hasReceived: Bool { session.hasReceived }

    /// Whether `message` began this session, so that it is to be read here and not in a new one.
    public func matches(_ message: HybridPreKeyMessage) -> Bool {
        session.matches(message.inner) && message.agreement.hash == agreementHash
    }

    /// Encrypts; the key is then gone. Throws as `OlmSession.encrypt` does.
    public mutating func encrypt(_ plaintext: [UInt8], random: some RandomSource) throws(RatchetError) -> OlmMessage {
        let message = try session.encrypt(plaintext, random: random)
        guard message.type == .preKey, let opening else { return message }
        return OlmMessage(type: .preKey, bytes: HybridPreKeyMessage.encoded(opening, message: message.bytes))
    }

    /// Decrypts; the key is then gone. Throws as `OlmSession.decrypt` does, and is then unchanged.
    public mutating func decrypt(_ message: OlmMessage) throws(RatchetError) -> [UInt8] {
        let plaintext: [UInt8]
        switch message.type {
        case .normal:
            plaintext = try session.decrypt(message)
        case .preKey:
            let outer = try HybridPreKeyMessage(message.bytes)
            guard matches(outer) else { throw .wrongSession }
            plaintext = try session.decrypt(outer.inner)
        }
        opening = nil
        return plaintext
    }
}
