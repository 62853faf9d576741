internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// The questions about trust that everything else asks.
extension EncryptionMachine {
    /// The identity of a user as the server shows it; nil where it has shown none.
    public func identity(of user: UserID, in connection: any SQLConnection) throws -> UserIdentity? {
        try connection.query(
            "SELECT \(UserIdentity.columns) FROM user_identities WHERE user_id = \(user.text)"
        ).first.map(UserIdentity.init)
    }

    /// Whether we have verified the user: our own identity is trusted by this device, and its user-signing key has
    /// signed the user's master key. For ourselves: whether this device trusts the identity.
    public func isVerified(_ user: UserID, in connection: any SQLConnection) throws -> Bool {
        guard let own = try identity(of: self.user, in: connection), own.verified == own.master else { return false }
        guard user != self.user else { return true }
        guard let other = try identity(of: user, in: connection), let signer = own.userSigning else { return false }
        return other.vouchedBy == signer
    }

    /// Whether the device, with just these keys, is signed by its owner's self-signing key. It says nothing about whether
    /// the owner is verified.
    public func isCrossSigned(_ device: KnownDevice, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM devices WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND curve25519 = \(device.curve25519) AND ed25519 = \(device.ed25519) AND \(Self.isCrossSigned)
            """
        ).isEmpty
    }

    /// The same as a condition on a row of `devices`.
    static let isCrossSigned: SQL = """
        EXISTS (
            SELECT 1 FROM signed_devices JOIN user_identities ON user_identities.user_id = signed_devices.user_id
            WHERE signed_devices.user_id = devices.user_id AND signed_devices.device_id = devices.device_id
                AND signed_devices.curve25519 = devices.curve25519 AND signed_devices.ed25519 = devices.ed25519
                AND signed_devices.self_signing = user_identities.self_signing)
        """

    /// Whether the user's identity is another than the one pinned or verified, and how much that matters.
    public func identityChange(of user: UserID, in connection: any SQLConnection) throws -> IdentityChange? {
        try identity(of: user, in: connection)?.change
    }

    /// Whether the device is one of our own that our trusted identity has signed, or this one: it may get secrets and
    /// room keys on request.
    public func isOwnVerified(_ device: KnownDevice, in connection: any SQLConnection) throws -> Bool {
        guard device.user == user, !device.hasChanged else { return false }
        if device.device == self.device {
            let account = try account(in: connection)
            return device.curve25519 == Base64.encode(account.curve25519Key.bytes)
                && device.ed25519 == Base64.encode(account.ed25519Key.bytes)
        }
        return try isVerified(user, in: connection) && isCrossSigned(device, in: connection)
    }

    /// How sure it is that the device is its owner's. One that was verified by itself, on this device, counts as verified.
    public func standing(of device: KnownDevice, in connection: any SQLConnection) throws -> SenderStanding {
        if try isLocallyVerified(device, in: connection) { return .verified }
        if device.user == user, try isOwnVerified(device, in: connection) { return .verified }
        guard try isCrossSigned(device, in: connection) else { return .notCrossSigned }
        return try isVerified(device.user, in: connection) ? .verified : .crossSigned
    }

    /// Takes the identity that the server shows now for the user's, at our user's word. It is pinned, not verified.
    public func acceptIdentity(of user: UserID, in connection: any SQLConnection) throws {
        try connection.execute(
            "UPDATE user_identities SET pinned = master, verified = NULL WHERE user_id = \(user.text)")
        try forgetNotice(of: user, nil, in: connection)
        // Who is verified all the same stays so.
        try latchVerified(in: connection)
    }

    /// Throws `changedIdentity` for the first of `users` who had been verified and has another identity now.
    func refuseChangedIdentities(of users: some Sequence<UserID>, in connection: any SQLConnection) throws {
        let changed = try askAbout(users) { names in
            try connection.query(
                """
                SELECT \(UserIdentity.columns) FROM user_identities
                WHERE user_id IN \(list: names) AND verified <> master ORDER BY user_id
                """
            ).map(UserIdentity.init)
        }
        if let first = changed.first(where: { $0.change == .afterVerification }) {
            throw EncryptionError.changedIdentity(user: first.user)
        }
    }

    /// The identity that the server shows for us is ours: this device verified it, or holds its private key.
    func trustOwnIdentity(master: String, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE user_identities SET verified = master, pinned = master
            WHERE user_id = \(user.text) AND master = \(master)
            """)
        try latchVerified(in: connection)
    }

    /// Trusts our identity if this device holds its private master key; new keys that the server shows now are no longer
    /// pending.
    func reviewOwnIdentity(in connection: any SQLConnection) throws {
        guard let own = try identity(of: user, in: connection) else { return }
        if let pending = try pendingIdentity(in: connection), pending.text(of: .master) == own.master {
            try pending.keep(in: self, connection)
            try forgetPendingIdentity(in: connection)
        }
        if try signingKey(.master, in: connection) != nil {
            try trustOwnIdentity(master: own.master, in: connection)
        }
    }
}
