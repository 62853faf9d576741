public import MatrixModel
public import SQLDatabase

/// Device keys and cross-signing keys of local users, the signatures others put on them, and what is known of remote users'.
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
    public struct CrossSigningKey: Sendable {
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

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Devices of local users

    public func save(_ body: [UInt8], user: UserID, device: DeviceID) throws {
        _ = try connection.execute(
            """
            INSERT INTO device_keys (user_id, device_id, body) VALUES (\(user.text), \(device.text), \(body))
            ON CONFLICT (user_id, device_id) DO UPDATE SET body = excluded.body
            """)
    }

    /// The device keys of a user, by device id.
    public func deviceKeys(of user: UserID) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for row in try connection.query("SELECT device_id, body FROM device_keys WHERE user_id = \(user.text)") {
            found[try row.text(0)] = try row.bytes(1)
        }
        return found
    }

    public func deviceKeys(of user: UserID, device: DeviceID) throws -> [UInt8]? {
        try connection.query(
            "SELECT body FROM device_keys WHERE user_id = \(user.text) AND device_id = \(device.text)"
        ).first?.bytes(0)
    }

    // MARK: Cross-signing keys

    public func crossSigningKeys(of user: UserID) throws -> [CrossSigningKey] {
        try connection.query(
            "SELECT usage, key_id, body FROM cross_signing_keys WHERE user_id = \(user.text) ORDER BY usage"
        ).map { CrossSigningKey(usage: try $0.text(0), keyID: try $0.text(1), body: try $0.bytes(2)) }
    }

    /// Puts a key in the place of the one of that usage. The old one's signatures go with it.
    public func save(_ key: CrossSigningKey, of user: UserID) throws {
        let old = try connection.query(
            "SELECT key_id FROM cross_signing_keys WHERE user_id = \(user.text) AND usage = \(key.usage)"
        ).first?.text(0)
        if let old, old != key.keyID {
            _ = try connection.execute(
                "DELETE FROM key_signatures WHERE target_user = \(user.text) AND target = \(old)")
        }
        _ = try connection.execute(
            """
            INSERT INTO cross_signing_keys (user_id, usage, key_id, body)
            VALUES (\(user.text), \(key.usage), \(key.keyID), \(key.body))
            ON CONFLICT (user_id, usage) DO UPDATE SET key_id = excluded.key_id, body = excluded.body
            """)
    }

    // MARK: Signatures

    public func add(_ signature: Signature, on target: String, of user: UserID) throws {
        _ = try connection.execute(
            """
            INSERT INTO key_signatures (target_user, target, signer, signer_key, signature)
            VALUES (\(user.text), \(target), \(signature.signer.text), \(signature.keyID), \(signature.signature))
            ON CONFLICT (target_user, target, signer, signer_key) DO UPDATE SET signature = excluded.signature
            """)
    }

    /// The signatures on a user's keys that `reader` may see: the user's own, and the reader's. By target.
    public func signatures(on user: UserID, readableBy reader: UserID?) throws -> [String: [Signature]] {
        var found: [String: [Signature]] = [:]
        for row in try connection.query(
            """
            SELECT target, signer, signer_key, signature FROM key_signatures
            WHERE target_user = \(user.text) AND signer IN (\(user.text), \(reader?.text ?? user.text))
            """)
        {
            guard let signer = try? UserID(row.text(1)) else { continue }
            found[try row.text(0), default: []].append(
                Signature(signer: signer, keyID: try row.text(2), signature: try row.text(3)))
        }
        return found
    }

    /// Forgets what belongs to devices that are gone.
    public func removeSignatures(on targets: [String], of user: UserID) throws {
        guard !targets.isEmpty else { return }
        _ = try connection.execute(
            "DELETE FROM key_signatures WHERE target_user = \(user.text) AND target IN \(list: targets)")
    }

    // MARK: The stream of changes

    /// Notes that a user's devices or cross-signing keys changed. Returns the new position and the one before.
    public func noteChange(of user: UserID) throws -> (position: Int64, previous: Int64) {
        let before = try connection.query(
            "SELECT position FROM device_list_changes WHERE user_id = \(user.text)"
        ).first?.integer(0)
        let position = try StreamPositions(connection).advance("device_lists")
        _ = try connection.execute(
            """
            INSERT INTO device_list_changes (user_id, position, previous)
            VALUES (\(user.text), \(position), \(before ?? 0))
            ON CONFLICT (user_id) DO UPDATE SET position = excluded.position, previous = excluded.previous
            """)
        try connection.notify("device_lists \(position)")
        return (position, before ?? 0)
    }

    /// The users among `users` whose devices changed between two positions.
    public func changed(after: Int64, upTo: Int64, among users: Set<UserID>) throws -> Set<UserID> {
        guard after < upTo else { return [] }
        var found: Set<UserID> = []
        for row in try connection.query(
            "SELECT user_id FROM device_list_changes WHERE position > \(after) AND position <= \(upTo)")
        {
            if let user = try? UserID(row.text(0)), users.contains(user) { found.insert(user) }
        }
        return found
    }

    /// The newest change of one user; 0 when there was none.
    public func position(of user: UserID) throws -> Int64 {
        try connection.query(
            "SELECT position FROM device_list_changes WHERE user_id = \(user.text)"
        ).first?.integer(0) ?? 0
    }
}
