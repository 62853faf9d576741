public import Cryptography

extension OlmAccount {
    /// The account, sealed under a 32-byte key. Throws `refusedKey` for a key of another length.
    public func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        var writer = PickleWriter(.account)
        writer.write(signingKey)
        writer.write(identitySecret)
        writer.write(nextNumber)
        writer.write(publishedBelow)
        writer.write(UInt64(oneTimeKeys.count))
        for key in oneTimeKeys { writer.write(key) }
        for key in [fallback, previousFallback] {
            writer.write(UInt8(key == nil ? 0 : 1))
            if let key { writer.write(key) }
        }
        return try writer.sealed(key: key, random: random)
    }

    /// What `pickle` wrote. Throws `cannotOpen`, `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(pickle: [UInt8], key: [UInt8]) throws(RatchetError) {
        var reader = try PickleReader(pickle, .account, key: key)
        let signingKey = try reader.signingKey()
        let identitySecret = try reader.privateKey()
        let nextNumber = try reader.integer()
        let publishedBelow = try reader.integer()
        var oneTimeKeys: [OneTimeKey] = []
        for _ in 0..<(try reader.count(upTo: Limits.oneTimeKeys)) { oneTimeKeys.append(try reader.oneTimeKey()) }
        let fallback = try reader.byte() == 1 ? reader.oneTimeKey() : nil
        let previousFallback = try reader.byte() == 1 ? reader.oneTimeKey() : nil
        try reader.finish()
        guard nextNumber < UInt64(Int64.max) else { throw PickleReader.malformed }
        self.init(
            signingKey: signingKey, identitySecret: identitySecret, nextNumber: nextNumber, oneTimeKeys: oneTimeKeys,
            publishedBelow: publishedBelow, fallback: fallback, previousFallback: previousFallback)
    }
}

extension PickleWriter {
    fileprivate mutating func write(_ key: OlmAccount.OneTimeKey) {
        write(key.number)
        write(key.secret)
    }
}

extension PickleReader {
    fileprivate mutating func oneTimeKey() throws(RatchetError) -> OlmAccount.OneTimeKey {
        OlmAccount.OneTimeKey(number: try integer(), secret: try privateKey())
    }
}
