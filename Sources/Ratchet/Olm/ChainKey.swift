internal import Cryptography

/// C: gives one message key per step, and cannot go back.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/olm/#advancing-the-chain-key>
struct ChainKey: Sendable, Equatable {
    private(set) var bytes: [UInt8]
    private(set) var index: UInt64

    init(bytes: [UInt8], index: UInt64) {
        self.bytes = bytes
        self.index = index
    }

    /// The secret of the message at `index`.
    var messageKey: [UInt8] { HMACSHA256.authenticate([1], key: bytes) }

    mutating func advance() throws(RatchetError) {
        guard index < UInt64(UInt32.max) else { throw .exhausted }
        bytes = HMACSHA256.authenticate([2], key: bytes)
        index += 1
    }
}

extension CipherKeys {
    /// The keys of an Olm message.
    init(messageKey: [UInt8]) { self.init(secret: messageKey, info: "OLM_KEYS") }
}
