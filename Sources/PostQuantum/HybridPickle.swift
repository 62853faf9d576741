public import Cryptography
public import Ratchet

extension HybridSession {
    /// The session, sealed under a 32-byte key. Throws `refusedKey` for a key of another length.
    public func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        var writer = PickleWriter(.hybridSession)
        writer.write(agreementHash)
        writer.write(UInt8(opening == nil ? 0 : 1))
        if let opening {
            writer.write(opening.keyHash)
            writer.write(opening.ciphertext)
        }
        let inner = try session.pickle(key: key, random: random)
        writer.write(UInt64(inner.count))
        writer.write(inner)
        return try writer.sealed(key: key, random: random)
    }

    /// What `pickle` wrote. Throws `cannotOpen`, `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(pickle: [UInt8], key: [UInt8]) throws(RatchetError) {
        var reader = try PickleReader(pickle, .hybridSession, key: key)
        agreementHash = try reader.bytes(SHA256.size)
        opening =
            try reader.byte() == 1
            ? HybridAgreement(
                keyHash: try reader.bytes(SHA256.size), ciphertext: try reader.bytes(MLKEM.ciphertextSize)) : nil
        let count = try reader.count(upTo: Limits.pickleBytes)
        session = try OlmSession(pickle: reader.bytes(count), key: key)
        try reader.finish()
    }
}

extension EncapsulationKeys {
    /// The keys, sealed under a 32-byte key. Throws `refusedKey` for a key of another length.
    public func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        var writer = PickleWriter(.encapsulationKeys)
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
        var reader = try PickleReader(pickle, .encapsulationKeys, key: key)
        nextNumber = try reader.integer()
        publishedBelow = try reader.integer()
        oneTimeKeys = []
        for _ in 0..<(try reader.count(upTo: Limits.oneTimeKeys)) { oneTimeKeys.append(try reader.encapsulationKey()) }
        fallback = try reader.byte() == 1 ? reader.encapsulationKey() : nil
        previousFallback = try reader.byte() == 1 ? reader.encapsulationKey() : nil
        try reader.finish()
        guard nextNumber < UInt64(Int64.max) else { throw .malformed(rule: "a pickle is as we wrote it") }
    }
}

extension PickleWriter {
    fileprivate mutating func write(_ key: EncapsulationKeys.Key) {
        write(key.number)
        write(key.seed)
    }
}

extension PickleReader {
    fileprivate mutating func encapsulationKey() throws(RatchetError) -> EncapsulationKeys.Key {
        let number = try integer()
        return try EncapsulationKeys.Key(number: number, seed: SecretBytes(view(MLKEM.seedSize), placement: .pooled))
    }
}
