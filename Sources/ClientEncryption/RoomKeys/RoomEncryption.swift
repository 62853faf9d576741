internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// How a room wants to be encrypted.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomencryption>
public struct RoomEncryptionSettings: Sendable, Hashable {
    /// The algorithm; only `m.megolm.v1.aes-sha2` can be used.
    public var algorithm: String
    /// Milliseconds that a session is used.
    public var rotationMilliseconds: Int64
    /// Messages for which a session is used.
    public var rotationMessages: Int64

    /// Reads the content of `m.room.encryption`; what is missing or out of bounds gets our limits.
    public init(_ content: some JSONReading) {
        algorithm = content["algorithm"]?.string ?? ""
        rotationMilliseconds = max(
            content["rotation_period_ms"]?.integer ?? Limits.rotationMilliseconds, Limits.leastRotationMilliseconds)
        rotationMessages = min(
            max(content["rotation_period_msgs"]?.integer ?? Limits.rotationMessages, 1), Limits.mostRotationMessages)
    }
}

extension EncryptionMachine {
    /// Makes sure that a session for `room` exists and that all devices of `recipients` and our own others have its key:
    /// messages to those that lack it go into the outbox. A session that someone has who is no recipient any more, or
    /// that is spent, is replaced. Query and claim keys first; send the outbox before any message.
    ///
    /// - Parameter accepting: whether to go on although a device shows other keys than before; it gets nothing.
    /// - Throws: `changedKey` for such a device, `changedIdentity` for a user who was verified and is someone else now.
    public func prepareRoomKey(
        for room: RoomID, recipients: [UserID], settings: RoomEncryptionSettings, accepting: Bool = false,
        in connection: any SQLConnection
    ) throws {
        guard settings.algorithm == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String(settings.algorithm.prefix(64)))
        }
        if !accepting { try refuseChangedIdentities(of: Set(recipients).union([user]), in: connection) }
        var devices: [KnownDevice] = []
        for user in Set(recipients).union([user]).sorted() {
            for device in try self.devices(of: user, in: connection) {
                guard !(device.user == self.user && device.device == self.device) else { continue }
                guard !device.hasChanged else {
                    if accepting { continue }
                    throw EncryptionError.changedKey(user: device.user, device: device.device)
                }
                devices.append(device)
            }
        }
        let present = try outbound(room, in: connection)
        let session: OutboundGroupSession
        if let present, try isUsable(present, settings, devices, in: connection) {
            session = present.session
        } else {
            session = try newSession(for: room, replacing: present?.session.id, in: connection)
        }
        try payOwedKeys(of: room, to: Set(recipients).union([user]), in: connection)
        try share(session, of: room, with: devices, in: connection)
        try oweToUnknownDevices(of: recipients, session, room, in: connection)
    }

    /// The content of an `m.room.encrypted` event. Commit before it leaves.
    public func encrypt(
        _ type: String, _ content: JSONValue, for room: RoomID, in connection: any SQLConnection
    ) throws -> JSONValue {
        guard let present = try outbound(room, in: connection) else { throw EncryptionError.notPrepared }
        var session = present.session
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
        guard let present = try outbound(room, in: connection) else { return false }
        return Int64(present.session.messageIndex) + Int64(count) <= settings.rotationMessages
    }

    /// Replaces the room's session at the next message.
    public func discardRoomKey(of room: RoomID, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM outbound_group_sessions WHERE room_id = \(room.text)")
    }

    private struct Outbound {
        let session: OutboundGroupSession
        let createdAt: Int64
    }

    private func outbound(_ room: RoomID, in connection: any SQLConnection) throws -> Outbound? {
        try connection.query(
            "SELECT pickle, created_at FROM outbound_group_sessions WHERE room_id = \(room.text)"
        ).first.map { row in
            Outbound(
                session: try OutboundGroupSession(pickle: try row.bytes(0), key: key.bytes),
                createdAt: try row.integer(1))
        }
    }

    private func isUsable(
        _ outbound: Outbound, _ settings: RoomEncryptionSettings, _ devices: [KnownDevice],
        in connection: any SQLConnection
    ) throws -> Bool {
        let age = now() - outbound.createdAt
        guard age >= 0, age < settings.rotationMilliseconds,
            Int64(outbound.session.messageIndex) < settings.rotationMessages
        else { return false }
        // Whoever has the key and should not have the next message's.
        let allowed = Set(devices.map { "\($0.user.text) \($0.curve25519)" })
        return try connection.query(
            "SELECT user_id, curve25519 FROM room_key_shares WHERE session_id = \(outbound.session.id)"
        ).allSatisfy { row in allowed.contains("\(try row.text(0)) \(try row.text(1))") }
    }

    private func newSession(
        for room: RoomID, replacing old: String?, in connection: any SQLConnection
    ) throws -> OutboundGroupSession {
        if let old, try connection.query("SELECT 1 FROM owed_room_keys WHERE session_id = \(old) LIMIT 1").isEmpty {
            try connection.execute("DELETE FROM room_key_shares WHERE session_id = \(old)")
        }
        let session = OutboundGroupSession(random: random)
        let account = try account(in: connection)
        _ = try keep(
            session.inbound, room: room, owner: user, curve25519: Base64.encode(account.curve25519Key.bytes),
            ed25519: Base64.encode(account.ed25519Key.bytes), in: connection)
        let pickle = try session.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO outbound_group_sessions VALUES (\(room.text), \(session.id), \(pickle), \(now()))
            ON CONFLICT (room_id) DO UPDATE
            SET session_id = excluded.session_id, pickle = excluded.pickle, created_at = excluded.created_at
            """)
        return session
    }

    private func share(
        _ session: OutboundGroupSession, of room: RoomID, with devices: [KnownDevice], in connection: any SQLConnection
    ) throws {
        let known = try connection.query(
            "SELECT user_id, device_id FROM room_key_shares WHERE session_id = \(session.id)"
        ).map { row in "\(try row.text(0)) \(try row.text(1))" }
        let have = Set(known)
        let content = roomKey(session, of: room)
        var messages: [(KnownDevice, JSONValue?)] = []
        for device in devices where !have.contains("\(device.user.text) \(device.device.text)") {
            guard let message = try encrypt("m.room_key", content, to: device, in: connection) else {
                try owe(session, of: room, to: device.user, in: connection)
                continue
            }
            messages.append((device, message))
            try connection.execute(
                """
                INSERT INTO room_key_shares VALUES (\(session.id), \(device.user.text), \(device.device.text),
                    \(device.curve25519), \(Int64(session.messageIndex)))
                """)
        }
        try enqueue(messages, in: connection)
    }
}
