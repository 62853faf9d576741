public import MatrixModel
public import SQLDatabase

/// Device keys of local users, cross-signing keys of local and remote ones, and the signatures put on all of these.
public struct DeviceKeyStore {
    /// A signature that somebody put on a key.
    public struct Signature: Sendable, Hashable {
        public var signer: UserID
        /// `ed25519:` and a device id or public key.
        public var keyID: String
        /// Base64.
        public var signature: String

        public init(signer: UserID, keyID: String, signature: String) {
            self.signer = signer
            self.keyID = keyID
            self.signature = signature
        }
    }

    /// A cross-signing key.
    public struct CrossSigningKey: Sendable, Hashable {
        /// `master`, `self_signing` or `user_signing`.
        public var usage: String
        /// The public key, base64.
        public var keyID: String
        /// The JSON object as its owner signed it.
        public var body: [UInt8]

        public init(usage: String, keyID: String, body: [UInt8]) {
            self.usage = usage
            self.keyID = keyID
            self.body = body
        }
    }

    /// All there is of one user.
    public struct UserKeys: Sendable {
        public struct Device: Sendable {
            /// The device keys object.
            public var body: [UInt8]
            public var displayName: String?
        }

        /// By device id; only local users have these here.
        public var devices: [String: Device] = [:]
        public var crossSigning: [CrossSigningKey] = []
        /// By what was signed: a device id, or the public key of a master key.
        public var signatures: [String: [Signature]] = [:]

        /// The key of a usage.
        public func key(_ usage: String) -> CrossSigningKey? { crossSigning.first { $0.usage == usage } }
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Reading

    /// The keys of users, with the signatures that `reader` may see: the users' own, and the reader's.
    public func keys(of users: some Sequence<UserID>, readableBy reader: UserID?) throws -> [UserID: UserKeys] {
        var found: [UserID: UserKeys] = [:]
        for chunk in users.map(\.self).chunks(of: Limits.bindsPerStatement) {
            let names = chunk.map(\.text)
            var byName: [String: UserKeys] = [:]
            for row in try connection.query(
                """
                SELECT k.user_id, k.device_id, k.body, d.display_name FROM device_keys k
                LEFT JOIN devices d ON d.user_id = k.user_id AND d.device_id = k.device_id
                WHERE k.user_id IN \(list: names)
                """)
            {
                byName[try row.text(0), default: UserKeys()].devices[try row.text(1)] = UserKeys.Device(
                    body: try row.bytes(2), displayName: try row.optionalText(3))
            }
            for row in try connection.query(
                "SELECT user_id, usage, key_id, body FROM cross_signing_keys WHERE user_id IN \(list: names)")
            {
                byName[try row.text(0), default: UserKeys()].crossSigning.append(
                    CrossSigningKey(usage: try row.text(1), keyID: try row.text(2), body: try row.bytes(3)))
            }
            for row in try connection.query(
                """
                SELECT target_user, target, signer, signer_key, signature FROM key_signatures
                WHERE target_user IN \(list: names) AND signer IN (target_user, \(reader?.text ?? ""))
                ORDER BY signer_key
                """)
            {
                guard let signer = try? UserID(row.text(2)) else { continue }
                byName[try row.text(0), default: UserKeys()].signatures[try row.text(1), default: []].append(
                    Signature(signer: signer, keyID: try row.text(3), signature: try row.text(4)))
            }
            for user in chunk { found[user] = byName[user.text] ?? UserKeys() }
        }
        return found
    }

    /// The keys of one user.
    public func keys(of user: UserID, readableBy reader: UserID?) throws -> UserKeys {
        try keys(of: [user], readableBy: reader)[user] ?? UserKeys()
    }

    /// The device keys object of one device.
    public func deviceKeys(of user: UserID, device: DeviceID) throws -> [UInt8]? {
        try connection.query(
            "SELECT body FROM device_keys WHERE user_id = \(user.text) AND device_id = \(device.text)"
        ).first?.bytes(0)
    }

    // MARK: Writing

    /// Puts a device's keys in the place of those it had; others' signatures on those go.
    public func save(_ body: [UInt8], user: UserID, device: DeviceID) throws {
        try removeSignatures(on: [device.text], of: user)
        _ = try connection.execute(
            """
            INSERT INTO device_keys (user_id, device_id, body) VALUES (\(user.text), \(device.text), \(body))
            ON CONFLICT (user_id, device_id) DO UPDATE SET body = excluded.body
            """)
    }

    /// Puts a key in the place of the one of that usage. The old one's signatures go with it.
    public func save(_ key: CrossSigningKey, of user: UserID) throws {
        let old = try connection.query(
            "SELECT key_id FROM cross_signing_keys WHERE user_id = \(user.text) AND usage = \(key.usage)"
        ).first?.text(0)
        if let old, old != key.keyID { try removeSignatures(on: [old], of: user) }
        _ = try connection.execute(
            """
            INSERT INTO cross_signing_keys (user_id, usage, key_id, body)
            VALUES (\(user.text), \(key.usage), \(key.keyID), \(key.body))
            ON CONFLICT (user_id, usage) DO UPDATE SET key_id = excluded.key_id, body = excluded.body
            """)
    }

    /// Removes a user's cross-signing keys but those of certain usages.
    public func removeCrossSigningKeys(of user: UserID, except usages: Set<String>) throws {
        for usage in ["master", "self_signing", "user_signing"] where !usages.contains(usage) {
            _ = try connection.execute(
                "DELETE FROM cross_signing_keys WHERE user_id = \(user.text) AND usage = \(usage)")
        }
    }

    public func add(_ signature: Signature, on target: String, of user: UserID) throws {
        _ = try connection.execute(
            """
            INSERT INTO key_signatures (target_user, target, signer, signer_key, signature)
            VALUES (\(user.text), \(target), \(signature.signer.text), \(signature.keyID), \(signature.signature))
            ON CONFLICT (target_user, target, signer, signer_key) DO UPDATE SET signature = excluded.signature
            """)
    }

    /// Forgets what belongs to keys that are gone.
    public func removeSignatures(on targets: [String], of user: UserID) throws {
        guard !targets.isEmpty else { return }
        _ = try connection.execute(
            "DELETE FROM key_signatures WHERE target_user = \(user.text) AND target IN \(list: targets)")
    }

    // MARK: The stream of changes

    /// Notes that a user's devices or cross-signing keys changed. Returns the new position and the one before.
    public func noteChange(of user: UserID) throws -> (position: Int64, previous: Int64) {
        let before = try position(of: user)
        return (try note(user, reader: "", previous: before), before)
    }

    /// Notes that `reader` put a signature on a user's key, which nobody else sees.
    public func noteChange(of user: UserID, seenBy reader: UserID) throws {
        _ = try note(user, reader: reader.text, previous: 0)
    }

    private func note(_ user: UserID, reader: String, previous: Int64) throws -> Int64 {
        let position = try StreamPositions(connection).advance("device_lists")
        _ = try connection.execute(
            """
            INSERT INTO device_list_changes (user_id, reader, position, previous)
            VALUES (\(user.text), \(reader), \(position), \(previous))
            ON CONFLICT (user_id, reader) DO UPDATE SET position = excluded.position, previous = excluded.previous
            """)
        try connection.notify("device_lists \(position)")
        return position
    }

    /// The newest change of one user that everybody sees; 0 when there was none.
    public func position(of user: UserID) throws -> Int64 {
        try connection.query(
            "SELECT position FROM device_list_changes WHERE user_id = \(user.text) AND reader = ''"
        ).first?.integer(0) ?? 0
    }
}
