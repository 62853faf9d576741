internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Messages to devices, here and on other servers.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>
struct ToDeviceSending: RouteGroup {
    /// Devices addressed by one request.
    static let maximumRecipients = 10_000

    let environment: Environment

    func register(on router: inout Router) {
        router.on(.sendToDevice) { request, requester in try await send(request, requester) }
    }

    private func send(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let type = request.parameter("eventType")
        let transaction = request.parameter("txnId")
        guard type.utf8.count <= 255, transaction.utf8.count <= 255 else {
            throw MatrixError(.invalidParameter, "The event type or transaction id is too long")
        }
        let origin = SendOrigin(
            user: requester.user, device: requester.device, scope: "sendToDevice/\(type)", transactionID: transaction)
        var local: [(user: UserID, device: String, body: [UInt8])] = []
        var remote: [ServerName: [String: [String: JSONValue]]] = [:]
        var count = 0
        for (name, devices) in try request.object("messages").members {
            guard let user = try? UserID(name) else {
                throw MatrixError(.invalidParameter, "A recipient is no user id")
            }
            for (device, content) in devices.members {
                count += 1
                guard count <= Self.maximumRecipients else {
                    throw MatrixError(.tooLarge, "At most \(Self.maximumRecipients) devices at once")
                }
                guard content.kind == .object else { throw MatrixError(.badJSON, "A message is not an object") }
                if environment.isLocal(user) {
                    local.append((user, device, Self.message(type, from: requester.user, content)))
                } else {
                    remote[user.serverName, default: [:]][user.text, default: [:]][device] = content.value
                }
            }
        }
        let now = environment.clock.now()
        let limit = environment.configuration.limits.toDeviceMessagesPerDevice
        let sealer = environment.sealer
        let edus = remote.map { server, messages in
            (
                server,
                FederationSender.edu(
                    "m.direct_to_device",
                    [
                        "sender": .string(requester.user.text), "type": .string(type),
                        "message_id": .string(environment.random.token(16)),
                        "messages": .object(messages.mapValues { .object($0) }),
                    ])
            )
        }
        let rows = local
        try await environment.database.groupedWrite { connection in
            // A retry of the same transaction sends nothing twice.
            guard try ReplyLog(connection).record([0x7B, 0x7D], to: origin, now: now) else { return }
            try ToDeviceDelivery.deliver(rows, limit: limit, sealer: sealer, connection)
            for (server, edu) in edus {
                try Outbox(connection).enqueueEDU(edu, to: server.text, dedupeKey: nil, now: now)
            }
        }
        return .empty
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
