internal import Cryptography
internal import MatrixAPI
internal import MatrixModel
internal import Ratchet
public import SQLDatabase

extension EncryptionMachine {
    /// The next sessions that the backup lacks, at most a hundred. What the server has taken is noted session by session,
    /// so that a crash repeats a batch at most.
    public func backupUpload(in connection: any SQLConnection) throws -> BackupUpload? {
        guard let backup = try backup(in: connection) else { return nil }
        guard let bytes = Base64.decode(backup.publicKey), let publicKey = try? Curve25519.PublicKey(bytes) else {
            throw EncryptionError.damagedStore(what: "the backup's key")
        }
        // Three ranges of the index: asked as "another than", all sessions would be looked at, after each sync.
        let rows = try connection.query(
            """
            SELECT room_id, session_id FROM inbound_group_sessions WHERE backed_up_in IS NULL
            UNION ALL SELECT room_id, session_id FROM inbound_group_sessions WHERE backed_up_in < \(backup.version)
            UNION ALL SELECT room_id, session_id FROM inbound_group_sessions WHERE backed_up_in > \(backup.version)
            LIMIT \(Limits.sessionsPerBackupUpload)
            """)
        var rooms: JSONValue = [:]
        var sessions: [BackupUpload.Entry] = []
        for row in rows {
            let room = try RoomID(try row.text(0))
            guard let inbound = try inboundRow(room, try row.text(1), in: connection) else { continue }
            var exported = try exported(inbound, of: room)
            exported["room_id"] = nil
            exported["session_id"] = nil
            exported["forwarding_curve25519_key_chain"] = []
            let session = try InboundGroupSession(pickle: inbound.pickle, key: key.bytes)
            let sealed = try EncryptionError.wrapping { () throws(RatchetError) in
                try BackupKey.seal(exported.serialized(), for: publicKey, random: random)
            }
            var entry = rooms[room.text]?["sessions"] ?? [:]
            entry[inbound.session] = [
                "first_message_index": .integer(Int64(session.firstKnownIndex)), "forwarded_count": 0,
                "is_verified": .bool(inbound.origin.source.isSafe),
                "session_data": [
                    "ephemeral": .string(Base64.encode(sealed.ephemeral)),
                    "ciphertext": .string(Base64.encode(sealed.ciphertext)), "mac": .string(Base64.encode(sealed.mac)),
                ],
            ]
            rooms[room.text] = ["sessions": entry]
            sessions.append(.init(room: room, session: inbound.session, hash: SHA256.hash(session.exportedKey)))
        }
        guard !sessions.isEmpty else { return nil }
        return BackupUpload(
            call: APICall(.putRoomKeys, query: [("version", backup.version)], body: ["rooms": rooms]),
            count: sessions.count, version: backup.version, sessions: sessions)
    }

    /// After the server took the batch. What has become better meanwhile goes up again.
    public func backedUp(_ upload: BackupUpload, in connection: any SQLConnection) throws {
        for entry in upload.sessions {
            guard let present = try inboundSession(entry.room, entry.session, in: connection),
                SHA256.hash(present.exportedKey) == entry.hash
            else { continue }
            try noteBackedUp(entry.room.text, entry.session, upload.version, in: connection)
        }
    }

    func noteBackedUp(_ room: String, _ session: String, _ version: String, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE inbound_group_sessions SET backed_up_in = \(version)
            WHERE room_id = \(room) AND session_id = \(session)
            """)
    }

    /// How many sessions there are, and how many of them are in the backup in use.
    public func backupCount(in connection: any SQLConnection) throws -> (all: Int, backedUp: Int) {
        let all = try connection.query("SELECT COUNT(*) FROM inbound_group_sessions").first?.int(0) ?? 0
        guard let backup = try backup(in: connection) else { return (all, 0) }
        let done = try connection.query(
            "SELECT COUNT(*) FROM inbound_group_sessions WHERE backed_up_in = \(backup.version)"
        ).first?.int(0)
        return (all, done ?? 0)
    }
}
