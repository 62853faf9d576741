internal import MatrixModel
internal import PostQuantum
internal import SQLDatabase

/// Encapsulation keys of other devices: claimed first, and kept until the other half of what a session needs is there.
extension EncryptionMachine {
    /// Devices with which a session begun with ML-KEM-768 would be better than what there is, if it is time to ask.
    func lacksHybridSession(under policy: HybridAlgorithm.Policy) -> SQL {
        guard policy != .off else { return "1 = 0" }
        let now = now()
        let latest: SQL = """
            COALESCE((SELECT algorithm FROM olm_sessions WHERE olm_sessions.user_id = devices.user_id
                AND olm_sessions.curve25519 = devices.curve25519
                ORDER BY created_at DESC LIMIT 1), '')
            """
        let any: SQL = """
            EXISTS (SELECT 1 FROM olm_sessions WHERE olm_sessions.user_id = devices.user_id
                AND olm_sessions.curve25519 = devices.curve25519 AND algorithm = \(HybridAlgorithm.name))
            """
        let isWithdrawnAndKept: SQL =
            policy == .kept
            ? "hybrid_offer = \(HybridOffer.withdrawn.rawValue) AND NOT \(any)" : "1 = 0"
        return """
            ((hybrid_claim_at <= \(now) OR hybrid_claim_at > \(now + Limits.longestRetryMilliseconds)) AND (
                (hybrid_offer = \(HybridOffer.offered.rawValue) AND \(latest) <> \(HybridAlgorithm.name))
                OR (\(isWithdrawnAndKept))))
            """
    }

    /// Whether a new session with the device may be of this kind, or is refused if it cannot be.
    func wantsEncapsulationKey(_ device: KnownDevice, under policy: HybridAlgorithm.Policy) -> Bool {
        choice(for: device, hasKey: true, under: policy) != .plain
    }

    /// Whether its server has just been asked, whatever it said.
    func hasAskedForEncapsulationKey(_ device: KnownDevice, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM claimed_encapsulation_keys
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND NOT \(Period.isOver(Limits.claimedKeyMilliseconds, since: "claimed_at", at: now()))
            """
        ).isEmpty
    }

    /// The key that was claimed of the device, if one was.
    func claimedEncapsulationKey(of device: KnownDevice, in connection: any SQLConnection) throws -> [UInt8]? {
        guard try hasAskedForEncapsulationKey(device, in: connection) else { return nil }
        return try connection.query(
            """
            SELECT key FROM claimed_encapsulation_keys
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
            """
        ).first?.optionalBytes(0)
    }

    func forgetEncapsulationKey(of device: KnownDevice, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            DELETE FROM claimed_encapsulation_keys
            WHERE (user_id = \(device.user.text) AND device_id = \(device.device.text))
                OR \(Period.isOver(Limits.claimedKeyMilliseconds, since: "claimed_at", at: now()))
            """)
    }

    /// Takes in what a server gave for a device that offers the key agreement, or did. If that is nothing, it is said, and the
    /// policy decides: by Olm, for now, or not at all, and then the device is told that there is no session.
    func takeEncapsulationKey(
        of device: KnownDevice, _ keys: JSONView?, _ outcome: inout SyncOutcome, in connection: any SQLConnection
    ) throws {
        var key: [UInt8]?
        var problem = "its keys do not name it any more"
        if device.offer == .offered {
            do { key = try encapsulationKey(of: device, keys) } catch {
                problem = keys == nil ? "its server gives no key" : "\(error)"
            }
        }
        try forgetEncapsulationKey(of: device, in: connection)
        let policy = try hybridPolicy(in: connection)
        let choice = choice(for: device, hasKey: key != nil, under: policy)
        if choice != .hybrid, policy != .off {
            let what = choice == .refused ? "nothing is sent to it without" : "written to without, by Olm"
            outcome.warnings.append(
                "\(device.user)'s device \(device.device) offers the post-quantum key agreement, but \(problem): \(what)"
            )
            try postponeHybridClaim(device, in: connection)
        }
        if choice == .refused {
            try postponeClaim(device, in: connection)
            let isMute = try sessionToWrite(to: device, in: connection) == nil || needsSession(device, in: connection)
            if isMute {
                try tellOfMissingSession(
                    device, reason: "The sender uses post-quantum keys with this device, and got none of it",
                    in: connection)
            }
            return
        }
        // That there is none is noted where an Olm session is needed all the same.
        guard try key != nil || needsSession(device, in: connection) else { return }
        try connection.execute(
            """
            INSERT INTO claimed_encapsulation_keys
            VALUES (\(device.user.text), \(device.device.text), \(key), \(now()))
            """)
    }

    private func encapsulationKey(of device: KnownDevice, _ keys: JSONView?) throws -> [UInt8] {
        let key = try verifiedKey(HybridAlgorithm.keyAlgorithm, of: device, among: keys)
        guard HybridAlgorithm.isEncapsulationKey(key) else {
            throw EncryptionError.malformed(path: "one_time_keys.key")
        }
        return key
    }

    /// Whether there is none with the device, or only broken ones.
    func needsSession(_ device: KnownDevice, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM devices WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND (unwedge_wanted = 1 OR NOT EXISTS (
                    SELECT 1 FROM olm_sessions
                    WHERE olm_sessions.user_id = devices.user_id AND olm_sessions.curve25519 = devices.curve25519))
            """
        ).isEmpty
    }

    func noteHybridSession(with device: KnownDevice, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE devices SET hybrid_claim_at = 0, hybrid_claim_failures = 0
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
            """)
    }

    private func postponeHybridClaim(_ device: KnownDevice, in connection: any SQLConnection) throws {
        let row = try connection.query(
            """
            UPDATE devices SET hybrid_claim_failures = hybrid_claim_failures + 1
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text) RETURNING hybrid_claim_failures
            """
        ).first
        try connection.execute(
            """
            UPDATE devices SET hybrid_claim_at = \(retryTime(after: try row?.integer(0) ?? 1))
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
            """)
    }
}
