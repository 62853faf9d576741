internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// An event of an encrypted room, in the clear.
public struct DecryptedEvent: Sendable {
    /// The type inside.
    public let type: String
    /// The content inside.
    public let content: JSONValue
    /// The device that made the session; nil where it is not known (yet).
    public let device: DeviceID?
    /// Its `curve25519` key, base64.
    public let senderKey: String
}

extension EncryptionMachine {
    /// Decrypts an `m.room.encrypted` event of `room`. The same event may be read again; the same message under another
    /// event id is refused as `replayed`.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mmegolmv1aes-sha2>
    public func decrypt(
        _ event: JSONView, in room: RoomID, in connection: any SQLConnection
    ) throws -> DecryptedEvent {
        let content = event["content"]
        let algorithm = content?["algorithm"]?.string ?? ""
        guard algorithm == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String(algorithm.prefix(64)))
        }
        guard let name = content?["session_id"]?.string, let eventID = event["event_id"]?.string,
            let sender = event["sender"]?.string,
            let ciphertext = content?["ciphertext"]?.string.flatMap({ Base64.decode($0) })
        else { throw EncryptionError.malformed(path: "m.room.encrypted") }
        guard let row = try inboundRow(room, name, in: connection) else {
            throw EncryptionError.noRoomKey(
                session: String(name.prefix(64)), withheld: try withheldCode(room, name, in: connection))
        }
        guard try row.text(1) == sender else {
            throw EncryptionError.mismatch(rule: "the session belongs to the event's sender")
        }
        var session = try InboundGroupSession(pickle: try row.bytes(0), key: key.bytes)
        let decrypted = try EncryptionError.wrapping { () throws(RatchetError) in try session.decrypt(ciphertext) }
        try refuseReplay(
            of: decrypted.index, in: name, room, as: eventID, at: event["origin_server_ts"]?.integer ?? 0,
            in: connection)
        guard let payload = try? JSONDocument(decrypted.plaintext).root, let type = payload["type"]?.string,
            let inner = payload["content"], inner.isObject
        else { throw EncryptionError.malformed(path: "payload") }
        guard payload["room_id"]?.string == room.text else {
            throw EncryptionError.mismatch(rule: "the payload names its room")
        }
        let curve = try row.text(2)
        return DecryptedEvent(
            type: type, content: inner.value, device: try device(of: sender, curve, in: connection), senderKey: curve)
    }

    private func refuseReplay(
        of index: UInt32, in session: String, _ room: RoomID, as eventID: String, at timestamp: Int64,
        in connection: any SQLConnection
    ) throws {
        let known = try connection.query(
            """
            SELECT event_id FROM message_indexes
            WHERE room_id = \(room.text) AND session_id = \(session) AND message_index = \(Int64(index))
            """
        ).first
        if let known {
            guard try known.text(0) == eventID else { throw EncryptionError.replayed }
        } else {
            try connection.execute(
                """
                INSERT INTO message_indexes
                VALUES (\(room.text), \(session), \(Int64(index)), \(eventID), \(timestamp))
                """)
        }
    }

    private func withheldCode(_ room: RoomID, _ session: String, in connection: any SQLConnection) throws -> String? {
        try connection.query(
            "SELECT code FROM withheld_room_keys WHERE room_id = \(room.text) AND session_id = \(session)"
        ).first?.text(0)
    }

    private func device(
        of user: String, _ curve25519: String, in connection: any SQLConnection
    ) throws -> DeviceID? {
        if user == self.user.text, curve25519 == Base64.encode(try account(in: connection).curve25519Key.bytes) {
            return device
        }
        return try connection.query(
            "SELECT device_id FROM devices WHERE user_id = \(user) AND curve25519 = \(curve25519)"
        ).first.map { try DeviceID(try $0.text(0)) }
    }
}
