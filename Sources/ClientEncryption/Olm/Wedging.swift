internal import MatrixModel
internal import SQLDatabase

/// Sessions that are broken: a message could not be read, or the other side says that it has none.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#recovering-from-undecryptable-messages>
extension EncryptionMachine {
    /// Marks the device for a new session, at most one an hour; also one that is not known yet.
    func noteWedged(_ user: UserID, _ curve25519: String, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO wedged_senders VALUES (\(user.text), \(curve25519), \(now()), 0)
            ON CONFLICT (user_id, curve25519) DO UPDATE SET failed_at = excluded.failed_at, is_mended = 0
            """)
        try keepNewest(Limits.wedgedSenders, of: "wedged_senders", by: "failed_at", in: connection)
        try connection.execute(
            """
            UPDATE devices SET unwedge_wanted = 1 WHERE user_id = \(user.text) AND curve25519 = \(curve25519)
                AND \(Period.isOver(Limits.unwedgeMilliseconds, since: "unwedged_at", at: now()))
            """)
        if try knownDevice(user, curve25519: curve25519, in: connection) == nil {
            try track([user], in: connection)
            try noteChangedUsers([user], in: connection)
        }
    }

    /// Whether a message of this device could not be read, and nothing has been heard of it since.
    func isWedged(_ user: UserID, _ curve25519: String, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM wedged_senders
            WHERE user_id = \(user.text) AND curve25519 = \(curve25519) AND is_mended = 0
            """
        ).isEmpty
    }

    /// When a message of one of the user's devices could last not be read.
    func lastWedged(_ user: String, in connection: any SQLConnection) throws -> Int64? {
        try connection.query("SELECT MAX(failed_at) FROM wedged_senders WHERE user_id = \(user)").first?
            .optionalInteger(0)
    }

    func noteMended(_ user: UserID, _ curve25519: String, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE wedged_senders SET is_mended = 1
            WHERE user_id = \(user.text) AND curve25519 = \(curve25519) AND is_mended = 0
            """)
    }
}
