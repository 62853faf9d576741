internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// The online backup that this device uses.
public struct UsedBackup: Sendable, Hashable {
    /// The server's name for it.
    public let version: String
    /// Its public key, base64.
    public let publicKey: String
}

/// A batch of sessions for the backup.
public struct BackupUpload: Sendable {
    /// `PUT /room_keys/keys`
    public let call: APICall
    /// How many sessions it holds.
    public let count: Int
    let version: String
    let sessions: [Entry]

    struct Entry: Sendable {
        let room: RoomID
        let session: String
        /// The SHA-256 of its key as it was read: it may have become another while the batch was under way.
        let hash: [UInt8]
    }
}

/// Why an online backup is, or is not, trusted.
public enum BackupTrust: String, Sendable, Hashable {
    /// This device holds its private key.
    case privateKey = "private_key"
    /// Our master key has signed it.
    case identity
    /// A verified device of ours has signed it.
    case device
    /// Anybody may have made it: nothing is added to it.
    case none
    /// Of an algorithm that we do not speak.
    case unsupported
}

/// The online backup of room keys.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>
extension EncryptionMachine {
    static let backupAlgorithm = "m.megolm_backup.v1.curve25519-aes-sha2"

    /// The backup in use.
    public func backup(in connection: any SQLConnection) throws -> UsedBackup? {
        try connection.query("SELECT version, public_key FROM key_backup").first.map {
            UsedBackup(version: try $0.text(0), publicKey: try $0.text(1))
        }
    }

    /// The private key of the backup in use; nil where this device does not hold it. It may hold that of another, which says
    /// nothing of this one.
    func backupKey(in connection: any SQLConnection) throws -> BackupKey? {
        guard let used = try backup(in: connection), let secret = try secret(.backup, in: connection),
            let key = try? BackupKey(secret), Base64.encode(key.publicKey.bytes) == used.publicKey
        else { return nil }
        return key
    }

    /// Whether this device can read the backup in use.
    public func canReadBackup(in connection: any SQLConnection) throws -> Bool {
        try backupKey(in: connection) != nil
    }

    /// The creation of a new backup. Its key is in the store before; `backupCreated` makes it the one in use.
    public func backupCreation(in connection: any SQLConnection) throws -> APICall {
        let key: BackupKey
        if let pending = try pendingBackupKey(in: connection) {
            key = pending
        } else {
            key = .generate(random)
            let sealed = try self.key.seal(key.bytes, place: Self.pendingBackup, random: random)
            try connection.execute("INSERT INTO own_secrets VALUES (\(Self.pendingBackup), \(sealed))")
        }
        var data: JSONValue = ["public_key": .string(Base64.encode(key.publicKey.bytes))]
        let account = try account(in: connection)
        data = SignedJSON.sign(
            data, as: user.text, keyID: "ed25519:\(device.text)", with: account.ed25519SigningKey)
        if let master = try signingKey(.master, in: connection) {
            data = SignedJSON.sign(
                data, as: user.text, keyID: "ed25519:\(Base64.encode(master.publicKey.bytes))", with: master)
        }
        return APICall(
            .postRoomKeysVersion, body: ["algorithm": .string(Self.backupAlgorithm), "auth_data": data])
    }

    /// After the server made it.
    public func backupCreated(version: String, in connection: any SQLConnection) throws {
        guard let key = try pendingBackupKey(in: connection) else { throw EncryptionError.notPrepared }
        try keep(key.bytes, as: .backup, in: connection)
        try connection.execute("DELETE FROM own_secrets WHERE name = \(Self.pendingBackup)")
        try use(
            UsedBackup(version: version, publicKey: Base64.encode(key.publicKey.bytes)), in: connection)
    }

    private static var pendingBackup: String { "pending backup" }

    private func pendingBackupKey(in connection: any SQLConnection) throws -> BackupKey? {
        guard let row = try connection.query("SELECT value FROM own_secrets WHERE name = \(Self.pendingBackup)").first
        else { return nil }
        do {
            return try BackupKey(try key.open(try row.bytes(0), place: Self.pendingBackup))
        } catch is CryptographyError {
            throw EncryptionError.wrongStoreKey
        }
    }

    private func use(_ backup: UsedBackup, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO key_backup VALUES (1, \(backup.version), \(backup.publicKey))
            ON CONFLICT (id) DO UPDATE SET version = excluded.version, public_key = excluded.public_key
            """)
    }

    /// Uses no backup any more; its private key stays, should the server show it again.
    public func leaveBackup(in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM key_backup")
    }

    /// How far the backup that the server shows, as `GET /room_keys/version` answers, can be trusted.
    public func trust(in version: JSONView, _ connection: any SQLConnection) throws -> BackupTrust {
        guard version["algorithm"]?.string == Self.backupAlgorithm, let data = version["auth_data"],
            let publicKey = data["public_key"]?.string.flatMap({ Base64.decode($0) }), publicKey.count == 32
        else { return .unsupported }
        if let secret = try secret(.backup, in: connection), let key = try? BackupKey(secret),
            key.publicKey.bytes == publicKey
        {
            return .privateKey
        }
        if try isVerified(user, in: connection), let own = try identity(of: user, in: connection) {
            let master = try CrossSigningKey(own.master, usage: .master)
            if SignedJSON.verify(data, entity: user.text, keyID: master.keyID, key: master.publicKey) {
                return .identity
            }
        }
        for device in try devices(of: user, in: connection) where try isOwnVerified(device, in: connection) {
            guard let bytes = Base64.decode(device.ed25519), let key = try? Ed25519.PublicKey(bytes) else { continue }
            if SignedJSON.verify(data, entity: user.text, keyID: "ed25519:\(device.device)", key: key) {
                return .device
            }
        }
        return .none
    }

    /// Uses the backup that the server shows, if it is trusted; else none.
    /// - Returns: how far it is trusted.
    public func adopt(backup version: JSONView, in connection: any SQLConnection) throws -> BackupTrust {
        let trust = try trust(in: version, connection)
        guard trust != .none, trust != .unsupported, let name = version["version"]?.string, name.utf8.count <= 255,
            let publicKey = version["auth_data", "public_key"]?.string.flatMap({ Base64.decode($0) })
        else {
            try leaveBackup(in: connection)
            return trust
        }
        try use(UsedBackup(version: name, publicKey: Base64.encode(publicKey)), in: connection)
        return trust
    }
}
