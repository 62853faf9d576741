internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import PostQuantum
internal import Ratchet
public import SQLDatabase

/// An upload of keys to be made, and what it contains.
public struct KeyUpload: Sendable {
    /// `POST /keys/upload`
    public let call: APICall
    let mark: UInt64
    let hasFallbackKey: Bool
    let hasOneTimeKeys: Bool
    var kind = Kind.account

    /// What it is about.
    enum Kind: Sendable {
        /// Device keys and Olm's keys.
        case account
        /// Keys for ML-KEM-768.
        case encapsulationKeys
        /// Device keys that offer the hybrid, or do no more.
        case offer(Bool, keys: JSONValue)
    }

    /// Whether all else goes on if the server refuses it.
    public var isOptional: Bool { if case .account = kind { false } else { true } }
}

extension EncryptionMachine {
    /// The upload that is due: device keys once, one-time keys below half of the maximum, a fallback key that was used or
    /// is a week old. Keys are in the store before they are published; an upload without an answer is repeated with the
    /// same keys. Where the server does not say how many keys it has, it is asked by an upload of none.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#uploading-keys>
    public func keyUpload(in connection: any SQLConnection) throws -> KeyUpload? {
        let due = try keysDue(in: connection)
        guard due.isAny else { return nil }
        var account = due.account
        if due.missing > 0 { account.generateOneTimeKeys(due.missing, random: random) }
        if due.step.forgetsPrevious { account.forgetPreviousFallbackKey() }
        if due.step.makesNext { account.generateFallbackKey(random: random) }
        if due.changesFallback {
            try connection.execute(
                """
                UPDATE olm_account
                SET fallback_made_at = \(due.age.madeAt), fallback_replaced_at = \(due.age.replacedAt)
                """)
        }
        // Before they are published.
        if due.missing > 0 || due.changesFallback { try save(account, in: connection) }
        let fallback = account.unpublishedFallbackKey
        let oneTimeKeys = account.unpublishedOneTimeKeys
        guard !due.isUploaded || !oneTimeKeys.isEmpty || fallback != nil else {
            guard due.wantsCount else { return nil }
            try connection.execute("UPDATE olm_account SET counted_at = \(now())")
            return KeyUpload(
                call: APICall(.uploadKeys, body: [:]), mark: account.uploadMark, hasFallbackKey: false,
                hasOneTimeKeys: false)
        }

        var body: JSONValue = [:]
        if !due.isUploaded { body["device_keys"] = deviceKeys(account) }
        if !oneTimeKeys.isEmpty {
            body["one_time_keys"] = .object(
                Dictionary(
                    oneTimeKeys.map {
                        ("signed_curve25519:\($0.id)", signedKey($0.publicKey.bytes, account, isFallback: false))
                    }
                ) { $1 })
        }
        if let fallback {
            body["fallback_keys"] = [
                "signed_curve25519:\(fallback.id)": signedKey(fallback.publicKey.bytes, account, isFallback: true)
            ]
        }
        return KeyUpload(
            call: APICall(.uploadKeys, body: body), mark: account.uploadMark, hasFallbackKey: fallback != nil,
            hasOneTimeKeys: !oneTimeKeys.isEmpty)
    }

    /// Whether ``keyUpload(in:)`` has something to do. Most syncs leave nothing, and then nothing need be written.
    public func owesKeys(in connection: any SQLConnection) throws -> Bool { try keysDue(in: connection).isAny }

    private struct KeysDue {
        let account: OlmAccount
        let isUploaded: Bool
        /// One-time keys to be made.
        var missing = 0
        let age: FallbackAge
        let step: (forgetsPrevious: Bool, makesNext: Bool)
        /// Whether the server is to be asked how many it has.
        let wantsCount: Bool

        var changesFallback: Bool { step.forgetsPrevious || step.makesNext }
        var isAny: Bool {
            !isUploaded || missing > 0 || changesFallback || wantsCount || !account.unpublishedOneTimeKeys.isEmpty
                || account.unpublishedFallbackKey != nil
        }
    }

    private func keysDue(in connection: any SQLConnection) throws -> KeysDue {
        guard
            let row = try connection.query(
                """
                SELECT uploaded, keys_on_server, counted_at, fallback_unused, fallback_made_at, fallback_replaced_at
                FROM olm_account
                """
            ).first
        else { throw EncryptionError.damagedStore(what: "the account") }
        let (isUploaded, onServer, now) = (try row.bool(0), try row.optionalInteger(1), now())
        let isCountOld = Period.isOver(Limits.countMilliseconds, since: try row.integer(2), at: now)
        let account = try account(in: connection)
        var age = FallbackAge(
            isUnused: try row.bool(3), madeAt: try row.integer(4), replacedAt: try row.optionalInteger(5))
        let step =
            isUploaded
            ? age.step(at: now, isUnpublished: account.unpublishedFallbackKey != nil)
            : (forgetsPrevious: false, makesNext: false)
        var due = KeysDue(
            account: account, isUploaded: isUploaded, age: age, step: step,
            wantsCount: onServer == nil && isCountOld)
        if onServer != nil || !isUploaded {
            // The server's word: any number.
            let held = Int(min(max(onServer ?? 0, 0), Int64(OlmAccount.maximumOneTimeKeys)))
            due.missing = max(
                OlmAccount.maximumOneTimeKeys / 2 - held - account.unpublishedOneTimeKeys.count, 0)
        }
        return due
    }

    /// After the server took the upload.
    public func uploaded(_ upload: KeyUpload, response: JSONView, in connection: any SQLConnection) throws {
        let counts = response["one_time_key_counts"]
        try connection.execute(
            """
            UPDATE encapsulation_keys SET keys_on_server = \(counts?[HybridAlgorithm.keyAlgorithm]?.integer ?? 0)
            """)
        switch upload.kind {
        case .account: break
        case .encapsulationKeys: return try uploadedEncapsulationKeys(upload, in: connection)
        case .offer(let isOffered, let keys): return try uploadedOffer(isOffered, keys, in: connection)
        }
        var account = try account(in: connection)
        account.markPublished(upTo: upload.mark)
        try save(account, in: connection)
        if upload.hasFallbackKey {
            // The first one replaces none.
            try connection.execute(
                """
                UPDATE olm_account SET fallback_unused = 1,
                    fallback_replaced_at = CASE WHEN uploaded = 1 THEN \(now()) ELSE NULL END
                """)
        }
        let count = counts?["signed_curve25519"]?.integer ?? 0
        try connection.execute("UPDATE olm_account SET uploaded = 1, keys_on_server = \(count)")
    }

    /// After the server refused the upload: it has other keys under these names, because this store was put back to an
    /// earlier state. Others are made at the next upload; those refused stay, should one of them have been taken after all.
    /// - Returns: whether another attempt may help.
    public func refused(_ upload: KeyUpload, in connection: any SQLConnection) throws -> Bool {
        switch upload.kind {
        case .account: break
        case .encapsulationKeys: return try refusedEncapsulationKeys(upload, in: connection)
        case .offer:
            try refusedOffer(in: connection)
            return false
        }
        guard upload.hasOneTimeKeys else { return false }
        var account = try account(in: connection)
        let lacksFallback = account.unpublishedFallbackKey != nil
        account.markPublished(upTo: upload.mark)
        // The same key under another name: a further one would drive out the one that the server still gives away.
        if lacksFallback { account.renameFallbackKey() }
        try save(account, in: connection)
        return true
    }

    /// The signed identity of this device.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#device-keys>
    func deviceKeys(_ account: OlmAccount, offersHybrid: Bool = false) -> JSONValue {
        let algorithms = [Algorithm.olm, Algorithm.megolm] + (offersHybrid ? [HybridAlgorithm.name] : [])
        let keys: JSONValue = [
            "user_id": .string(user.text),
            "device_id": .string(device.text),
            "algorithms": .array(algorithms.map { .string($0) }),
            "keys": [
                "curve25519:\(device.text)": .string(Base64.encode(account.curve25519Key.bytes)),
                "ed25519:\(device.text)": .string(Base64.encode(account.ed25519Key.bytes)),
            ],
        ]
        return sign(keys, account)
    }

    /// A one-time or fallback key as it is uploaded.
    func signedKey(_ key: [UInt8], _ account: OlmAccount, isFallback: Bool) -> JSONValue {
        var value: JSONValue = ["key": .string(Base64.encode(key))]
        if isFallback { value["fallback"] = true }
        return sign(value, account)
    }

    private func sign(_ value: JSONValue, _ account: OlmAccount) -> JSONValue {
        SignedJSON.sign(
            value, as: user.text, keyID: "ed25519:\(device.text)", with: account.ed25519SigningKey)
    }
}

/// The names of the algorithms we speak.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#messaging-algorithms>
enum Algorithm {
    static let olm = "m.olm.v1.curve25519-aes-sha2"
    static let megolm = "m.megolm.v1.aes-sha2"
}
