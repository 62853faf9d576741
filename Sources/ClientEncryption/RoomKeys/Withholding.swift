internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// `m.room_key.withheld`: telling devices that they get no key, and hearing of it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#reporting-that-decryption-keys-are-withheld>
extension EncryptionMachine {
    /// Tells each device once a session.
    func withhold(
        _ session: String, of room: RoomID, from devices: [(device: KnownDevice, code: WithheldCode)],
        in connection: any SQLConnection
    ) throws {
        var messages: [(KnownDevice, JSONValue)] = []
        for (device, code) in devices {
            let isNew = try connection.execute(
                """
                INSERT INTO sent_withheld
                VALUES (\(session), \(device.user.text), \(device.device.text), \(code.rawValue))
                ON CONFLICT (session_id, user_id, device_id) DO UPDATE SET code = excluded.code
                WHERE sent_withheld.code <> excluded.code
                """)
            guard isNew > 0 else { continue }
            messages.append((device, try withheld(code, session, room, in: connection)))
        }
        try enqueue(messages, type: "m.room_key.withheld", in: connection)
    }

    func withheld(
        _ code: WithheldCode, _ session: String?, _ room: RoomID?, reason: String? = nil,
        in connection: any SQLConnection
    ) throws -> JSONValue {
        .fields([
            "algorithm": .string(Algorithm.megolm), "code": .string(code.rawValue),
            "reason": .string(reason ?? code.reason),
            "room_id": room.map { .string($0.text) }, "session_id": session.map { .string($0) },
            "sender_key": .string(Base64.encode(try account(in: connection).curve25519Key.bytes)),
        ])
    }

    /// `m.no_olm` concerns all keys: it is said once, and again only after a session was made.
    func tellOfMissingSession(
        _ device: KnownDevice, reason: String? = nil, in connection: any SQLConnection
    ) throws {
        let isNew = try connection.execute(
            """
            UPDATE devices SET no_olm_told = 1
            WHERE user_id = \(device.user.text) AND device_id = \(device.device.text) AND no_olm_told = 0
            """)
        guard isNew > 0 else { return }
        try enqueue(
            [(device, try withheld(.noOlm, nil, nil, reason: reason, in: connection))], type: "m.room_key.withheld",
            in: connection)
    }

    /// Takes a withheld code in. Anybody can claim one, so that it explains and decides nothing.
    func noteWithheld(_ content: JSONView, from sender: UserID, in connection: any SQLConnection) throws {
        guard let code = content["code"]?.string else { return }
        if code == WithheldCode.noOlm.rawValue {
            guard let curve = content["sender_key"]?.string, curve.utf8.count <= 64 else { return }
            // A session of our making lets them write to us again.
            try noteWedged(sender, curve, in: connection)
            try noteWithheld(
                "", "", by: sender.text, code: code, reason: content["reason"]?.string, in: connection)
            return
        }
        guard let room = content["room_id"]?.string, let session = content["session_id"]?.string else { return }
        try noteWithheld(
            room, session, by: sender.text, code: code, reason: content["reason"]?.string, in: connection)
    }

    /// `isHandedOn` is true of the word of who gave us keys: the bundle of who invited us, or a forwarded key.
    func noteWithheld(
        _ room: String, _ session: String, by sender: String, code: String, reason: String?, isHandedOn: Bool = false,
        in connection: any SQLConnection
    ) throws {
        guard room.utf8.count <= 255, session.utf8.count <= 255 else { return }
        try connection.execute(
            """
            INSERT INTO received_withheld (room_id, session_id, user_id, code, reason, received_at, is_handed_on)
            VALUES (\(room), \(session), \(sender), \(String(code.prefix(64))),
                \(reason.map { String($0.prefix(256)) }), \(now()), \(isHandedOn))
            ON CONFLICT (room_id, session_id, user_id) DO UPDATE SET code = excluded.code, reason = excluded.reason,
                received_at = excluded.received_at, is_handed_on = excluded.is_handed_on
            WHERE excluded.is_handed_on >= received_withheld.is_handed_on
            """)
        try keepNewest(Limits.receivedWithheld, of: "received_withheld", by: "received_at", in: connection)
    }

    /// Why a session was withheld: what its sender says, else who gave us others' keys, else that its sender had no session with
    /// us about when the event was sent, at `time` in milliseconds since 1970, or later. Anybody else's word counts nothing.
    func withheldCode(
        _ room: RoomID, _ session: String, sender: String, at time: Int64, in connection: any SQLConnection
    ) throws -> (code: String, reason: String?)? {
        try connection.query(
            """
            SELECT code, reason FROM received_withheld
            WHERE (room_id = \(room.text) AND session_id = \(session) AND (user_id = \(sender) OR is_handed_on = 1))
                OR (room_id = '' AND session_id = '' AND user_id = \(sender)
                    AND code = \(WithheldCode.noOlm.rawValue) AND received_at >= \(time) - \(Limits.recentMilliseconds))
            ORDER BY CASE WHEN room_id = '' THEN 2 WHEN user_id = \(sender) THEN 0 ELSE 1 END, received_at DESC LIMIT 1
            """
        ).first.map { (try $0.text(0), try $0.optionalText(1)) }
    }

    /// What our other devices have answered when they were asked for the session.
    func ownAnswer(
        _ room: RoomID, _ session: String, sender: String, in connection: any SQLConnection
    ) throws -> String? {
        guard sender != user.text else { return nil }
        return try connection.query(
            """
            SELECT code FROM received_withheld WHERE room_id = \(room.text) AND session_id = \(session)
                AND user_id = \(user.text) AND is_handed_on = 0
            """
        ).first?.text(0)
    }
}
