internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// `m.room_key`: the keys with which a room's messages are read.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroom_key>
extension EncryptionMachine {
    /// Keeps the session unless a better half of it is known; nil where nothing new can be read.
    func takeRoomKey(_ payload: OlmPayload, in connection: any SQLConnection) throws -> SyncOutcome.RoomKey? {
        let content = payload.content
        guard content["algorithm"]?.string == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String((content["algorithm"]?.string ?? "").prefix(64)))
        }
        guard let room = content["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let name = content["session_id"]?.string,
            let bytes = content["session_key"]?.string.flatMap({ Base64.decode($0) })
        else { throw EncryptionError.malformed(path: "m.room_key") }
        try checkIdentity(payload, in: connection)
        let session = try EncryptionError.wrapping { () throws(RatchetError) in
            try InboundGroupSession(sessionKey: bytes)
        }
        guard session.id == name else { throw EncryptionError.mismatch(rule: "session_id is the session's") }
        return try keep(
            session, room: room, owner: payload.sender, curve25519: Base64.encode(payload.senderKey.bytes),
            ed25519: Base64.encode(payload.ed25519.bytes), in: connection)
            ? SyncOutcome.RoomKey(room: room, session: name) : nil
    }

    /// The claimed fingerprint must be that of the device whose Curve25519 key the message came under.
    private func checkIdentity(_ payload: OlmPayload, in connection: any SQLConnection) throws {
        let curve = Base64.encode(payload.senderKey.bytes)
        let rows = try connection.query(
            "SELECT ed25519 FROM devices WHERE user_id = \(payload.sender.text) AND curve25519 = \(curve)")
        if let row = rows.first {
            guard try row.text(0) == Base64.encode(payload.ed25519.bytes) else {
                throw EncryptionError.mismatch(rule: "the claimed ed25519 key is the device's")
            }
            return
        }
        if let keys = payload.deviceKeys, let known = try knownDevice(keys.user, keys.device, in: connection) {
            throw EncryptionError.changedKey(user: known.user, device: known.device)
        }
        // A device that has not been asked for yet: the next query must show it.
        try track([payload.sender], in: connection)
        try noteChangedUsers([payload.sender], in: connection)
    }

    /// - Returns: whether more can be read than before.
    func keep(
        _ session: InboundGroupSession, room: RoomID, owner: UserID, curve25519: String, ed25519: String,
        in connection: any SQLConnection
    ) throws -> Bool {
        if let row = try inboundRow(room, session.id, in: connection) {
            let known = try InboundGroupSession(pickle: try row.bytes(0), key: key.bytes)
            guard try row.text(1) == owner.text, try row.text(2) == curve25519 else {
                throw EncryptionError.mismatch(rule: "a session has one owner")
            }
            guard case .better = session.relation(to: known) else { return false }
        }
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO inbound_group_sessions
            VALUES (\(room.text), \(session.id), \(owner.text), \(curve25519), \(ed25519), \(pickle), \(now()))
            ON CONFLICT (room_id, session_id) DO UPDATE SET pickle = excluded.pickle
            """)
        try connection.execute(
            "DELETE FROM withheld_room_keys WHERE room_id = \(room.text) AND session_id = \(session.id)")
        return true
    }

    func inboundRow(_ room: RoomID, _ session: String, in connection: any SQLConnection) throws -> SQLRow? {
        try connection.query(
            """
            SELECT pickle, user_id, curve25519, ed25519 FROM inbound_group_sessions
            WHERE room_id = \(room.text) AND session_id = \(session)
            """
        ).first
    }
}
