internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// The session as it was before each of the last messages: who was there already when one was sent, and was not known yet,
/// is owed the key from that message on.
extension EncryptionMachine {
    func noteRecentMessage(
        _ session: OutboundGroupSession, in room: RoomID, _ connection: any SQLConnection
    ) throws {
        let now = now()
        try connection.execute(
            "DELETE FROM recent_messages WHERE \(Period.isOver(Limits.recentMilliseconds, since: "sent_at", at: now))")
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO recent_messages
            VALUES (\(session.id), \(Int64(session.messageIndex)), \(room.text), \(pickle), \(now))
            ON CONFLICT (session_id, message_index) DO NOTHING
            """)
        try connection.execute(
            """
            DELETE FROM recent_messages WHERE session_id = \(session.id)
                AND message_index < \(Int64(session.messageIndex) - Int64(Limits.recentMessages))
            """)
    }

    /// A device of `user` was added. If other devices of theirs have the key of a recent message, it may have it too.
    func oweRecentMessages(to user: UserID, in connection: any SQLConnection) throws {
        let rows = try connection.query(
            """
            SELECT session_id, room_id, pickle FROM recent_messages
            WHERE NOT \(Period.isOver(Limits.recentMilliseconds, since: "sent_at", at: now())) AND session_id IN (
                SELECT session_id FROM room_key_shares WHERE user_id = \(user.text)
                UNION SELECT session_id FROM sent_withheld WHERE user_id = \(user.text))
            ORDER BY session_id, message_index
            """)
        var done: Set<String> = []
        for row in rows where done.insert(try row.text(0)).inserted {
            let session = try OutboundGroupSession(pickle: try row.bytes(2), key: key.bytes)
            try owe(session, of: try RoomID(try row.text(1)), to: user, in: connection)
        }
    }

    /// One of our own events came back from the server, after `joined` had joined the room in the server's order: they may
    /// read it.
    ///
    /// An event of our session that this store has not encrypted yet shows that the store was put back to an earlier
    /// state: the session is given up, and all Olm sessions are replaced.
    public func noteOwnEvent(
        _ event: JSONView, in room: RoomID, after joined: [UserID], _ connection: any SQLConnection
    ) throws {
        guard let session = event["content", "session_id"]?.string,
            let ciphertext = event["content", "ciphertext"]?.string.flatMap({ Base64.decode($0) }),
            let index = (try? MegolmMessage(ciphertext))?.index
        else { return }
        if let present = try outbound(room, in: connection), present.session.id == session,
            index >= present.session.messageIndex
        {
            // Not at a server's word: it must be ours.
            guard var inbound = try inboundSession(room, session, in: connection),
                (try? inbound.decrypt(ciphertext)) != nil
            else { return }
            try discardRoomKey(of: room, in: connection)
            try connection.execute(
                """
                UPDATE devices SET unwedge_wanted = 1, claim_at = 0 WHERE gone = 0 AND changed = 0
                    AND EXISTS (
                        SELECT 1 FROM olm_sessions
                        WHERE olm_sessions.user_id = devices.user_id AND olm_sessions.curve25519 = devices.curve25519)
                """)
            return
        }
        guard !joined.isEmpty,
            let row = try connection.query(
                """
                SELECT pickle FROM recent_messages WHERE session_id = \(session) AND message_index = \(Int64(index))
                    AND room_id = \(room.text)
                """
            ).first
        else { return }
        let before = try OutboundGroupSession(pickle: try row.bytes(0), key: key.bytes)
        for user in joined { try owe(before, of: room, to: user, in: connection) }
    }
}
