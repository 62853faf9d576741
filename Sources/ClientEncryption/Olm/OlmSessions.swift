internal import Cryptography
internal import MatrixModel
internal import PostQuantum
internal import Ratchet
internal import SQLDatabase

/// The sessions with a device: several, of which the one that was last heard on is written to, unless ``HybridOffer`` has a
/// say in it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#molmv1curve25519-aes-sha2>
extension EncryptionMachine {
    /// Newest first. `created_at` and `received_at` are numbers that only grow: a clock may go back.
    private static let order: SQL =
        "CASE WHEN received_at > created_at THEN received_at ELSE created_at END DESC, session_id"

    /// Of the user's device with this key: another user may show the same key as a device's of theirs.
    func sessions(
        with user: UserID, _ curve25519: String, in connection: any SQLConnection
    ) throws -> [PeerSession] {
        // A session that we made and that nobody has used yet is younger than what was heard before it.
        try connection.query(
            """
            SELECT pickle, algorithm FROM olm_sessions WHERE user_id = \(user.text) AND curve25519 = \(curve25519)
            ORDER BY \(Self.order)
            """
        ).map { row in try PeerSession(pickle: try row.bytes(0), algorithm: try row.text(1), key: key.bytes) }
    }

    struct SessionName {
        let id: String
        let algorithm: String
        /// Grows from one to the next.
        let createdAt: Int64
    }

    /// In the order of the sessions themselves, which need not be opened for it.
    func sessionNames(
        with user: UserID, _ curve25519: String, in connection: any SQLConnection
    ) throws -> [SessionName] {
        try connection.query(
            """
            SELECT session_id, algorithm, created_at FROM olm_sessions
            WHERE user_id = \(user.text) AND curve25519 = \(curve25519) ORDER BY \(Self.order)
            """
        ).map { SessionName(id: try $0.text(0), algorithm: try $0.text(1), createdAt: try $0.integer(2)) }
    }

    func session(_ id: String, in connection: any SQLConnection) throws -> PeerSession? {
        try connection.query("SELECT pickle, algorithm FROM olm_sessions WHERE session_id = \(id)").first.map {
            try PeerSession(pickle: try $0.bytes(0), algorithm: try $0.text(1), key: key.bytes)
        }
    }

    func insert(
        _ session: PeerSession, with user: UserID, _ curve25519: String, isHeard: Bool, in connection: any SQLConnection
    ) throws {
        if case .hybrid = session { try replaceRoomKeys(from: user, curve25519, in: connection) }
        let pickle = try session.pickle(key: key.bytes, random: random)
        let number = try nextGeneration(in: connection)
        try connection.execute(
            """
            INSERT INTO olm_sessions (session_id, user_id, curve25519, pickle, created_at, received_at, algorithm)
            VALUES (\(session.id), \(user.text), \(curve25519), \(pickle), \(number), \(isHeard ? number : 0),
                \(session.algorithm))
            ON CONFLICT (session_id) DO NOTHING
            """)
        try connection.execute(
            """
            DELETE FROM olm_sessions WHERE user_id = \(user.text) AND curve25519 = \(curve25519) AND session_id NOT IN (
                SELECT session_id FROM olm_sessions WHERE user_id = \(user.text) AND curve25519 = \(curve25519)
                ORDER BY \(Self.order) LIMIT \(Limits.olmSessionsPerDevice))
            """)
    }

    /// The keys that a device has got over Olm are replaced when it gets its first session begun with ML-KEM-768: who records
    /// those of Olm could read on.
    private func replaceRoomKeys(
        from user: UserID, _ curve25519: String, in connection: any SQLConnection
    ) throws {
        try connection.execute(
            """
            DELETE FROM outbound_group_sessions
            WHERE session_id IN (
                    SELECT session_id FROM room_key_shares
                    WHERE user_id = \(user.text) AND curve25519 = \(curve25519))
                AND NOT EXISTS (
                    SELECT 1 FROM olm_sessions WHERE user_id = \(user.text) AND curve25519 = \(curve25519)
                        AND algorithm = \(HybridAlgorithm.name))
            """)
    }

    func save(_ session: PeerSession, received: Bool, in connection: any SQLConnection) throws {
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute("UPDATE olm_sessions SET pickle = \(pickle) WHERE session_id = \(session.id)")
        if received {
            let number = try nextGeneration(in: connection)
            try connection.execute(
                "UPDATE olm_sessions SET received_at = \(number) WHERE session_id = \(session.id)")
        }
    }

    /// The content of an encrypted to-device event; nil where there is no session that may be used. Whoever writes to many
    /// gives the `author`.
    func encrypt(
        _ type: String, _ content: JSONValue, to device: KnownDevice, as author: OlmAuthor? = nil,
        in connection: any SQLConnection
    ) throws -> JSONValue? {
        guard var session = try sessionToWrite(to: device, in: connection) else { return nil }
        let author = try author ?? olmAuthor(in: connection)
        let payload: JSONValue = [
            "type": .string(type),
            "content": content,
            "sender": .string(user.text),
            "sender_device": .string(self.device.text),
            "recipient": .string(device.user.text),
            "recipient_keys": ["ed25519": .string(device.ed25519)],
            "keys": ["ed25519": .string(author.ed25519)],
            "sender_device_keys": author.deviceKeys,
        ]
        let message = try session.encrypt(payload.serialized(), random: random)
        try save(session, received: false, in: connection)
        return [
            "algorithm": .string(session.algorithm),
            "sender_key": .string(author.curve25519),
            "ciphertext": [
                device.curve25519: [
                    "type": .integer(Int64(message.type.rawValue)), "body": .string(Base64.encode(message.bytes)),
                ]
            ],
        ]
    }
}
