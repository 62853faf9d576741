public import Cryptography

extension OlmSession {
    /// The session, sealed under a 32-byte key. Throws `refusedKey` for a key of another length.
    public func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        var writer = PickleWriter(.session)
        for key in [keys.identityKey, keys.baseKey, keys.oneTimeKey] { writer.write(key.bytes) }
        switch turn {
        case .ours(let root, let ratchetKey, let chain):
            writer.write(UInt8(0))
            writer.write(root.secret)
            writer.write(ratchetKey)
            writer.write(chain)
        case .theirs(let root, let remote):
            writer.write(UInt8(1))
            writer.write(root.secret)
            writer.write(remote.bytes)
        }
        writer.write(UInt64(receiving.count))
        for chain in receiving {
            writer.write(chain.ratchetKey.bytes)
            writer.write(chain.chain)
            writer.write(UInt64(chain.skipped.count))
            for skipped in chain.skipped {
                writer.write(skipped.index)
                writer.write(skipped.key)
            }
        }
        writer.write(form.rawValue)
        return try writer.sealed(key: key, random: random)
    }

    /// What `pickle` wrote. Throws `cannotOpen`, `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(pickle: [UInt8], key: [UInt8]) throws(RatchetError) {
        var reader = try PickleReader(pickle, .session, key: key)
        let keys = SessionKeys(
            identityKey: try reader.publicKey(), baseKey: try reader.publicKey(), oneTimeKey: try reader.publicKey())
        let turn: Turn
        switch try reader.byte() {
        case 0: turn = .ours(RootKey(try reader.secret()), try reader.privateKey(), try reader.chainKey())
        case 1: turn = .theirs(RootKey(try reader.secret()), try reader.publicKey())
        default: throw PickleReader.malformed
        }
        var receiving: [ReceiverChain] = []
        for _ in 0..<(try reader.count(upTo: Limits.receivingChains)) { receiving.append(try reader.receiverChain()) }
        let form = try reader.form()
        try reader.finish()
        self.init(keys: keys, turn: turn, receiving: receiving, form: form)
    }
}

extension PickleWriter {
    fileprivate mutating func write(_ chain: ChainKey) {
        write(chain.index)
        write(chain.secret)
    }
}

extension PickleReader {
    fileprivate mutating func chainKey() throws(RatchetError) -> ChainKey {
        let index = try integer()
        return ChainKey(try secret(), index: index)
    }

    fileprivate mutating func receiverChain() throws(RatchetError) -> ReceiverChain {
        let ratchetKey = try publicKey()
        let chain = try chainKey()
        var skipped: [ReceiverChain.SkippedKey] = []
        for _ in 0..<(try count(upTo: Limits.skippedMessageKeys)) {
            skipped.append(.init(index: try integer(), key: try secret()))
        }
        return ReceiverChain(ratchetKey: ratchetKey, chain: chain, skipped: skipped)
    }
}
