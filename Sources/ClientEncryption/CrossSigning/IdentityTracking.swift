internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// What `/keys/query` says about identities.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>
extension EncryptionMachine {
    /// Takes the cross-signing keys of users in, and which of their devices those signed, whose keys were verified and taken in
    /// before. A key that is not signed as it must be counts as missing. `met` are those who were known before.
    func takeIdentities(
        of users: [UserID: [DeviceKeys]], _ met: Set<UserID>, _ response: JSONView, _ outcome: inout SyncOutcome,
        in connection: any SQLConnection
    ) throws {
        // Ours first: whether others are verified depends on it.
        for (user, devices) in users.sorted(by: {
            ($0.key != self.user ? 1 : 0, $0.key) < ($1.key != self.user ? 1 : 0, $1.key)
        }) {
            do {
                if let view = response["master_keys"]?[user.text], view.isObject {
                    let before = try identity(of: user, in: connection)?.master
                    try takeIdentity(of: user, view, response, &outcome, in: connection)
                    if met.contains(user), try identity(of: user, in: connection)?.master != before {
                        try noteNewIdentity(of: user, in: connection)
                    }
                }
                try takeSignatures(of: user, devices, response["device_keys"]?[user.text], in: connection)
            } catch let error as EncryptionError {
                outcome.warnings.append("the identity of \(user) was left out: \(error)")
            }
        }
        try latchVerified(in: connection)
        if users[user] != nil, try reviewOfferSignature(in: connection) {
            outcome.warnings.append(
                """
                the server keeps our identity's signature on this device's keys before, so that whether they offer the \
                post-quantum key agreement cannot be changed: it can for a new login that is not verified yet
                """)
        }
    }

    private func takeIdentity(
        of user: UserID, _ view: JSONView, _ response: JSONView, _ outcome: inout SyncOutcome,
        in connection: any SQLConnection
    ) throws {
        let master = try CrossSigningKey(view, of: user, usage: .master)
        guard let object = try? CanonicalJSON.encode(view, omitting: ["unsigned"], strict: false),
            object.count <= Limits.identityBytes
        else { throw EncryptionError.malformed(path: "master_keys") }
        let selfSigning = key(.selfSigning, "self_signing_keys", of: user, response, master, &outcome)
        let userSigning =
            user == self.user ? key(.userSigning, "user_signing_keys", of: user, response, master, &outcome) : nil
        let known = try identity(of: user, in: connection)
        if let known, known.master != master.text {
            let change: IdentityChange = known.verified == nil ? .afterPinning : .afterVerification
            outcome.changedIdentities.append(ChangedIdentity(user: user, change: change))
        }
        try connection.execute(
            """
            INSERT INTO user_identities VALUES (\(user.text), \(master.text), \(object), \(selfSigning?.text),
                \(userSigning?.text), \(master.text), NULL, NULL, \(now()))
            ON CONFLICT (user_id) DO UPDATE SET master = excluded.master, master_object = excluded.master_object,
                self_signing = excluded.self_signing, user_signing = excluded.user_signing
            """)
        if user == self.user {
            if known?.userSigning != userSigning?.text { try reviewVouches(in: connection) }
            try reviewOwnIdentity(in: connection)
        } else {
            try reviewVouch(for: user, object, in: connection)
        }
    }

    private func key(
        _ usage: CrossSigningKey.Usage, _ field: String, of user: UserID, _ response: JSONView,
        _ master: CrossSigningKey, _ outcome: inout SyncOutcome
    ) -> CrossSigningKey? {
        guard let view = response[field]?[user.text], view.isObject else { return nil }
        do {
            return try CrossSigningKey(view, of: user, usage: usage, signedBy: master)
        } catch {
            outcome.warnings.append("the \(usage.rawValue) key of \(user) was left out: \(error)")
            return nil
        }
    }

    private func takeSignatures(
        of user: UserID, _ devices: [DeviceKeys], _ views: JSONView?, in connection: any SQLConnection
    ) throws {
        let identity = try identity(of: user, in: connection)
        let signer = try identity?.selfSigning.map { try CrossSigningKey($0, usage: .selfSigning) }
        for keys in devices {
            let name = keys.device.text
            guard let view = views?[name] else { continue }
            if user == self.user { try keepOwnObject(view, of: keys.device, in: connection) }
            if let signer,
                SignedJSON.verify(view, entity: user.text, keyID: signer.keyID, key: signer.publicKey)
            {
                try connection.execute(
                    """
                    INSERT INTO signed_devices VALUES (\(user.text), \(name), \(Base64.encode(keys.curve25519.bytes)),
                        \(Base64.encode(keys.ed25519.bytes)), \(signer.text))
                    ON CONFLICT (user_id, device_id) DO UPDATE SET curve25519 = excluded.curve25519,
                        ed25519 = excluded.ed25519, self_signing = excluded.self_signing
                    """)
            } else {
                try connection.execute(
                    "DELETE FROM signed_devices WHERE user_id = \(user.text) AND device_id = \(name)")
            }
        }
        // Devices whose pins are forgotten.
        try connection.execute(
            """
            DELETE FROM signed_devices WHERE user_id = \(user.text) AND NOT EXISTS (
                SELECT 1 FROM devices
                WHERE devices.user_id = signed_devices.user_id AND devices.device_id = signed_devices.device_id)
            """)
        guard user == self.user else { return }
        try connection.execute(
            """
            DELETE FROM own_device_objects WHERE device_id NOT IN (
                SELECT device_id FROM devices WHERE user_id = \(user.text))
            """)
    }

    /// What a signature of one of our devices covers.
    func keepOwnObject(_ view: JSONView, of device: DeviceID, in connection: any SQLConnection) throws {
        guard let object = try? CanonicalJSON.encode(view, omitting: ["unsigned", "signatures"], strict: false),
            object.count <= Limits.identityBytes
        else { return }
        try connection.execute(
            """
            INSERT INTO own_device_objects VALUES (\(device.text), \(object))
            ON CONFLICT (device_id) DO UPDATE SET object = excluded.object
            """)
    }

    // MARK: Vouching

    private func reviewVouches(in connection: any SQLConnection) throws {
        for row in try connection.query(
            "SELECT user_id, master_object FROM user_identities WHERE user_id <> \(user.text)")
        {
            try reviewVouch(for: try UserID(try row.text(0)), try row.bytes(1), in: connection)
        }
    }

    /// Notes whether our user-signing key has signed the master key.
    private func reviewVouch(for other: UserID, _ object: [UInt8], in connection: any SQLConnection) throws {
        var vouchedBy: String?
        if let text = try identity(of: user, in: connection)?.userSigning {
            let signer = try CrossSigningKey(text, usage: .userSigning)
            if let view = try? JSONDocument(object).root,
                SignedJSON.verify(view, entity: user.text, keyID: signer.keyID, key: signer.publicKey)
            {
                vouchedBy = text
            }
        }
        try connection.execute(
            "UPDATE user_identities SET vouched_by = \(vouchedBy) WHERE user_id = \(other.text)")
    }

    /// Who is verified now has been verified once: a later change stops sending.
    func latchVerified(in connection: any SQLConnection) throws {
        guard let own = try identity(of: user, in: connection), own.verified == own.master,
            let signer = own.userSigning
        else { return }
        try connection.execute(
            """
            UPDATE user_identities SET verified = master, pinned = master
            WHERE user_id <> \(user.text) AND vouched_by = \(signer)
            """)
    }
}
