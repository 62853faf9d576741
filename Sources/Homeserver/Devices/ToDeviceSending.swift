internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Messages to devices, here and on other servers.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>
struct ToDeviceSending: RouteGroup {
    /// Devices addressed by one request.
    static let maximumRecipients = DeviceLimits.recipients

    let environment: Environment

    func register(on router: inout Router) {
        router.on(.sendToDevice) { request, requester in try await send(request, requester) }
    }

    /// Messages of one EDU.
    private struct Batch {
        var messages: [String: [String: JSONValue]] = [:]
        var bytes = 0
    }

    private func send(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let type = request.parameter("eventType")
        let transaction = request.parameter("txnId")
        guard type.utf8.count <= 255, transaction.utf8.count <= 255 else {
            throw MatrixError(.invalidParameter, "The event type or transaction id is too long")
        }
        var local: [(user: UserID, device: String, body: [UInt8])] = []
        var remote: [ServerName: [Batch]] = [:]
        var count = 0
        for (name, devices) in try request.object("messages").members {
            guard let user = try? UserID(name) else {
                throw MatrixError(.invalidParameter, "A recipient is no user id")
            }
            guard devices.kind == .object else { throw MatrixError(.badJSON, "Devices are not an object") }
            count += devices.count
            guard count <= Self.maximumRecipients else {
                throw MatrixError(.tooLarge, "At most \(Self.maximumRecipients) devices at once")
            }
            for (device, content) in devices.members {
                guard content.kind == .object else { throw MatrixError(.badJSON, "A message is not an object") }
                guard content.rawBytes.count <= DeviceLimits.messageBytes else {
                    throw MatrixError(.tooLarge, "A message is larger than \(DeviceLimits.messageBytes) bytes")
                }
                if environment.isLocal(user) {
                    local.append((user, device, Self.message(type, from: requester.user, content)))
                } else {
                    Self.add(content, to: device, of: user, in: &remote[user.serverName, default: []])
                }
            }
        }
        let origin = SendOrigin(
            user: requester.user, device: requester.device, scope: "sendToDevice/\(type)", transactionID: transaction)
        let now = environment.clock.now()
        let limit = environment.configuration.limits.toDeviceMessagesPerDevice
        let sealer = environment.sealer
        let rows = local
        let edus = environment.configuration.federation.isEnabled ? edus(remote, type, from: requester.user) : []
        try await environment.database.groupedWrite { connection in
            // A retry of the same transaction sends nothing twice.
            guard try ReplyLog(connection).record([0x7B, 0x7D], to: origin, now: now) else { return }
            try ToDeviceDelivery.deliver(rows, limit: limit, sealer: sealer, connection)
            for (server, edu) in edus {
                try Outbox(connection).enqueueEDU(
                    edu, to: server.text, dedupeKey: nil, now: now, sealer: sealer)
            }
        }
        return .empty
    }

    private static func add(_ content: JSONView, to device: String, of user: UserID, in batches: inout [Batch]) {
        let bytes = content.rawBytes.count + device.utf8.count + user.text.utf8.count
        var batch = Batch()
        if let last = batches.last, last.bytes + bytes <= DeviceLimits.eduBytes { batch = batches.removeLast() }
        batch.messages[user.text, default: [:]][device] = content.value
        batch.bytes += bytes
        batches.append(batch)
    }

    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging>
    private func edus(
        _ messages: [ServerName: [Batch]], _ type: String, from sender: UserID
    ) -> [(ServerName, [UInt8])] {
        messages.flatMap { server, batches in
            batches.map { batch in
                let content: JSONValue = [
                    "sender": .string(sender.text), "type": .string(type),
                    "message_id": .string(environment.random.token(16)),
                    "messages": .object(batch.messages.mapValues { .object($0) }),
                ]
                return (server, FederationSender.edu("m.direct_to_device", content))
            }
        }
    }

    /// A message as the device gets it.
    static func message(_ type: String, from sender: UserID, _ content: JSONView) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("content")
        writer.value(content)
        writer.key("sender")
        writer.string(sender.text)
        writer.key("type")
        writer.string(type)
        writer.endObject()
        return writer.bytes
    }
}

/// Puts messages into the devices' queues.
enum ToDeviceDelivery {
    /// A device of `*` stands for all of the user's. Devices that do not exist get nothing.
    static func deliver(
        _ messages: [(user: UserID, device: String, body: [UInt8])], limit: Int, sealer: StorageSealer,
        _ connection: any SQLConnection
    ) throws {
        var known: [UserID: [DeviceID]] = [:]
        var rows: [(user: UserID, device: DeviceID, body: [UInt8])] = []
        for message in messages {
            let devices: [DeviceID]
            if let found = known[message.user] {
                devices = found
            } else {
                devices = try DeviceStore(connection).devices(of: message.user).map(\.id)
                known[message.user] = devices
            }
            for device in devices where message.device == "*" || message.device == device.text {
                rows.append((message.user, device, message.body))
            }
        }
        _ = try ToDeviceStore(connection, sealer).add(rows, limit: limit)
    }
}
