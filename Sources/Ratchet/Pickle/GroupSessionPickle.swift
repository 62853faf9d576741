public import Cryptography

extension OutboundGroupSession {
    /// The session, sealed under a 32-byte key. Throws `refusedKey` for a key of another length.
    public func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        var writer = PickleWriter(.outboundGroupSession)
        writer.write(ratchet)
        writer.write(signingKey)
        writer.write(UInt8(isExhausted ? 1 : 0))
        writer.write(form.rawValue)
        return try writer.sealed(key: key, random: random)
    }

    /// What `pickle` wrote. Throws `cannotOpen`, `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(pickle: [UInt8], key: [UInt8]) throws(RatchetError) {
        var reader = try PickleReader(pickle, .outboundGroupSession, key: key)
        let ratchet = try reader.megolmRatchet()
        let signingKey = try reader.signingKey()
        let isExhausted = try reader.byte() == 1
        let form = try reader.form()
        try reader.finish()
        self.init(ratchet: ratchet, signingKey: signingKey, isExhausted: isExhausted, form: form)
    }
}

extension InboundGroupSession {
    /// The session, sealed under a 32-byte key. Throws `refusedKey` for a key of another length.
    public func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        var writer = PickleWriter(.inboundGroupSession)
        writer.write(first)
        writer.write(latest)
        writer.write(signingKey.bytes)
        writer.write(UInt8(isSigned ? 1 : 0))
        return try writer.sealed(key: key, random: random)
    }

    /// What `pickle` wrote. Throws `cannotOpen`, `malformed`, `unsupportedVersion` or `refusedKey`.
    public init(pickle: [UInt8], key: [UInt8]) throws(RatchetError) {
        var reader = try PickleReader(pickle, .inboundGroupSession, key: key)
        let first = try reader.megolmRatchet()
        let latest = try reader.megolmRatchet()
        let signingKey = try reader.verifyingKey()
        let isSigned = try reader.byte() == 1
        try reader.finish()
        self.init(ratchet: first, signingKey: signingKey, isSigned: isSigned)
        self.latest = latest
    }
}

extension PickleWriter {
    fileprivate mutating func write(_ ratchet: MegolmRatchet) {
        write(UInt64(ratchet.index))
        write(ratchet.secret)
    }
}

extension PickleReader {
    fileprivate mutating func megolmRatchet() throws(RatchetError) -> MegolmRatchet {
        guard let index = UInt32(exactly: try integer()) else { throw Self.malformed }
        return try MegolmRatchet(bytes: view(MegolmRatchet.size), index: index)
    }
}
