internal import Cryptography

/// C: gives one message key per step, and cannot go back.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-chain-key>
struct ChainKey: Sendable, Equatable {
    private(set) var secret: SecretBytes
    private(set) var index: UInt64

    init(_ secret: SecretBytes, index: UInt64) {
        self.secret = secret
        self.index = index
    }

    /// The secret of the message at `index`.
    var messageKey: SecretBytes { HMACSHA256.derive(1, from: secret) }

    mutating func advance() throws(RatchetError) {
        guard index < UInt64(UInt32.max) else { throw .exhausted }
        secret = HMACSHA256.derive(2, from: secret)
        index += 1
    }
}

extension CipherKeys {
    /// The keys of an Olm message.
    init(messageKey: SecretBytes) { self.init(secret: messageKey, info: CipherPurpose.olm) }
}
