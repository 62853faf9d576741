public import ClientEncryption
internal import Logging
internal import MatrixAPI
public import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// The online backup as `backup status` shows it.
public struct BackupStatus: Sendable {
    /// The version on the server; nil where there is none.
    public let version: String?
    /// How far it is trusted.
    public let trust: BackupTrust
    /// Whether this device adds keys to it.
    public let isUsed: Bool
    /// Sessions on the server, as it says.
    public let countOnServer: Int64?
    /// Sessions on this device.
    public let sessions: Int
    /// Those of them that the backup holds.
    public let backedUp: Int
}

/// The online backup of room keys.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups>
extension Client {
    /// Makes a new backup, which takes the place of the one before, and begins to fill it.
    @discardableResult
    public func createBackup() async throws -> String {
        try await caughtUp()
        let machine = machine
        let creation = try await database.write { try machine.backupCreation(in: $0) }
        // Not repeated: a lost answer leaves an empty backup of the same key, which the next attempt replaces.
        let answer = try await call(creation, attempts: 1)
        let version = try answer.requiredString("version")
        try await database.write { try machine.backupCreated(version: version, in: $0) }
        backupCheckedAt = machine.milliseconds
        upkeep.continuation.yield()
        return version
    }

    /// Asks the server which backup is in use, and uses it if it is trusted. nil where there is none, or none that is.
    @discardableResult
    public func checkBackup() async throws -> UsedBackup? {
        let machine = machine
        let shown = try await shownBackup()
        backupCheckedAt = machine.milliseconds
        guard let shown else {
            try await database.write { try machine.leaveBackup(in: $0) }
            return nil
        }
        let trust = try await database.write { connection in
            let trust = try machine.adopt(backup: shown, in: connection)
            // Another device of ours has made it, and can give us its key.
            if trust == .identity || trust == .device {
                try machine.requestMissingSecrets([.backup], in: connection)
            }
            return trust
        }
        if trust == .identity || trust == .device { upkeep.continuation.yield() }
        if trust == .none { logger.warning("the server shows a key backup that nobody we trust has signed: not used") }
        return try await database.read { try machine.backup(in: $0) }
    }

    private func shownBackup() async throws -> JSONView? {
        do {
            return try await call(APICall(.getRoomKeysVersionCurrent))
        } catch ClientError.server(let refusal) where refusal.status == 404 {
            return nil
        }
    }

    /// What there is, on the server and here.
    public func backupStatus() async throws -> BackupStatus {
        try await caughtUp()
        let machine = machine
        let shown = try await shownBackup()
        let used = try await checkBackup()
        return try await database.read { connection in
            let count = try machine.backupCount(in: connection)
            return BackupStatus(
                version: shown?["version"]?.string,
                trust: try shown.map { try machine.trust(in: $0, connection) } ?? .none,
                isUsed: used != nil, countOnServer: shown?["count"]?.integer, sessions: count.all,
                backedUp: count.backedUp)
        }
    }

    /// What is trusted has changed: the backup is looked at anew.
    func forgetBackupCheck() { backupCheckedAt = nil }

    /// Sends what the backup lacks, batch by batch. Another backup than the one in use, or none, is looked at anew.
    func backUp() async throws {
        let machine = machine
        let now = machine.milliseconds
        if backupCheckedAt.map({ Period.isOver(3_600_000, since: $0, at: now) }) ?? true { try await checkBackup() }
        var attempts = 0
        while attempts < 3, let upload = try await database.read({ try machine.backupUpload(in: $0) }) {
            do {
                _ = try await call(upload.call)
                try await database.write { try machine.backedUp(upload, in: $0) }
            } catch ClientError.server(let refusal) where refusal.status == 404 || refusal.code == .wrongRoomKeysVersion
            {
                attempts += 1
                guard try await checkBackup() != nil else { return }
            }
        }
    }

    /// Waits until the backup holds all there is here. Throws `usage` where no backup is in use.
    public func completeBackup() async throws {
        guard try await checkBackup() != nil else {
            throw ClientError.usage("no backup is in use: run \"fedchat backup create\"")
        }
        try await backUp()
    }

    /// Reads all of the backup. `key` is its decryption key as its owner keeps it, if this device has none. Throws
    /// `encryption(.wrongRecoveryKey)` for another's, `notFound` without a backup.
    public func restoreBackup(key: String? = nil) async throws -> BackupRestoration {
        try await caughtUp()
        let machine = machine
        guard let shown = try await shownBackup() else { throw ClientError.notFound("a key backup") }
        if let key {
            guard let bytes = try? RecoveryKey.decode(key),
                try await database.write({ try machine.take(backupKey: bytes, for: shown, in: $0) })
            else { throw ClientError.encryption(.wrongRecoveryKey) }
        }
        guard try await database.write({ try machine.adopt(backup: shown, in: $0) }) == .privateKey,
            let used = try await database.read({ try machine.backup(in: $0) })
        else { throw ClientError.encryption(.wrongRecoveryKey) }
        let answer = try await call(
            APICall(.getRoomKeys, query: [("version", used.version)]), attempts: 1, timeout: ClientLimits.backupTimeout,
            maximumBytes: ClientLimits.backupBytes)
        var restoration = BackupRestoration()
        // Room by room: a large one must not hold the store for long.
        for (room, entry) in answer["rooms"]?.members ?? [] {
            let part = try await database.write { try machine.restore(room: room, entry, in: $0) }
            restoration.add(part)
        }
        announce(restoration.roomKeys)
        return restoration
    }

    /// Looks for one session in the backup: healing of a message that cannot be read. False where the backup does not
    /// have it, or no backup can be read.
    public func restoreFromBackup(_ session: String, of room: RoomID) async throws -> Bool {
        let machine = machine
        guard let used = try await database.read({ try machine.backup(in: $0) }),
            try await database.read({ try machine.canReadBackup(in: $0) })
        else { return false }
        let answer: JSONView
        do {
            answer = try await call(
                APICall(
                    .getRoomKeyBySessionId, ["roomId": room.text, "sessionId": session],
                    query: [("version", used.version)]))
        } catch ClientError.server(let refusal) where refusal.status == 404 {
            return false
        }
        let restoration = try await database.write {
            try machine.restore(session: session, of: room, answer, in: $0)
        }
        if restoration.damaged > 0 { logger.warning("the backup holds a damaged key for a session of \(room)") }
        announce(restoration.roomKeys)
        return !restoration.roomKeys.isEmpty
    }

    /// Deletes the backup on the server, with all keys in it, and those before it, which would show again.
    public func deleteBackup() async throws {
        try await caughtUp()
        let machine = machine
        guard var version = try await shownBackup()?["version"]?.string else {
            throw ClientError.notFound("a key backup")
        }
        try await database.write { try machine.leaveBackup(in: $0) }
        for _ in 0..<ClientLimits.oldBackups {
            _ = try await call(APICall(.deleteRoomKeysVersion, ["version": version]))
            guard let next = try await shownBackup()?["version"]?.string, next != version else { return }
            version = next
        }
    }
}
