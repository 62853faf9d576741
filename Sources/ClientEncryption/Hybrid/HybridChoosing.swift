public import MatrixModel
public import PostQuantum
public import SQLDatabase

/// Whether sessions begin with ML-KEM-768 as well: spec/post-quantum.md.
extension EncryptionMachine {
    /// What the user has chosen.
    public func hybridPolicy(in connection: any SQLConnection) throws -> HybridAlgorithm.Policy {
        try connection.query("SELECT hybrid_policy FROM olm_account").first?.optionalText(0)
            .flatMap(HybridAlgorithm.Policy.init) ?? .off
    }

    /// Chooses. What others see of it is published by ``hybridKeyUpload(in:)``; rooms get new keys when it is switched on.
    ///
    /// Throws `cannotSign` if our identity has signed this device and this device cannot sign itself anew: the device keys are
    /// others then, and without a new signature the device would count as unverified.
    public func setHybridPolicy(_ policy: HybridAlgorithm.Policy, in connection: any SQLConnection) throws {
        let before = try hybridPolicy(in: connection)
        if (before == .off) != (policy == .off) {
            if try isSignedByUs(in: connection), try signingKey(.selfSigning, in: connection) == nil {
                throw EncryptionError.cannotSign
            }
            try connection.execute("UPDATE olm_account SET hybrid_offer_at = 0")
            try connection.execute("UPDATE encapsulation_keys SET retry_at = 0, refusals = 0")
            // They went out over sessions without it.
            if policy != .off { try connection.execute("DELETE FROM outbound_group_sessions") }
        }
        try connection.execute("UPDATE olm_account SET hybrid_policy = \(policy.rawValue)")
    }

    /// Whether our own keys say so to others.
    public func isHybridOffered(in connection: any SQLConnection) throws -> Bool {
        try connection.query("SELECT hybrid_offered FROM olm_account").first?.bool(0) ?? false
    }

    /// Whether our identity has signed this device.
    func isSignedByUs(in connection: any SQLConnection) throws -> Bool {
        guard let own = try knownDevice(user, device, in: connection) else { return false }
        return try isCrossSigned(own, in: connection)
    }

    /// Which algorithm a new session with the device gets, if its server gave an encapsulation key of it, or not.
    func choice(
        for device: KnownDevice, hasKey: Bool, under policy: HybridAlgorithm.Policy
    ) -> HybridAlgorithm.Choice {
        HybridAlgorithm.choice(
            policy, theirAlgorithms: device.offer == .offered ? [HybridAlgorithm.name] : [], hasKey: hasKey,
            offeredBefore: device.offer != .never)
    }

    /// The session by which the device is written to; nil where there is none that may be used.
    func sessionToWrite(to device: KnownDevice, in connection: any SQLConnection) throws -> PeerSession? {
        guard let name = try sessionNameToWrite(to: device, in: connection) else { return nil }
        return try session(name.id, in: connection)
    }

    /// With a device that has nothing to do with the hybrid, it is the one heard last. With one that offers it, it is one of the
    /// kind that was begun last: a message over an older Olm session, still on its way when the new one was made, must not
    /// lead back to that; and who has lost the hybrid session begins another, of whatever kind. `kept` takes no other than
    /// hybrid ones.
    private func sessionNameToWrite(
        to device: KnownDevice, in connection: any SQLConnection
    ) throws -> SessionName? {
        let names = try sessionNames(with: device.user, device.curve25519, in: connection)
        let policy = try hybridPolicy(in: connection)
        if choice(for: device, hasKey: false, under: policy) == .refused {
            return names.first { $0.algorithm == HybridAlgorithm.name }
        }
        guard policy != .off, device.offer == .offered else { return names.first }
        let newest = names.max { $0.createdAt < $1.createdAt }?.algorithm
        return names.first { $0.algorithm == newest }
    }

    /// Devices that ought to be written to by it and are not: of these users, or of all. At most a hundred.
    public func suspiciousDevices(
        of users: [UserID]?, in connection: any SQLConnection
    ) throws -> [(device: KnownDevice, standing: HybridStanding)] {
        guard try hybridPolicy(in: connection) != .off else { return [] }
        let wanted = users.map { Set($0) }
        let rows = try connection.query(
            """
            SELECT \(KnownDevice.columns) FROM devices WHERE hybrid_offer <> \(HybridOffer.never.rawValue) AND gone = 0
            ORDER BY user_id, device_id
            """)
        var found: [(KnownDevice, HybridStanding)] = []
        for row in rows where found.count < Limits.suspiciousDevices {
            let device = try KnownDevice(row)
            guard wanted?.contains(device.user) ?? true, let standing = try hybridStanding(of: device, in: connection),
                standing.isSuspicious
            else { continue }
            found.append((device, standing))
        }
        return found
    }

    /// Where the device stands; nil where this device has it off, or the other has never offered it.
    public func hybridStanding(
        of device: KnownDevice, in connection: any SQLConnection
    ) throws -> HybridStanding? {
        guard try hybridPolicy(in: connection) != .off else { return nil }
        if device.user == user, device.device == self.device {
            return try isHybridOffered(in: connection) ? .offered : nil
        }
        guard device.offer != .never else { return nil }
        if try sessionNameToWrite(to: device, in: connection)?.algorithm == HybridAlgorithm.name { return .used }
        guard device.offer == .offered else { return .withdrawn }
        let isWithheld = try !connection.query(
            """
            SELECT 1 FROM devices WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND hybrid_claim_failures > 0
            """
        ).isEmpty
        return isWithheld ? .withheld : .offered
    }
}
