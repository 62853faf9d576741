internal import Cryptography

/// A chain of the other side: what it sent under one ratchet key.
struct ReceiverChain: Sendable, Equatable {
    /// The key of a message that has not come yet.
    struct SkippedKey: Sendable, Equatable {
        let index: UInt64
        let key: SecretBytes
    }

    let ratchetKey: Curve25519.PublicKey
    private(set) var chain: ChainKey
    /// Oldest first.
    private(set) var skipped: [SkippedKey]

    init(ratchetKey: Curve25519.PublicKey, chain: ChainKey, skipped: [SkippedKey] = []) {
        self.ratchetKey = ratchetKey
        self.chain = chain
        self.skipped = skipped
    }

    /// Reads a message of this chain; where it throws, nothing has changed.
    mutating func decrypt(_ message: NormalMessage) throws(RatchetError) -> [UInt8] {
        if message.index < chain.index { return try decryptSkipped(message) }
        let gap = message.index - chain.index
        guard gap <= Limits.messageGap else { throw .tooManyMissing(Int(clamping: gap)) }
        var chain = chain
        var missed: [SkippedKey] = []
        while chain.index < message.index {
            if message.index - chain.index <= Limits.skippedMessageKeys {
                missed.append(SkippedKey(index: chain.index, key: chain.messageKey))
            }
            try chain.advance()
        }
        let plaintext = try message.opened(with: CipherKeys(messageKey: chain.messageKey))
        try chain.advance()
        self.chain = chain
        if !missed.isEmpty { skipped = (skipped + missed).suffix(Limits.skippedMessageKeys) }
        return plaintext
    }

    private mutating func decryptSkipped(_ message: NormalMessage) throws(RatchetError) -> [UInt8] {
        guard let position = skipped.firstIndex(where: { $0.index == message.index }) else { throw .messageKeyGone }
        let plaintext = try message.opened(with: CipherKeys(messageKey: skipped[position].key))
        skipped.remove(at: position)
        return plaintext
    }
}
