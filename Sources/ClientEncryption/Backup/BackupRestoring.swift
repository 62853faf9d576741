internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// What came out of a backup.
public struct BackupRestoration: Sendable {
    /// Sessions of which more can be read than before.
    public var roomKeys: [SyncOutcome.RoomKey] = []
    /// Sessions that were read.
    public var read = 0
    /// Sessions that could not be: sealed under another key, altered, or no sessions.
    public var damaged = 0

    /// Nothing yet.
    public init() {}

    /// With another part's.
    public mutating func add(_ other: BackupRestoration) {
        roomKeys += other.roomKeys
        read += other.read
        damaged += other.damaged
    }
}

extension EncryptionMachine {
    /// Takes in one room of what `GET /room_keys/keys` answered. A damaged session is counted and passed over: the others
    /// are sound. Throws `wrongRecoveryKey` without the backup's private key.
    public func restore(
        room: String, _ entry: JSONView, in connection: any SQLConnection
    ) throws -> BackupRestoration {
        var restoration = BackupRestoration()
        for (session, data) in entry["sessions"]?.members ?? [] {
            try restore(session, data, of: room, &restoration, in: connection)
        }
        return restoration
    }

    /// Takes the backup's private key, as its owner typed it, if it is that of the backup that the server shows.
    public func take(backupKey bytes: [UInt8], for version: JSONView, in connection: any SQLConnection) throws -> Bool {
        guard let key = try? BackupKey(bytes),
            let shown = version["auth_data", "public_key"]?.string.flatMap({ Base64.decode($0) }),
            shown == key.publicKey.bytes
        else { return false }
        try keep(bytes, as: .backup, in: connection)
        return true
    }

    /// Takes in one session, as `GET /room_keys/keys/{roomId}/{sessionId}` answered.
    public func restore(
        session: String, of room: RoomID, _ data: JSONView, in connection: any SQLConnection
    ) throws -> BackupRestoration {
        var restoration = BackupRestoration()
        try restore(session, data, of: room.text, &restoration, in: connection)
        return restoration
    }

    private func restore(
        _ session: String, _ data: JSONView, of room: String, _ restoration: inout BackupRestoration,
        in connection: any SQLConnection
    ) throws {
        guard let key = try backupKey(in: connection) else { throw EncryptionError.wrongRecoveryKey }
        guard let opened = BackedUpSession(data, room: room, session: session, key: key) else {
            restoration.damaged += 1
            return
        }
        restoration.read += 1
        let taken = try importRoomKeys([opened.exported], from: .backup, in: connection)
        restoration.roomKeys += taken
        if !taken.isEmpty, let version = try backup(in: connection)?.version {
            // It need not be sent back to where it came from.
            try noteBackedUp(room, session, version, in: connection)
        }
    }
}
