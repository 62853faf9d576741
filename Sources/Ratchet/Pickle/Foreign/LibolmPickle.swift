internal import Cryptography

extension OlmAccount {
    /// The account of a pickle of libolm, versions 2 to 4, for moving to this library. `key` is the one given to libolm, of
    /// any length. Throws `malformed`, `unsupportedVersion`, `wrongMAC` for another key, or `cannotOpen`.
    public init(libolmPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        var reader = try LibolmReader(pickle, key: key)
        guard (2...4).contains(reader.version) else {
            throw .unsupportedVersion(UInt8(truncatingIfNeeded: reader.version))
        }
        let signingKey = try reader.signingKey()
        let identitySecret = try reader.keyPair()
        var oneTimeKeys: [ImportedKey] = []
        for _ in 0..<(try reader.count(upTo: Limits.oneTimeKeys)) { oneTimeKeys.append(try reader.importedKey()) }
        var fallbacks: [ImportedKey] = []
        switch reader.version {
        case 4:
            for _ in 0..<min(try reader.byte(), 2) { fallbacks.append(try reader.importedKey()) }
        case 3:
            // Both are always there; what was never made is not marked as published.
            let both = [try reader.importedKey(), try reader.importedKey()]
            fallbacks = both[0].isPublished ? (both[1].isPublished ? both : [both[0]]) : []
        default: break
        }
        let nextNumber = UInt64(try reader.integer()) + 1
        try reader.finish()
        self.init(
            imported: oneTimeKeys, fallbacks: fallbacks, nextNumber: nextNumber, signingKey: signingKey,
            identitySecret: identitySecret)
    }
}

extension OlmSession {
    /// The session of a pickle of libolm, version 1. Throws as the account does.
    public init(libolmPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        var reader = try LibolmReader(pickle, key: key)
        guard reader.version == 1 else { throw .unsupportedVersion(UInt8(truncatingIfNeeded: reader.version)) }
        // Whether a message was read: it was, if there is a chain of theirs.
        _ = try reader.flag()
        let keys = SessionKeys(
            identityKey: try reader.publicKey(), baseKey: try reader.publicKey(), oneTimeKey: try reader.publicKey())
        let root = RootKey(try reader.secret())
        var sending: [(Curve25519.PrivateKey, ChainKey)] = []
        for _ in 0..<(try reader.count(upTo: 1)) { sending.append((try reader.keyPair(), try reader.chainKey())) }
        var chains: [(key: Curve25519.PublicKey, chain: ChainKey)] = []
        for _ in 0..<(try reader.count(upTo: Limits.receivingChains)) {
            chains.append((try reader.publicKey(), try reader.chainKey()))
        }
        var skipped: [Curve25519.PublicKey: [ReceiverChain.SkippedKey]] = [:]
        for _ in 0..<(try reader.count(upTo: Limits.skippedMessageKeys)) {
            let ratchetKey = try reader.publicKey()
            let secret = try reader.secret()
            skipped[ratchetKey, default: []].append(.init(index: UInt64(try reader.integer()), key: secret))
        }
        try reader.finish()
        let turn: Turn
        if let (ratchetKey, chain) = sending.first {
            turn = .ours(root, ratchetKey, chain)
        } else if let newest = chains.first {
            turn = .theirs(root, newest.key)
        } else {
            throw LibolmReader.malformed
        }
        let receiving = chains.map { chain in
            ReceiverChain(
                ratchetKey: chain.key, chain: chain.chain,
                skipped: (skipped[chain.key] ?? []).sorted { $0.index < $1.index })
        }
        self.init(keys: keys, turn: turn, receiving: receiving, form: .truncated)
    }
}

extension OutboundGroupSession {
    /// The session of a pickle of libolm, version 1. Throws as the account does.
    public init(libolmPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        var reader = try LibolmReader(pickle, key: key)
        guard reader.version == 1 else { throw .unsupportedVersion(UInt8(truncatingIfNeeded: reader.version)) }
        let ratchet = try reader.megolmRatchet()
        let signingKey = try reader.signingKey()
        try reader.finish()
        self.init(ratchet: ratchet, signingKey: signingKey, isExhausted: false)
    }
}

extension InboundGroupSession {
    /// The session of a pickle of libolm, version 1 or 2. Throws as the account does.
    public init(libolmPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        var reader = try LibolmReader(pickle, key: key)
        guard (1...2).contains(reader.version) else {
            throw .unsupportedVersion(UInt8(truncatingIfNeeded: reader.version))
        }
        let first = try reader.megolmRatchet()
        let latest = try reader.megolmRatchet()
        let signingKey = try reader.verifyingKey()
        // Version 1 could not import, so every session came signed.
        let isSigned = reader.version == 1 ? true : try reader.flag()
        try reader.finish()
        guard latest.index >= first.index else { throw LibolmReader.malformed }
        self.init(ratchet: first, signingKey: signingKey, isSigned: isSigned)
        self.latest = latest
    }
}

extension LibolmReader {
    fileprivate mutating func importedKey() throws(RatchetError) -> OlmAccount.ImportedKey {
        let number = UInt64(try integer())
        return OlmAccount.ImportedKey(number: number, isPublished: try flag(), secret: try lenientKeyPair())
    }

    /// A pair whose public half is not looked at: fallback keys that were never made are zeros.
    private mutating func lenientKeyPair() throws(RatchetError) -> Curve25519.PrivateKey {
        _ = try view(32)
        return try privateKey()
    }

    fileprivate mutating func chainKey() throws(RatchetError) -> ChainKey {
        let secret = try secret()
        return ChainKey(secret, index: UInt64(try integer()))
    }
}
