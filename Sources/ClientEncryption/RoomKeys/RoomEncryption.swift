internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

extension EncryptionMachine {
    /// Makes sure that a session for `room` exists and that all devices of `recipients` and our own others that may have
    /// it (``KeySharing``) do: messages to those that lack it go into the outbox, and word to those that do not get it. A
    /// session that someone has who is no recipient any more, or that is spent, is replaced. Query and claim keys first;
    /// send the outbox before any message.
    ///
    /// A session that was prepared for a verification, so that more have it than may have messages, is used for no message.
    ///
    /// - Parameter accepting: whether to go on although a device shows other keys than before; it gets nothing. A
    ///   verification always goes on.
    /// - Throws: `changedKey` for such a device, `changedIdentity` for a user who was verified and is someone else now.
    public func prepareRoomKey(
        for room: RoomID, recipients: [UserID], settings: RoomEncryptionSettings, accepting: Bool = false,
        purpose: RoomKeyPurpose = .messages, in connection: any SQLConnection
    ) throws {
        guard settings.algorithm == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String(settings.algorithm.prefix(64)))
        }
        let accepting = accepting || purpose == .verification
        if !accepting { try refuseChangedIdentities(of: Set(recipients).union([user]), in: connection) }
        let audience = try audience(recipients, purpose, accepting: accepting, in: connection)
        let present = try outbound(room, in: connection)
        let session: OutboundGroupSession
        if let present, try isUsable(present, purpose, settings, audience.entitled, in: connection) {
            session = present.session
        } else {
            session = try newSession(for: room, settings, purpose, in: connection)
        }
        try payOwedKeys(of: room, to: Set(recipients).union([user]), in: connection)
        try share(session, of: room, with: audience.entitled, purpose, in: connection)
        try withhold(session.id, of: room, from: audience.excluded, in: connection)
        try oweToUnknownDevices(of: recipients, session, room, purpose, in: connection)
    }

    /// Whether nothing has changed since ``prepareRoomKey(for:recipients:settings:accepting:purpose:in:)`` that would give
    /// the next event to too many or too few. Ask in the transaction that encrypts.
    public func isPrepared(
        for room: RoomID, recipients: [UserID], settings: RoomEncryptionSettings, purpose: RoomKeyPurpose = .messages,
        in connection: any SQLConnection
    ) throws -> Bool {
        let audience = try audience(recipients, purpose, accepting: true, in: connection)
        guard let present = try outbound(room, in: connection),
            try isUsable(present, purpose, settings, audience.entitled, in: connection)
        else { return false }
        let session = present.session.id
        let have = try sharers(session, in: connection)
        let owed = Set(
            try connection.query("SELECT user_id FROM owed_room_keys WHERE session_id = \(session)").map {
                try $0.text(0)
            })
        guard audience.entitled.allSatisfy({ have.contains($0.name) || owed.contains($0.user.text) }) else {
            return false
        }
        return try staleUsers(among: recipients, in: connection).allSatisfy { owed.contains($0.text) }
    }

    /// The content of an `m.room.encrypted` event. Commit before it leaves. Throws `notPrepared` for a message where the
    /// room's session was prepared for a verification.
    public func encrypt(
        _ type: String, _ content: JSONValue, for room: RoomID, in connection: any SQLConnection
    ) throws -> JSONValue {
        guard let present = try outbound(room, in: connection),
            !present.isForVerification || RoomKeyPurpose(type, content) == .verification
        else { throw EncryptionError.notPrepared }
        var session = present.session
        try noteRecentMessage(session, in: room, connection)
        let account = try account(in: connection)
        let payload: JSONValue = [
            "type": .string(type), "content": content, "room_id": .string(room.text),
        ]
        let message = try EncryptionError.wrapping { () throws(RatchetError) in
            try session.encrypt(payload.serialized())
        }
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            "UPDATE outbound_group_sessions SET pickle = \(pickle) WHERE room_id = \(room.text)")
        return [
            "algorithm": .string(Algorithm.megolm),
            "ciphertext": .string(Base64.encode(message)),
            "session_id": .string(session.id),
            // Deprecated, but clients of today cannot read an event without them.
            "sender_key": .string(Base64.encode(account.curve25519Key.bytes)),
            "device_id": .string(device.text),
        ]
    }

    /// Whether the session of `room` can take so many messages more.
    public func canEncrypt(
        _ count: Int, for room: RoomID, settings: RoomEncryptionSettings, in connection: any SQLConnection
    ) throws -> Bool {
        guard let present = try outbound(room, in: connection), !present.isDoubted else { return false }
        return Int64(present.session.messageIndex) + Int64(count) <= settings.rotationMessages
    }

    /// Replaces the room's session at the next message: also when someone leaves who may have been given its key by
    /// somebody else. Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
    public func discardRoomKey(of room: RoomID, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM outbound_group_sessions WHERE room_id = \(room.text)")
    }

    struct Outbound {
        let session: OutboundGroupSession
        let createdAt: Int64
        let sharesHistory: Bool
        let isForVerification: Bool
        let isDoubted: Bool
    }

    func outbound(_ room: RoomID, in connection: any SQLConnection) throws -> Outbound? {
        try connection.query(
            """
            SELECT pickle, created_at, shared_history, for_verification, doubted_before FROM outbound_group_sessions
            WHERE room_id = \(room.text)
            """
        ).first.map { row in
            Outbound(
                session: try OutboundGroupSession(pickle: try row.bytes(0), key: key.bytes),
                createdAt: try row.integer(1), sharesHistory: try row.bool(2), isForVerification: try row.bool(3),
                isDoubted: try row.optionalText(4) != nil)
        }
    }

    // MARK: Who gets it

    private struct Audience {
        var entitled: [KnownDevice] = []
        var excluded: [(device: KnownDevice, code: WithheldCode)] = []
    }

    private func audience(
        _ recipients: [UserID], _ purpose: RoomKeyPurpose, accepting: Bool, in connection: any SQLConnection
    ) throws -> Audience {
        var audience = Audience()
        let sharing = try purpose.sharing ?? sharing(in: connection)
        for candidate in try candidates(among: recipients + [user], in: connection) {
            let device = candidate.device
            guard !(device.user == self.user && device.device == self.device) else { continue }
            switch candidate.entitlement(under: sharing) {
            case .withheld(let code): audience.excluded.append((device, code))
            case .entitled where !device.hasChanged: audience.entitled.append(device)
            case .entitled:
                guard accepting else {
                    throw EncryptionError.changedKey(user: device.user, device: device.device)
                }
            }
        }
        return audience
    }

    private func isUsable(
        _ outbound: Outbound, _ purpose: RoomKeyPurpose, _ settings: RoomEncryptionSettings, _ devices: [KnownDevice],
        in connection: any SQLConnection
    ) throws -> Bool {
        // Each its own: what was said before a verification is not for all whom that asks.
        guard outbound.isForVerification == (purpose == .verification) else { return false }
        let isOld = Period.isOver(settings.rotationMilliseconds, since: outbound.createdAt, at: now())
        guard !isOld, outbound.sharesHistory == settings.sharesHistory,
            Int64(outbound.session.messageIndex) < settings.rotationMessages, !outbound.isDoubted
        else { return false }
        // Whoever has the key and should not have the next message's.
        let allowed = Set(devices.map { "\($0.user.text) \($0.curve25519)" })
        return try connection.query(
            "SELECT user_id, curve25519 FROM room_key_shares WHERE session_id = \(outbound.session.id)"
        ).allSatisfy { row in allowed.contains("\(try row.text(0)) \(try row.text(1))") }
    }

    private func newSession(
        for room: RoomID, _ settings: RoomEncryptionSettings, _ purpose: RoomKeyPurpose,
        in connection: any SQLConnection
    ) throws -> OutboundGroupSession {
        let session = OutboundGroupSession(random: random)
        let account = try account(in: connection)
        let origin = RoomKeyOrigin(
            owner: user, curve25519: Base64.encode(account.curve25519Key.bytes),
            ed25519: Base64.encode(account.ed25519Key.bytes), source: .own, sharesHistory: settings.sharesHistory)
        _ = try keep(session.inbound, room: room, origin, in: connection)
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO outbound_group_sessions
                (room_id, session_id, pickle, created_at, shared_history, for_verification)
            VALUES (\(room.text), \(session.id), \(pickle), \(now()), \(settings.sharesHistory),
                \(purpose == .verification))
            ON CONFLICT (room_id) DO UPDATE SET session_id = excluded.session_id, pickle = excluded.pickle,
                created_at = excluded.created_at, shared_history = excluded.shared_history,
                for_verification = excluded.for_verification, doubted_before = NULL
            """)
        try forgetOldShares(in: connection)
        return session
    }

    /// `USER DEVICE` of all that have the session.
    private func sharers(_ session: String, in connection: any SQLConnection) throws -> Set<String> {
        Set(
            try connection.query("SELECT user_id, device_id FROM room_key_shares WHERE session_id = \(session)").map {
                "\(try $0.text(0)) \(try $0.text(1))"
            })
    }

    private func share(
        _ session: OutboundGroupSession, of room: RoomID, with devices: [KnownDevice], _ purpose: RoomKeyPurpose,
        in connection: any SQLConnection
    ) throws {
        let have = try sharers(session.id, in: connection)
        let lacking = devices.filter { !have.contains($0.name) }
        guard !lacking.isEmpty else { return }
        let (content, author) = (try roomKey(session, of: room, in: connection), try olmAuthor(in: connection))
        var messages: [(KnownDevice, JSONValue)] = []
        for device in lacking {
            guard let message = try encrypt("m.room_key", content, to: device, as: author, in: connection) else {
                try owe(session, of: room, to: device.user, purpose, in: connection)
                continue
            }
            messages.append((device, message))
            try noteShared(session, of: room, with: device, in: connection)
        }
        try enqueue(messages, in: connection)
    }
}

extension KnownDevice {
    /// `USER DEVICE`
    fileprivate var name: String { "\(user.text) \(device.text)" }
}
