internal import Cryptography
internal import MatrixAPI
internal import MatrixModel
internal import PostQuantum
internal import Ratchet
public import SQLDatabase

/// Publishing encapsulation keys, and that we offer the key agreement. These are uploads of their own, so that a server
/// that does not take them hinders nothing else.
extension EncryptionMachine {
    /// The upload that is due: first keys, as ``keyUpload(in:)`` has them, then device keys that name the algorithm; or, once it
    /// is switched off, device keys that do not, and then no new keys. Those that were published stay readable: the server may
    /// still give them to somebody with an older list of devices, and has no way to take them back.
    public func hybridKeyUpload(in connection: any SQLConnection) throws -> KeyUpload? {
        guard let offer = try ownOffer(in: connection) else { return nil }
        if offer.needsKeys, let upload = try encapsulationKeyUpload(in: connection) { return upload }
        guard offer.isDue else { return nil }
        if offer.isWanted, try !isPublished(in: connection) { return nil }
        let account = try account(in: connection)
        var keys = deviceKeys(account, offersHybrid: offer.isWanted)
        // The signature on the keys before does not fit these: better those than keys that nobody has signed.
        if try isSignedByUs(in: connection) {
            guard let signer = try signingKey(.selfSigning, in: connection) else { return nil }
            keys = SignedJSON.sign(
                keys, as: user.text, keyID: "ed25519:\(Base64.encode(signer.publicKey.bytes))", with: signer)
        }
        return KeyUpload(
            call: APICall(.uploadKeys, body: ["device_keys": keys]), mark: account.uploadMark, hasFallbackKey: false,
            hasOneTimeKeys: false, kind: .offer(offer.isWanted, keys: keys))
    }

    /// Whether ``hybridKeyUpload(in:)`` may have something to do.
    public func owesHybridKeys(in connection: any SQLConnection) throws -> Bool {
        guard let offer = try ownOffer(in: connection) else { return false }
        if offer.isDue { return true }
        guard offer.needsKeys else { return false }
        return try connection.query("SELECT 1 FROM encapsulation_keys").isEmpty
            || encapsulationKeysDue(in: connection) != nil
    }

    /// What this device's keys should say, and what is to be done for it.
    private struct OwnOffer {
        let isWanted: Bool
        /// Whether device keys that say so are to be published.
        let isDue: Bool
        /// Whether the server is to have encapsulation keys.
        let needsKeys: Bool
    }

    /// nil as long as the device's keys have not been uploaded.
    private func ownOffer(in connection: any SQLConnection) throws -> OwnOffer? {
        guard
            let row = try connection.query("SELECT uploaded, hybrid_offered, hybrid_offer_at FROM olm_account").first
        else { throw EncryptionError.damagedStore(what: "the account") }
        guard try row.bool(0) else { return nil }
        let (isOffered, isWanted) = (try row.bool(1), try wantsOffer(in: connection))
        let isTime = isDue(try row.integer(2), at: now())
        return OwnOffer(
            isWanted: isWanted, isDue: isOffered != isWanted && isTime,
            needsKeys: try isOffered || isWanted || hybridPolicy(in: connection) != .off)
    }

    private func isPublished(in connection: any SQLConnection) throws -> Bool {
        try !connection.query("SELECT 1 FROM encapsulation_keys WHERE uploaded = 1").isEmpty
    }

    private func encapsulationKeyUpload(in connection: any SQLConnection) throws -> KeyUpload? {
        let now = now()
        if try connection.query("SELECT 1 FROM encapsulation_keys").isEmpty {
            var keys = EncapsulationKeys()
            try EncryptionError.wrapping { () throws(RatchetError) in try keys.generateFallbackKey(random: random) }
            let pickle = try keys.pickle(key: key.bytes, random: random)
            try connection.execute(
                "INSERT INTO encapsulation_keys VALUES (1, \(pickle), 1, 0, 0, 0, 0, \(now), NULL, 0, 0)")
        }
        guard let due = try encapsulationKeysDue(in: connection), var keys = try encapsulationKeys(in: connection)
        else {
            return nil
        }
        let missing = due.missing - keys.unpublishedOneTimeKeys.count
        if missing > 0 {
            try keys.generateOneTimeKeys(missing, random: random)
            try connection.execute("UPDATE encapsulation_keys SET filled_at = \(now)")
        }
        if due.step.forgetsPrevious { keys.forgetPreviousFallbackKey() }
        if due.step.makesNext { try keys.generateFallbackKey(random: random) }
        if !due.isFirst {
            try connection.execute(
                """
                UPDATE encapsulation_keys
                SET fallback_made_at = \(due.age.madeAt), fallback_replaced_at = \(due.age.replacedAt)
                """)
        }
        // In the store before they are published.
        try save(keys, in: connection)
        return try upload(of: keys, in: connection)
    }

    private struct EncapsulationKeysDue {
        let isFirst: Bool
        /// One-time keys that the server lacks.
        let missing: Int
        let age: FallbackAge
        let step: (forgetsPrevious: Bool, makesNext: Bool)
    }

    /// nil for none. The keys themselves are not opened for it.
    private func encapsulationKeysDue(in connection: any SQLConnection) throws -> EncapsulationKeysDue? {
        let now = now()
        guard
            let row = try connection.query(
                """
                SELECT has_unpublished, uploaded, keys_on_server, filled_at, fallback_unused, fallback_made_at,
                    fallback_replaced_at, retry_at
                FROM encapsulation_keys
                """
            ).first
        else { throw EncryptionError.damagedStore(what: "the encapsulation keys") }
        guard isDue(try row.integer(7), at: now) else { return nil }
        let (hasUnpublished, filledAt) = (try row.bool(0), try row.integer(3))
        var missing = 0
        if let onServer = try row.optionalInteger(2),
            Period.isOver(Limits.hybridUploadMilliseconds, since: filledAt, at: now)
        {
            missing = max(EncapsulationKeys.maximumOneTimeKeys - max(Int(clamping: onServer), 0), 0)
        }
        var age = FallbackAge(
            isUnused: try row.bool(4), madeAt: try row.integer(5), replacedAt: try row.optionalInteger(6))
        let isFirst = try !row.bool(1)
        let step =
            isFirst ? (forgetsPrevious: false, makesNext: false) : age.step(at: now, isUnpublished: hasUnpublished)
        // Opening them costs a millisecond: each is made anew from its seed.
        guard hasUnpublished || missing > 0 || step.forgetsPrevious || step.makesNext else { return nil }
        return EncapsulationKeysDue(isFirst: isFirst, missing: missing, age: age, step: step)
    }

    private func upload(of keys: EncapsulationKeys, in connection: any SQLConnection) throws -> KeyUpload? {
        let (oneTime, fallback) = (keys.unpublishedOneTimeKeys, keys.unpublishedFallbackKey)
        guard !oneTime.isEmpty || fallback != nil else { return nil }
        let account = try account(in: connection)
        func name(_ key: EncapsulationKeys.Key) -> String { "\(HybridAlgorithm.keyAlgorithm):\(key.id)" }
        var body: JSONValue = [:]
        if !oneTime.isEmpty {
            body["one_time_keys"] = .object(
                Dictionary(oneTime.map { (name($0), signedKey($0.publicKey, account, isFallback: false)) }) { $1 })
        }
        if let fallback {
            body["fallback_keys"] = [name(fallback): signedKey(fallback.publicKey, account, isFallback: true)]
        }
        return KeyUpload(
            call: APICall(.uploadKeys, body: body), mark: keys.uploadMark, hasFallbackKey: fallback != nil,
            hasOneTimeKeys: !oneTime.isEmpty, kind: .encapsulationKeys)
    }

    /// After the server took encapsulation keys.
    func uploadedEncapsulationKeys(_ upload: KeyUpload, in connection: any SQLConnection) throws {
        guard var keys = try encapsulationKeys(in: connection) else { return }
        keys.markPublished(upTo: upload.mark)
        try save(keys, in: connection)
        if upload.hasFallbackKey {
            // The first one replaces none.
            try connection.execute(
                """
                UPDATE encapsulation_keys SET fallback_unused = 1,
                    fallback_replaced_at = CASE WHEN uploaded = 1 THEN \(now()) ELSE NULL END
                """)
        }
        try connection.execute("UPDATE encapsulation_keys SET uploaded = 1, refusals = 0")
    }

    /// The server has other keys under these names, or takes none of this kind. Others are made, a few times; then it is left
    /// alone for an hour.
    /// - Returns: whether another attempt may help.
    func refusedEncapsulationKeys(_ upload: KeyUpload, in connection: any SQLConnection) throws -> Bool {
        guard var keys = try encapsulationKeys(in: connection) else { return false }
        let refusals =
            try connection.query("UPDATE encapsulation_keys SET refusals = refusals + 1 RETURNING refusals").first?
            .integer(0) ?? 0
        let (lacking, lacksFallback) = (keys.unpublishedOneTimeKeys.count, keys.unpublishedFallbackKey != nil)
        keys.markPublished(upTo: upload.mark)
        try keys.generateOneTimeKeys(lacking, random: random)
        if lacksFallback { try keys.generateFallbackKey(random: random) }
        try save(keys, in: connection)
        guard refusals >= Limits.hybridRefusals else { return true }
        try connection.execute(
            "UPDATE encapsulation_keys SET refusals = 0, retry_at = \(now() + Limits.hybridUploadMilliseconds)")
        return false
    }

    /// After the server took our device keys. Our identity's signature is uploaded as every other is, too: a server may keep
    /// the one on the keys before.
    func uploadedOffer(_ isOffered: Bool, _ keys: JSONValue, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE olm_account
            SET hybrid_offered = \(isOffered), hybrid_offer_at = \(now() + Limits.hybridUploadMilliseconds)
            """)
        if try isSignedByUs(in: connection) {
            try signThisDevice(in: connection)
            try connection.execute("UPDATE olm_account SET hybrid_unproved = 1")
        }
        if let view = try? JSONDocument(keys.serialized()).root {
            try keepOwnObject(view, of: device, in: connection)
        }
        try noteChangedUsers([user], in: connection)
    }

    func refusedOffer(in connection: any SQLConnection) throws {
        try connection.execute(
            "UPDATE olm_account SET hybrid_offer_at = \(now() + Limits.hybridUploadMilliseconds)")
    }

    // MARK: The store

    /// Our encapsulation keys; nil if they were never made.
    func encapsulationKeys(in connection: any SQLConnection) throws -> EncapsulationKeys? {
        guard let row = try connection.query("SELECT pickle FROM encapsulation_keys").first else { return nil }
        do {
            return try EncapsulationKeys(pickle: try row.bytes(0), key: key.bytes)
        } catch RatchetError.cannotOpen {
            throw EncryptionError.wrongStoreKey
        }
    }

    func save(_ keys: EncapsulationKeys, in connection: any SQLConnection) throws {
        let pickle = try keys.pickle(key: key.bytes, random: random)
        let hasUnpublished = !keys.unpublishedOneTimeKeys.isEmpty || keys.unpublishedFallbackKey != nil
        try connection.execute(
            "UPDATE encapsulation_keys SET pickle = \(pickle), has_unpublished = \(hasUnpublished)")
    }
}
