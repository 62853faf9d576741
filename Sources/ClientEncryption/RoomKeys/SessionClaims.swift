internal import MatrixModel
internal import SQLDatabase

/// Sessions that more than one device says it has made. Whoever was given a session's key can send it on as their own, and
/// perhaps first: their word must not keep the true owner's from counting. Who of them wrote an event is seen by its sender.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
extension EncryptionMachine {
    /// Keeps a further claim beside the first. Throws `mismatch` where it is not the word of a device, where the session is
    /// our own, or where a user or all of them claim too often.
    func noteClaim(
        _ session: String, _ room: RoomID, _ origin: RoomKeyOrigin, against first: RoomKeyOrigin,
        in connection: any SQLConnection
    ) throws {
        let known = try claims(to: session, room, in: connection)
        guard !known.contains(where: { $0.curve25519 == origin.curve25519 && $0.owner == origin.owner }) else { return }
        guard let owner = origin.owner, origin.source == .roomKey, first.source == .roomKey,
            known.count < Limits.claimsPerSession,
            known.count(where: { $0.owner == owner }) < Limits.claimsPerSessionAndUser
        else { throw EncryptionError.mismatch(rule: "a session has one owner") }
        try insert(origin, of: owner, to: session, room, in: connection)
    }

    private func insert(
        _ origin: RoomKeyOrigin, of owner: UserID, to session: String, _ room: RoomID, in connection: any SQLConnection
    ) throws {
        try connection.execute(
            """
            INSERT INTO session_claims (room_id, session_id, user_id, curve25519, ed25519)
            VALUES (\(room.text), \(session), \(owner.text), \(origin.curve25519), \(origin.ed25519))
            """)
    }

    /// The name under which the indexes are kept that an event of the sender's uses: each claimant of a session has indexes
    /// of their own, or who repeats another's message could have that refused. Who is the first to be read becomes the
    /// owner, also for the backup.
    func indexes(
        of row: InboundRow, _ room: RoomID, usedBy sender: UserID, _ origin: RoomKeyOrigin,
        in connection: any SQLConnection
    ) throws -> String {
        guard let first = row.origin.owner, first != sender else { return row.session }
        let isRead = try !connection.query(
            "SELECT 1 FROM message_blocks WHERE room_id = \(room.text) AND session_id = \(row.session) LIMIT 1"
        ).isEmpty
        guard !isRead else { return "\(row.session) \(sender)" }
        try connection.execute(
            """
            DELETE FROM session_claims WHERE room_id = \(room.text) AND session_id = \(row.session)
                AND user_id = \(sender.text) AND curve25519 = \(origin.curve25519)
            """)
        try insert(row.origin, of: first, to: row.session, room, in: connection)
        try connection.execute(
            """
            UPDATE inbound_group_sessions
            SET user_id = \(sender.text), curve25519 = \(origin.curve25519), ed25519 = \(origin.ed25519), backed_up_in = NULL
            WHERE room_id = \(room.text) AND session_id = \(row.session)
            """)
        return row.session
    }

    /// The claims beside the first.
    func claims(to session: String, _ room: RoomID, in connection: any SQLConnection) throws -> [RoomKeyOrigin] {
        try connection.query(
            """
            SELECT user_id, curve25519, ed25519 FROM session_claims
            WHERE room_id = \(room.text) AND session_id = \(session) ORDER BY user_id, curve25519
            """
        ).map { row in
            RoomKeyOrigin(
                owner: try UserID(try row.text(0)), curve25519: try row.text(1), ed25519: try row.text(2),
                source: .roomKey, sharesHistory: false)
        }
    }
}
