internal import ClientEncryption
internal import Cryptography
internal import MatrixModel
internal import SQLDatabase

/// A message that the server has not taken yet. Once encrypted it is sent as it is, under its transaction id, however
/// often that takes.
struct QueuedMessage: Sendable {
    let id: Int64
    let room: RoomID
    let transactionID: String
    let type: String
    let content: JSONValue
    /// When it is worth nothing any more, in milliseconds since 1970. It then leaves the queue unsent; so it does when it
    /// cannot be sent at once, and when its process ends.
    var expiresAt: Int64?
    /// Whether it goes out encrypted or not at all: its sender wants it so, or the room was encrypted when it was accepted.
    var encryptedOnly = false
    /// What goes over the wire; nil until encrypted.
    var wire: (type: String, content: [UInt8])?

    /// Who gets the key.
    var purpose: RoomKeyPurpose { RoomKeyPurpose(type, content) }
}

extension ClientStore {
    func enqueue(
        _ type: String, _ content: JSONValue, to room: RoomID, transactionID: String, expiresAt: Int64?,
        encryptedOnly: Bool, in connection: any SQLConnection
    ) throws {
        let count = try connection.query("SELECT COUNT(*) FROM send_queue").first?.int(0) ?? 0
        guard count < ClientLimits.queuedMessages else { throw ClientError.queued("the queue is full") }
        let sealed = try key.seal(content.serialized(), place: "queue \(transactionID)", random: random)
        try connection.execute(
            """
            INSERT INTO send_queue (room_id, transaction_id, event_type, content, expires_at, encrypted_only)
            VALUES (\(room.text), \(transactionID), \(type), \(sealed), \(expiresAt), \(encryptedOnly ? 1 : 0))
            """)
    }

    /// The next of a room, behind one.
    func queued(
        for room: RoomID, after id: Int64, in connection: any SQLConnection
    ) throws -> [QueuedMessage] {
        try connection.query(
            """
            SELECT id, transaction_id, event_type, content, wire_type, wire_content, expires_at, encrypted_only
            FROM send_queue WHERE room_id = \(room.text) AND id > \(id)
            ORDER BY id LIMIT \(ClientLimits.messagesPerBatch)
            """
        ).map { row in
            let transaction = try row.text(1)
            var message = QueuedMessage(
                id: try row.integer(0), room: room, transactionID: transaction, type: try row.text(2),
                content: try opened(try row.bytes(3), place: "queue \(transaction)"),
                expiresAt: try row.optionalInteger(6), encryptedOnly: try row.integer(7) != 0)
            if let type = try row.optionalText(4), let content = try row.optionalBytes(5) {
                message.wire = (type, try key.open(content, place: "wire \(transaction)"))
            }
            return message
        }
    }

    /// What expires is not sent by another process than the one that wanted it sent.
    func dequeueExpiring(in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM send_queue WHERE expires_at IS NOT NULL")
    }

    func dequeueExpiring(in room: RoomID, _ connection: any SQLConnection) throws {
        try connection.execute(
            "DELETE FROM send_queue WHERE room_id = \(room.text) AND expires_at IS NOT NULL")
    }

    func roomsWithQueue(in connection: any SQLConnection) throws -> [RoomID] {
        try connection.query("SELECT DISTINCT room_id FROM send_queue").map { try RoomID(try $0.text(0)) }
    }

    func setWire(
        _ type: String, _ content: [UInt8], of message: QueuedMessage, in connection: any SQLConnection
    ) throws {
        let sealed = try key.seal(content, place: "wire \(message.transactionID)", random: random)
        try connection.execute(
            "UPDATE send_queue SET wire_type = \(type), wire_content = \(sealed) WHERE id = \(message.id)")
    }

    func dequeue(_ id: Int64, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM send_queue WHERE id = \(id)")
    }
}
