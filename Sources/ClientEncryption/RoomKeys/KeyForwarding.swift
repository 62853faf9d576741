internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// Answering requests for keys. Our own verified devices get what is here; others of ours are told why not; other users'
/// devices get no answer at all.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-requests>
extension EncryptionMachine {
    func noteKeyRequest(_ content: JSONView, from sender: UserID, in connection: any SQLConnection) throws {
        guard sender == user, let id = content["request_id"]?.string, id.utf8.count <= 255,
            let asking = content["requesting_device_id"]?.string.flatMap({ try? DeviceID($0) }), asking != device
        else { return }
        switch content["action"]?.string {
        case "request_cancellation":
            try connection.execute(
                "DELETE FROM incoming_key_requests WHERE device_id = \(asking.text) AND request_id = \(id)")
        case "request":
            let body = content["body"]
            guard body?["algorithm"]?.string == Algorithm.megolm, let room = body?["room_id"]?.string,
                let session = body?["session_id"]?.string, room.utf8.count <= 255, session.utf8.count <= 255
            else { throw EncryptionError.malformed(path: "m.room_key_request") }
            try connection.execute(
                """
                INSERT INTO incoming_key_requests
                VALUES (\(asking.text), \(id), \(room), \(session), \(now())) ON CONFLICT DO NOTHING
                """)
            try keepNewest(
                Limits.incomingKeyRequests, of: "incoming_key_requests", by: "received_at", in: connection)
        default: throw EncryptionError.malformed(path: "m.room_key_request.action")
        }
    }

    /// Answers what can be answered. A request waits while the device is not known yet, or there is no session with it.
    func answerKeyRequests(in connection: any SQLConnection) throws {
        try connection.execute(
            """
            DELETE FROM incoming_key_requests
            WHERE \(Period.isOver(Limits.keyRequestMilliseconds, since: "received_at", at: now()))
            """)
        let rows = try connection.query(
            "SELECT device_id, request_id, room_id, session_id FROM incoming_key_requests ORDER BY received_at")
        let present = try rows.isEmpty ? [] : devices(of: user, in: connection)
        for row in rows {
            let name = try row.text(0)
            // Not one that is gone: it keeps its signature, and somebody may hold its store.
            guard let device = present.first(where: { $0.device.text == name }) else { continue }
            guard let room = try? RoomID(try row.text(2)) else { continue }
            let isAnswered = try answer(device, room, try row.text(3), in: connection)
            guard isAnswered else { continue }
            try connection.execute(
                """
                DELETE FROM incoming_key_requests
                WHERE device_id = \(device.device.text) AND request_id = \(try row.text(1))
                """)
        }
    }

    /// - Returns: whether there is nothing more to do.
    private func answer(
        _ device: KnownDevice, _ room: RoomID, _ session: String, in connection: any SQLConnection
    ) throws -> Bool {
        guard try isOwnVerified(device, in: connection), !device.isBlocked else {
            // Not if its list is stale: perhaps its signature has not been seen yet.
            guard try isCurrent(user, in: connection) else { return false }
            try refuse(device, room, session, .unverified, in: connection)
            return true
        }
        guard let row = try inboundRow(room, session, in: connection) else {
            try refuse(device, room, session, .unavailable, in: connection)
            return true
        }
        var content = try exported(row, of: room)
        content["sender_claimed_keys"] = nil
        content["sender_claimed_ed25519_key"] = .string(row.origin.ed25519)
        content["forwarding_curve25519_key_chain"] = []
        guard let message = try encrypt("m.forwarded_room_key", content, to: device, in: connection) else {
            return false
        }
        try enqueue([(device, message)], in: connection)
        return true
    }

    private func refuse(
        _ device: KnownDevice, _ room: RoomID, _ session: String, _ code: WithheldCode,
        in connection: any SQLConnection
    ) throws {
        let content = try withheld(code, session, room, in: connection)
        try enqueue([(device, content)], type: "m.room_key.withheld", in: connection)
    }
}
