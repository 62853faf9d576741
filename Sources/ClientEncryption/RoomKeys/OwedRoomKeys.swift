internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// Room keys owed to users whose devices could not be asked for, or had no one-time key, when a message was sent: their
/// server was away. They get the key from that message on as soon as they can be reached, if they are still recipients.
extension EncryptionMachine {
    /// Rooms of which someone is owed a key.
    public func roomsWithOwedKeys(in connection: any SQLConnection) throws -> [RoomID] {
        try connection.query("SELECT DISTINCT room_id FROM owed_room_keys").map { try RoomID(try $0.text(0)) }
    }

    /// Who is owed the room's present key while none of their devices has it, and can read nothing of it yet.
    public func unreachedUsers(of room: RoomID, in connection: any SQLConnection) throws -> [UserID] {
        try connection.query(
            """
            SELECT DISTINCT owed_room_keys.user_id FROM owed_room_keys
            JOIN outbound_group_sessions USING (room_id, session_id)
            WHERE room_id = \(room.text) AND owed_room_keys.user_id <> \(user.text) AND NOT EXISTS (
                SELECT 1 FROM room_key_shares WHERE room_key_shares.session_id = owed_room_keys.session_id
                    AND room_key_shares.user_id = owed_room_keys.user_id)
            ORDER BY owed_room_keys.user_id
            """
        ).map { try UserID(try $0.text(0)) }
    }

    /// Keeps the session as it is before its next message; of two debts the one that reads more stays.
    func owe(
        _ session: OutboundGroupSession, of room: RoomID, to user: UserID, _ purpose: RoomKeyPurpose = .messages,
        in connection: any SQLConnection
    ) throws {
        let row = try connection.query(
            "SELECT pickle FROM owed_room_keys WHERE session_id = \(session.id) AND user_id = \(user.text)"
        ).first
        if let row {
            let owed = try OutboundGroupSession(pickle: try row.bytes(0), key: key.bytes)
            guard session.messageIndex < owed.messageIndex else { return }
        }
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO owed_room_keys (room_id, session_id, user_id, pickle, for_verification)
            VALUES (\(room.text), \(session.id), \(user.text), \(pickle), \(purpose == .verification))
            ON CONFLICT (session_id, user_id) DO UPDATE SET pickle = excluded.pickle,
                for_verification = excluded.for_verification
            """)
        try connection.execute(
            """
            DELETE FROM owed_room_keys WHERE id <= (SELECT MAX(id) FROM owed_room_keys) - \(Limits.owedRoomKeys)
            """)
    }

    /// Users whose list of devices is not up to date may have some that we do not know.
    func oweToUnknownDevices(
        of users: [UserID], _ session: OutboundGroupSession, _ room: RoomID, _ purpose: RoomKeyPurpose,
        in connection: any SQLConnection
    ) throws {
        for user in try staleUsers(among: users, in: connection) {
            try owe(session, of: room, to: user, purpose, in: connection)
        }
    }

    /// Pays what can be paid. A verification, which goes on although somebody is someone else now, pays them no message's.
    func payOwedKeys(of room: RoomID, to recipients: Set<UserID>, in connection: any SQLConnection) throws {
        let rows = try connection.query(
            "SELECT id, user_id, pickle, for_verification FROM owed_room_keys WHERE room_id = \(room.text) ORDER BY id")
        for row in rows {
            let (id, user) = (try row.integer(0), try UserID(try row.text(1)))
            var isPaid = true
            if recipients.contains(user) {
                let session = try OutboundGroupSession(pickle: try row.bytes(2), key: key.bytes)
                let purpose = try row.bool(3) ? RoomKeyPurpose.verification : .messages
                if purpose == .messages,
                    try isSomeoneElse(self.user, in: connection) || isSomeoneElse(user, in: connection)
                {
                    continue
                }
                isPaid =
                    try pay(session, of: room, to: user, purpose, in: connection) && isCurrent(user, in: connection)
            }
            if isPaid { try connection.execute("DELETE FROM owed_room_keys WHERE id = \(id)") }
        }
    }

    private func isSomeoneElse(_ user: UserID, in connection: any SQLConnection) throws -> Bool {
        try identityChange(of: user, in: connection) == .afterVerification
    }

    /// - Returns: whether all devices that are known have the key now.
    private func pay(
        _ session: OutboundGroupSession, of room: RoomID, to user: UserID, _ purpose: RoomKeyPurpose,
        in connection: any SQLConnection
    ) throws -> Bool {
        let (content, author) = (try roomKey(session, of: room, in: connection), try olmAuthor(in: connection))
        let sharing = try purpose.sharing ?? sharing(in: connection)
        let index = Int64(session.messageIndex)
        var messages: [(KnownDevice, JSONValue)] = []
        var excluded: [(KnownDevice, WithheldCode)] = []
        var isComplete = true
        for candidate in try candidates(among: [user], in: connection) {
            let device = candidate.device
            guard !device.hasChanged, !(user == self.user && device.device == self.device) else { continue }
            let known = try connection.query(
                """
                SELECT 1 FROM room_key_shares WHERE session_id = \(session.id) AND user_id = \(user.text)
                    AND device_id = \(device.device.text) AND message_index <= \(index)
                """)
            guard known.isEmpty else { continue }
            if case .withheld(let code) = candidate.entitlement(under: sharing) {
                excluded.append((device, code))
                continue
            }
            guard let message = try encrypt("m.room_key", content, to: device, as: author, in: connection) else {
                isComplete = false
                continue
            }
            messages.append((device, message))
            try noteShared(session, of: room, with: device, in: connection)
        }
        try enqueue(messages, in: connection)
        try withhold(session.id, of: room, from: excluded, in: connection)
        return isComplete
    }

    /// The content of `m.room_key`.
    func roomKey(
        _ session: OutboundGroupSession, of room: RoomID, in connection: any SQLConnection
    ) throws -> JSONValue {
        let row = try inboundRow(room, session.id, in: connection)
        return [
            "algorithm": .string(Algorithm.megolm), "room_id": .string(room.text), "session_id": .string(session.id),
            "session_key": .string(Base64.encode(session.sessionKey)),
            "shared_history": .bool(row?.sharesHistory ?? false),
        ]
    }
}
