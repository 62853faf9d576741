public import Cryptography

/// The sender's half of a Megolm session.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/megolm/#overview>
///
/// A value: a copy is a snapshot. Write it down after each message, for an index must not be used twice.
public struct OutboundGroupSession: Sendable {
    var ratchet: MegolmRatchet
    let signingKey: Ed25519.SigningKey
    /// The last index has been used.
    var isExhausted: Bool
    /// How much of the code its messages carry.
    public let form: MACForm

    /// A new session, at index 0. The specification has truncated codes only; full ones are for readers known to take them.
    public init(random: some RandomSource, form: MACForm = .truncated) {
        self.init(ratchet: MegolmRatchet(random: random), signingKey: .generate(random), isExhausted: false, form: form)
    }

    init(ratchet: MegolmRatchet, signingKey: Ed25519.SigningKey, isExhausted: Bool, form: MACForm = .truncated) {
        self.form = form
        self.ratchet = ratchet
        self.signingKey = signingKey
        self.isExhausted = isExhausted
    }

    /// Base64 of the session's public key.
    public var id: String { Base64.encode(signingKey.publicKey.bytes) }

    /// The index of the next message.
    public var messageIndex: UInt32 { ratchet.index }

    /// The 229-byte key that lets a device read from the next message on: `session_key` of `m.room_key`.
    public var sessionKey: [UInt8] {
        let bytes = SessionExport(ratchet: ratchet, signingKey: signingKey.publicKey).encoded(.shared)
        return bytes + signingKey.sign(bytes)
    }

    /// Encrypts. Throws `exhausted` after 2³² messages.
    public mutating func encrypt(_ plaintext: [UInt8]) throws(RatchetError) -> [UInt8] {
        guard !isExhausted else { throw .exhausted }
        let message = try MegolmMessage.sealed(
            plaintext, with: ratchet.cipherKeys, index: ratchet.index, signingKey: signingKey, form: form)
        if ratchet.index == .max { isExhausted = true } else { ratchet.advance() }
        return message
    }

    /// The reader's half from the next message on, for the sender's own device.
    public var inbound: InboundGroupSession {
        InboundGroupSession(ratchet: ratchet, signingKey: signingKey.publicKey, isSigned: true)
    }
}
