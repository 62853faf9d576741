internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// Who was given which session, and from which message on.
extension EncryptionMachine {
    func noteShared(
        _ session: OutboundGroupSession, of room: RoomID, with device: KnownDevice, in connection: any SQLConnection
    ) throws {
        try connection.execute(
            """
            INSERT INTO room_key_shares VALUES (\(session.id), \(device.user.text), \(device.device.text),
                \(device.curve25519), \(Int64(session.messageIndex)), \(now()))
            ON CONFLICT (session_id, user_id, device_id) DO UPDATE SET curve25519 = excluded.curve25519,
                message_index = excluded.message_index, shared_at = excluded.shared_at
            """)
        try connection.execute(
            """
            DELETE FROM sent_withheld WHERE session_id = \(session.id) AND user_id = \(device.user.text)
                AND device_id = \(device.device.text)
            """)
        let isKept = try !connection.query(
            """
            SELECT 1 FROM shared_sessions
            WHERE session_id = \(session.id) AND message_index = \(Int64(session.messageIndex))
            """
        ).isEmpty
        guard !isKept else { return }
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO shared_sessions
            VALUES (\(session.id), \(Int64(session.messageIndex)), \(room.text), \(pickle))
            """)
    }

    /// A device has replaced its session with us: what we gave it over the old one is perhaps lost. It gets it once more,
    /// as it was given it, at most once an hour.
    func shareAgain(with device: KnownDevice, in connection: any SQLConnection) throws {
        let now = now()
        let isNew = try connection.execute(
            """
            UPDATE devices SET reshared_at = \(now)
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text) AND gone = 0
                AND \(Period.isOver(Limits.unwedgeMilliseconds, since: "reshared_at", at: now))
            """)
        guard isNew > 0, !device.hasChanged, try entitlement(of: device, in: connection) == .entitled else { return }
        let rows = try connection.query(
            """
            SELECT shared_sessions.room_id, shared_sessions.pickle FROM room_key_shares
            JOIN shared_sessions USING (session_id, message_index)
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text)
                AND curve25519 = \(device.curve25519) AND shared_at >= \(now - Limits.shareMilliseconds)
            ORDER BY shared_at DESC LIMIT \(Limits.messagesPerToDevice)
            """)
        guard !rows.isEmpty else { return }
        let author = try olmAuthor(in: connection)
        var messages: [(KnownDevice, JSONValue)] = []
        for row in rows {
            let session = try OutboundGroupSession(pickle: try row.bytes(1), key: key.bytes)
            let content = try roomKey(session, of: try RoomID(try row.text(0)), in: connection)
            guard let message = try encrypt("m.room_key", content, to: device, as: author, in: connection) else {
                return
            }
            messages.append((device, message))
        }
        try enqueue(messages, in: connection)
    }

    /// Forgets what is no more used by anybody: sessions that were given up a day ago and of which nothing is owed.
    func forgetOldShares(in connection: any SQLConnection) throws {
        let inUse: SQL = """
            SELECT session_id FROM outbound_group_sessions UNION SELECT session_id FROM owed_room_keys
            UNION SELECT session_id FROM recent_messages
            UNION SELECT session_id FROM room_key_shares WHERE shared_at >= \(now() - Limits.shareMilliseconds)
            """
        try connection.execute("DELETE FROM room_key_shares WHERE session_id NOT IN (\(inUse))")
        try connection.execute("DELETE FROM sent_withheld WHERE session_id NOT IN (\(inUse))")
        try connection.execute("DELETE FROM shared_sessions WHERE session_id NOT IN (\(inUse))")
    }
}
