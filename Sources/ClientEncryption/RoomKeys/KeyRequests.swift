internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// Asking our other devices for keys: only those that are verified are asked, and believed.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-requests>
extension EncryptionMachine {
    /// Asks all other verified devices of ours for a session, unless they have been asked within a day.
    /// - Returns: whether a request has gone into the outbox.
    public func requestKey(
        of room: RoomID, _ session: String, in connection: any SQLConnection
    ) throws -> Bool {
        guard session.utf8.count <= 255 else { return false }
        let now = now()
        for row in try connection.query(
            """
            SELECT request_id FROM key_requests
            WHERE \(Period.isOver(Limits.keyRequestMilliseconds, since: "created_at", at: now))
            """)
        { try forgetKeyRequest(try row.text(0), in: connection) }
        let isAsked = try !connection.query(
            "SELECT 1 FROM key_requests WHERE room_id = \(room.text) AND session_id = \(session)"
        ).isEmpty
        let count = try connection.query("SELECT COUNT(*) FROM key_requests").first?.int(0) ?? 0
        guard !isAsked, count < Limits.keyRequests else { return false }
        let devices = try devicesToAsk(in: connection)
        guard !devices.isEmpty else { return false }
        let id = random.token(24)
        try connection.execute("INSERT INTO key_requests VALUES (\(id), \(room.text), \(session), \(now))")
        for device in devices {
            try connection.execute("INSERT INTO key_request_recipients VALUES (\(id), \(device.device.text))")
        }
        let content: JSONValue = [
            "action": "request", "request_id": .string(id), "requesting_device_id": .string(device.text),
            "body": [
                "algorithm": .string(Algorithm.megolm), "room_id": .string(room.text), "session_id": .string(session),
            ],
        ]
        try enqueue(devices.map { ($0, content) }, type: "m.room_key_request", in: connection)
        return true
    }

    /// Whether there is another device of ours that may be asked.
    public func canRequestKeys(in connection: any SQLConnection) throws -> Bool {
        try !devicesToAsk(in: connection).isEmpty
    }

    private func devicesToAsk(in connection: any SQLConnection) throws -> [KnownDevice] {
        try devices(of: user, in: connection).filter {
            try $0.device != device && !$0.isBlocked && isOwnVerified($0, in: connection)
        }
    }

    /// Whether a request for the session is out.
    func isRequested(_ room: RoomID, _ session: String, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM key_requests WHERE room_id = \(room.text) AND session_id = \(session)
                AND NOT \(Period.isOver(Limits.keyRequestMilliseconds, since: "created_at", at: now()))
            """
        ).isEmpty
    }

    /// The key has come: nobody need send it any more.
    func cancelKeyRequest(of room: RoomID, _ session: String, in connection: any SQLConnection) throws {
        guard
            let row = try connection.query(
                "SELECT request_id FROM key_requests WHERE room_id = \(room.text) AND session_id = \(session)"
            ).first
        else { return }
        let id = try row.text(0)
        let names = try connection.query("SELECT device_id FROM key_request_recipients WHERE request_id = \(id)").map {
            try $0.text(0)
        }
        let devices = try self.devices(of: user, in: connection).filter { names.contains($0.device.text) }
        let content: JSONValue = [
            "action": "request_cancellation", "request_id": .string(id), "requesting_device_id": .string(device.text),
        ]
        try enqueue(devices.map { ($0, content) }, type: "m.room_key_request", in: connection)
        try forgetKeyRequest(id, in: connection)
    }

    private func forgetKeyRequest(_ id: String, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM key_requests WHERE request_id = \(id)")
        try connection.execute("DELETE FROM key_request_recipients WHERE request_id = \(id)")
    }

    /// `m.forwarded_room_key`: taken from a verified device of ours that was asked for this very session.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mforwarded_room_key>
    func takeForwardedKey(_ payload: OlmPayload, in connection: any SQLConnection) throws -> SyncOutcome.RoomKey? {
        try checkIdentity(payload, in: connection)
        let curve = Base64.encode(payload.senderKey.bytes)
        guard payload.sender == user,
            let sender = try devices(of: user, in: connection).first(where: { $0.curve25519 == curve }),
            try isOwnVerified(sender, in: connection), !sender.isBlocked
        else { throw EncryptionError.mismatch(rule: "keys are forwarded by our own verified devices") }
        guard let room = payload.content["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let session = payload.content["session_id"]?.string
        else { throw EncryptionError.malformed(path: "m.forwarded_room_key") }
        let asked = try connection.query(
            """
            SELECT 1 FROM key_request_recipients JOIN key_requests USING (request_id)
            WHERE room_id = \(room.text) AND session_id = \(session) AND device_id = \(sender.device.text)
            """)
        guard !asked.isEmpty else { throw EncryptionError.mismatch(rule: "a forwarded key was asked for") }
        if let withheld = payload.content["withheld"], let code = withheld["code"]?.string {
            try noteWithheld(
                room.text, session, by: user.text, code: code, reason: withheld["reason"]?.string, isHandedOn: true,
                in: connection)
        }
        return try importRoomKeys(
            [payload.content], from: .forwarded, vouchedBy: sender.device.text, only: room, in: connection
        ).first
    }
}
