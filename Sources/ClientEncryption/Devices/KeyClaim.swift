internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import PostQuantum
internal import Ratchet
public import SQLDatabase

/// A `/keys/claim` to be made, and for which devices.
public struct KeyClaim: Sendable {
    /// `POST /keys/claim`
    public let call: APICall
    /// Whether it asks for encapsulation keys: a server that refuses it gives none, and the answer is `{}`.
    public let isForEncapsulationKeys: Bool
    let devices: [KnownDevice]

    init(_ devices: [KnownDevice], isForEncapsulationKeys: Bool) {
        var asked: JSONValue = [:]
        // One that does not offer them any more is not asked, but judged.
        for device in devices where !isForEncapsulationKeys || device.offer == .offered {
            var ofUser = asked[device.user.text] ?? [:]
            ofUser[device.device.text] =
                isForEncapsulationKeys ? .string(HybridAlgorithm.keyAlgorithm) : "signed_curve25519"
            asked[device.user.text] = ofUser
        }
        call = APICall(
            .claimKeys, body: ["one_time_keys": asked, "timeout": .integer(Limits.remoteKeysMilliseconds)])
        self.isForEncapsulationKeys = isForEncapsulationKeys
        self.devices = devices
    }
}

extension EncryptionMachine {
    /// The claim that is due so that all devices of `users` that may have keys, and those to whom a new session is owed,
    /// can be written to. Where sessions begin with ML-KEM-768 as well, keys for that are claimed before; ask again after each.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#claiming-one-time-keys>
    public func keyClaim(
        for users: [UserID], purpose: RoomKeyPurpose = .messages, in connection: any SQLConnection
    ) throws -> KeyClaim? {
        let (now, silent) = (now(), try silentServers(in: connection))
        let policy = try hybridPolicy(in: connection)
        var wanted: [KnownDevice] = []
        func add(_ candidates: [RoomKeyCandidate], where isWanted: (RoomKeyCandidate) throws -> Bool) throws {
            for candidate in candidates {
                let device = candidate.device
                guard isDue(candidate.claimAt, at: now), !silent.contains(device.user.serverName.text),
                    !(device.user == user && device.device == self.device), !wanted.contains(device),
                    wanted.count < Limits.devicesPerClaim, try isWanted(candidate)
                else { continue }
                wanted.append(device)
            }
        }
        let sharing = try purpose.sharing ?? sharing(in: connection)
        let withoutSession: SQL = """
            changed = 0 AND (
                NOT EXISTS (
                    SELECT 1 FROM olm_sessions
                    WHERE olm_sessions.user_id = devices.user_id AND olm_sessions.curve25519 = devices.curve25519)
                OR \(lacksHybridSession(under: policy)))
            """
        try add(candidates(among: users, where: withoutSession, in: connection)) {
            $0.entitlement(under: sharing) == .entitled
        }
        try add(candidates(where: "unwedge_wanted = 1 AND gone = 0 AND changed = 0", in: connection)) {
            !$0.device.isBlocked
        }
        let asks: SQL = "device_id IN (SELECT device_id FROM incoming_key_requests) AND \(withoutSession)"
        try add(candidates(among: [user], where: asks, in: connection)) {
            try isOwnVerified($0.device, in: connection)
        }
        guard !wanted.isEmpty else { return nil }
        let first = try wanted.filter { device in
            try wantsEncapsulationKey(device, under: policy) && !hasAskedForEncapsulationKey(device, in: connection)
        }
        return first.isEmpty
            ? KeyClaim(wanted, isForEncapsulationKeys: false) : KeyClaim(first, isForEncapsulationKeys: true)
    }

    /// Makes the sessions. A device without a key, or with one that does not verify, is left out for a while, and told
    /// so once.
    public func claimed(_ claim: KeyClaim, response: JSONView, in connection: any SQLConnection) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        let failed = Set((response["failures"]?.members ?? []).map(\.key))
        for server in failed.intersection(claim.devices.map(\.user.serverName.text)) {
            try notReached(server, in: connection)
        }
        let account = try account(in: connection)
        for device in claim.devices {
            let keys = response["one_time_keys"]?[device.user.text]?[device.device.text]
            if keys == nil, failed.contains(device.user.serverName.text) { continue }
            if claim.isForEncapsulationKeys {
                try takeEncapsulationKey(of: device, keys, &outcome, in: connection)
                continue
            }
            do {
                let session = try session(with: device, keys, account, in: connection)
                try insert(session, with: device.user, device.curve25519, isHeard: false, in: connection)
                try connection.execute(
                    """
                    UPDATE devices SET claim_at = 0, claim_failures = 0, no_olm_told = 0
                    WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                    """)
                if case .hybrid = session { try noteHybridSession(with: device, in: connection) }
                if try wantsUnwedging(device, in: connection) { try unwedge(device, in: connection) }
            } catch let error as DatabaseError {
                throw error
            } catch {
                outcome.warnings.append("no session with \(device.user) \(device.device): \(error)")
                try postponeClaim(device, in: connection)
                if try needsSession(device, in: connection) { try tellOfMissingSession(device, in: connection) }
            }
            try forgetEncapsulationKey(of: device, in: connection)
        }
        try answerKeyRequests(in: connection)
        return outcome
    }

    private func session(
        with device: KnownDevice, _ keys: JSONView?, _ account: OlmAccount, in connection: any SQLConnection
    ) throws -> PeerSession {
        let identity = try Curve25519.PublicKey(Base64.decode(device.curve25519) ?? [])
        let oneTimeKey = try Curve25519.PublicKey(try verifiedKey("signed_curve25519", of: device, among: keys))
        let encapsulationKey = try claimedEncapsulationKey(of: device, in: connection)
        let policy = try hybridPolicy(in: connection)
        switch (choice(for: device, hasKey: encapsulationKey != nil, under: policy), encapsulationKey) {
        case (.hybrid, let encapsulationKey?):
            return .hybrid(
                try HybridSession(
                    account: account, identityKey: identity, oneTimeKey: oneTimeKey,
                    encapsulationKey: encapsulationKey, random: random))
        case (.plain, _):
            return .olm(
                try account.outboundSession(identityKey: identity, oneTimeKey: oneTimeKey, random: random))
        default: throw EncryptionError.mismatch(rule: "a device that offered ML-KEM-768 is not written to without it")
        }
    }

    /// The one key of this algorithm among those claimed, signed by its device.
    func verifiedKey(_ algorithm: String, of device: KnownDevice, among keys: JSONView?) throws -> [UInt8] {
        guard let (_, signed) = keys?.members.first(where: { $0.key.hasPrefix(algorithm + ":") }) else {
            throw EncryptionError.malformed(path: "one_time_keys")
        }
        guard let fingerprint = Base64.decode(device.ed25519),
            let text = signed["key"]?.string, text.utf8.count <= Limits.encapsulationKeyCharacters,
            let key = Base64.decode(text)
        else { throw EncryptionError.malformed(path: "one_time_keys.key") }
        guard
            SignedJSON.verify(
                signed, entity: device.user.text, keyID: "ed25519:\(device.device.text)",
                key: try Ed25519.PublicKey(fingerprint))
        else { throw EncryptionError.mismatch(rule: "a one-time key is signed by its device") }
        return key
    }

    func postponeClaim(_ device: KnownDevice, in connection: any SQLConnection) throws {
        let row = try connection.query(
            """
            UPDATE devices SET claim_failures = claim_failures + 1
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text) RETURNING claim_failures
            """
        ).first
        try connection.execute(
            """
            UPDATE devices SET claim_at = \(retryTime(after: try row?.integer(0) ?? 1))
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
            """)
    }

    private func wantsUnwedging(_ device: KnownDevice, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM devices WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND unwedge_wanted = 1
            """
        ).isEmpty
    }

    /// Tells the other side of the new session, so that it uses it from now on.
    private func unwedge(_ device: KnownDevice, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE devices SET unwedge_wanted = 0, unwedged_at = \(now())
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
            """)
        guard let message = try encrypt("m.dummy", [:], to: device, in: connection) else { return }
        try enqueue([(device, message)], in: connection)
    }
}
