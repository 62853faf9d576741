internal import Cryptography
public import MatrixAPI
internal import MatrixModel
public import SQLDatabase

/// To-device messages that are encrypted and not yet taken by the server. They survive a crash, and are repeated under
/// the same transaction id.
public struct ToDeviceMessages: Sendable {
    /// `PUT /sendToDevice`
    public let call: APICall
    let id: Int64
}

extension EncryptionMachine {
    /// Puts messages to devices into the outbox.
    func enqueue(
        _ messages: [(device: KnownDevice, content: JSONValue)], type: String = "m.room.encrypted",
        in connection: any SQLConnection
    ) throws {
        var rest = messages[...]
        while !rest.isEmpty {
            var body: JSONValue = [:]
            var taken = 0
            // One message a device: a second goes into the next transaction.
            for (device, content) in rest.prefix(Limits.messagesPerToDevice) {
                var devices = body[device.user.text] ?? [:]
                guard devices[device.device.text] == nil else { break }
                devices[device.device.text] = content
                body[device.user.text] = devices
                taken += 1
            }
            rest = rest.dropFirst(taken)
            try enqueue(body, type: type, in: connection)
        }
    }

    /// Puts the same message to devices of a user into the outbox, in the clear.
    func enqueue(
        _ content: JSONValue, type: String, to user: UserID, _ devices: [DeviceID], in connection: any SQLConnection
    ) throws {
        guard !devices.isEmpty else { return }
        let messages = Dictionary(devices.map { ($0.text, content) }) { $1 }
        try enqueue([user.text: .object(messages)], type: type, in: connection)
    }

    /// `messages`: contents by user and device.
    private func enqueue(_ messages: JSONValue, type: String, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO to_device_outbox (transaction_id, event_type, body)
            VALUES (\(random.token(24)), \(type), \(JSONValue.object(["messages": messages]).serialized()))
            """)
    }

    /// The oldest messages that wait. Send them in order, before any message that needs them.
    public func waitingToDevice(in connection: any SQLConnection) throws -> ToDeviceMessages? {
        let rows = try connection.query(
            "SELECT id, transaction_id, event_type, body FROM to_device_outbox ORDER BY id LIMIT 1")
        guard let row = rows.first else { return nil }
        var call = APICall(.sendToDevice, ["eventType": try row.text(2), "txnId": try row.text(1)])
        call.body = try row.bytes(3)
        return ToDeviceMessages(call: call, id: try row.integer(0))
    }

    /// After the server took the messages.
    public func sent(_ messages: ToDeviceMessages, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM to_device_outbox WHERE id = \(messages.id)")
    }
}
