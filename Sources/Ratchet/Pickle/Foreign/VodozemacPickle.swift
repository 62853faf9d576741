internal import Cryptography

extension OlmAccount {
    /// The account of a pickle of vodozemac, for moving to this library. `key` has 32 bytes. Throws `malformed`, `wrongMAC`
    /// for another key, or `cannotOpen`.
    public init(vodozemacPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        let json = try PickleJSON(ForeignPickle.opened(pickle, key: key))
        let keys = json["one_time_keys"]
        let unpublished = Set(try keys["public_keys"].numbered(upTo: Limits.oneTimeKeys).map(\.number))
        var oneTimeKeys: [ImportedKey] = []
        for (number, value) in try keys["private_keys"].numbered(upTo: Limits.oneTimeKeys) {
            oneTimeKeys.append(
                ImportedKey(number: number, isPublished: !unpublished.contains(number), secret: try value.privateKey()))
        }
        var fallbacks: [ImportedKey] = []
        for name in ["fallback_key", "previous_fallback_key"] where !json["fallback_keys"][name].isNull {
            let key = json["fallback_keys"][name]
            fallbacks.append(
                ImportedKey(
                    number: try key["key_id"].integer, isPublished: try key["published"].flag,
                    secret: try key["key"].privateKey()))
        }
        // Older pickles call it "key_id".
        let next = try (keys["next_key_id"].isNull ? keys["key_id"] : keys["next_key_id"]).integer
        guard next < UInt64(Int64.max) else { throw PickleJSON.malformed }
        self.init(
            imported: oneTimeKeys, fallbacks: fallbacks, nextNumber: next,
            signingKey: try json["signing_key"].signingKey(),
            identitySecret: try json["diffie_hellman_key"].privateKey())
    }
}

extension OlmSession {
    /// The session of a pickle of vodozemac, of either configuration. Throws as the account does.
    public init(vodozemacPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        let json = try PickleJSON(ForeignPickle.opened(pickle, key: key))
        let keys = json["session_keys"]
        let turn = try Self.turn(json["sending_ratchet"])
        var receiving: [ReceiverChain] = []
        // There the newest is the last.
        for chain in try json["receiving_chains"]["inner"].array(upTo: Limits.receivingChains).reversed() {
            var skipped: [ReceiverChain.SkippedKey] = []
            for key in try chain["skipped_message_keys"]["inner"].array(upTo: Limits.skippedMessageKeys) {
                skipped.append(.init(index: try key["index"].integer, key: try key["key"].secret(32)))
            }
            receiving.append(
                ReceiverChain(
                    ratchetKey: try chain["ratchet_key"].publicKey(), chain: try chain["hkdf_ratchet"].chainKey(),
                    skipped: skipped))
        }
        self.init(
            keys: SessionKeys(
                identityKey: try keys["identity_key"].publicKey(), baseKey: try keys["base_key"].publicKey(),
                oneTimeKey: try keys["one_time_key"].publicKey()),
            turn: turn, receiving: receiving, form: try json["config"].form())
    }

    private static func turn(_ sending: PickleJSON) throws(RatchetError) -> Turn {
        switch try sending["type"].text {
        case "active":
            let ratchet = sending["active_ratchet"]
            return .ours(
                RootKey(try ratchet["root_key"].secret(32)), try ratchet["ratchet_key"].privateKey(),
                try sending["symmetric_key_ratchet"].chainKey())
        case "inactive":
            return .theirs(RootKey(try sending["root_key"]["key"].secret(32)), try sending["ratchet_key"].publicKey())
        default: throw PickleJSON.malformed
        }
    }
}

extension OutboundGroupSession {
    /// The session of a pickle of vodozemac, of either configuration. Throws as the account does.
    public init(vodozemacPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        let json = try PickleJSON(ForeignPickle.opened(pickle, key: key))
        self.init(
            ratchet: try json["ratchet"].megolmRatchet(), signingKey: try json["signing_key"].signingKey(),
            isExhausted: false, form: try json["config"].form())
    }
}

extension InboundGroupSession {
    /// The session of a pickle of vodozemac. Throws as the account does.
    public init(vodozemacPickle pickle: String, key: [UInt8]) throws(RatchetError) {
        let json = try PickleJSON(ForeignPickle.opened(pickle, key: key))
        let bytes = try json["signing_key"].secret(32).bytes
        let signingKey = try translating { () throws(CryptographyError) in try Ed25519.PublicKey(bytes) }
        self.init(
            ratchet: try json["initial_ratchet"].megolmRatchet(), signingKey: signingKey,
            isSigned: try json["signing_key_verified"].flag)
    }
}

extension PickleJSON {
    fileprivate func publicKey() throws(RatchetError) -> Curve25519.PublicKey {
        let bytes = try secret(32).bytes
        return try translating { () throws(CryptographyError) in try Curve25519.PublicKey(bytes) }
    }

    fileprivate func privateKey() throws(RatchetError) -> Curve25519.PrivateKey {
        var bytes = try secret(32).bytes
        defer { wipe(&bytes) }
        return try translating { () throws(CryptographyError) in try Curve25519.PrivateKey(bytes) }
    }

    /// A seed, or the expanded form that an account has kept since it came from libolm.
    fileprivate func signingKey() throws(RatchetError) -> Ed25519.SigningKey {
        if self["Normal"].isNull {
            let expanded = try self["Expanded"].secret(64)
            return try translating { () throws(CryptographyError) in try Ed25519.SigningKey(expanded: expanded) }
        }
        var seed = try self["Normal"].secret(32).bytes
        defer { wipe(&seed) }
        return try translating { () throws(CryptographyError) in try Ed25519.SigningKey(seed: seed) }
    }

    fileprivate func chainKey() throws(RatchetError) -> ChainKey {
        ChainKey(try self["key"].secret(32), index: try self["index"].integer)
    }

    fileprivate func megolmRatchet() throws(RatchetError) -> MegolmRatchet {
        guard let index = UInt32(exactly: try self["counter"].integer) else { throw Self.malformed }
        return try MegolmRatchet(bytes: self["inner"].secret(MegolmRatchet.size), index: index)
    }

    /// Pickles from before there was a choice have no configuration.
    fileprivate func form() throws(RatchetError) -> MACForm {
        if isNull { return .truncated }
        switch try self["version"].text {
        case "V1": return .truncated
        case "V2": return .full
        default: throw Self.malformed
        }
    }
}
