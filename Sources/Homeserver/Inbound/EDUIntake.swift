internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase

/// Takes in what other servers' users are doing now: typing, receipts, presence. Checks whose it is; the receiver checks rooms.
protocol EphemeralReceiving: Sendable {
    func receiveTyping(_ content: JSONView, from origin: ServerName) async throws
    func receiveReceipts(_ content: JSONView, from origin: ServerName) async throws
    func receivePresence(_ content: JSONView, from origin: ServerName) async throws
}

/// Takes EDUs in, each by its type; unknown ones are passed over.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#edus>
struct EDUIntake: Sendable {
    /// An EDU's content, bytes.
    static let maximumBytes = 65_536 * 4

    /// An EDU that does not hold.
    struct Malformed: Error, Sendable {
        let reason: String
    }

    /// Rooms of one receipt EDU.
    static let maximumRooms = 1_000

    let environment: Environment
    let reader: RoomReader
    let remoteDevices: RemoteDevices
    let ephemeral: (any EphemeralReceiving)?

    func take(_ edu: JSONView, from origin: ServerName) async throws {
        guard let type = edu["edu_type"]?.string, let content = edu["content"], content.kind == .object,
            content.rawBytes.count <= Self.maximumBytes
        else { throw Malformed(reason: "no type or content") }
        switch type {
        case "m.typing":
            guard try await mayTell(origin, of: content["room_id"]?.string) else { return }
            try await ephemeral?.receiveTyping(content, from: origin)
        case "m.receipt": try await receipts(content, from: origin)
        case "m.presence": try await ephemeral?.receivePresence(content, from: origin)
        case "m.direct_to_device": try await toDevice(content, from: origin)
        case "m.device_list_update": try await deviceList(content, from: origin)
        case "m.signing_key_update", "org.matrix.signing_key_update": try await signingKeys(content, from: origin)
        default: break
        }
    }

    // MARK: What is done in rooms

    /// Whether a room's access list lets a server tell what its users do there.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls>
    private func mayTell(_ origin: ServerName, of room: String?) async throws -> Bool {
        guard let room = room.flatMap({ try? RoomID($0) }), let record = try await reader.record(room) else {
            return false
        }
        return try await reader.allows(origin, in: record)
    }

    private func receipts(_ content: JSONView, from origin: ServerName) async throws {
        var allowed: [String: JSONValue] = [:]
        let rooms = content.members
        for (room, receipts) in rooms.prefix(Self.maximumRooms) where try await mayTell(origin, of: room) {
            allowed[room] = receipts.value
        }
        guard !allowed.isEmpty else { return }
        if allowed.count == rooms.count { return try await ephemeral?.receiveReceipts(content, from: origin) ?? () }
        let rest = try JSONDocument(JSONValue.object(allowed).serialized())
        try await ephemeral?.receiveReceipts(rest.root, from: origin)
    }

    // MARK: To-device messages

    private func toDevice(_ content: JSONView, from origin: ServerName) async throws {
        let sender = try user(content["sender"], of: origin)
        guard let type = content["type"]?.string, type.utf8.count <= 255, let id = content["message_id"]?.string,
            id.utf8.count <= 255, let messages = content["messages"]?.members
        else { throw Malformed(reason: "m.direct_to_device lacks a field") }
        var rows: [(user: UserID, device: String, body: [UInt8])] = []
        for (name, devices) in messages {
            guard let user = try? UserID(name), environment.isLocal(user) else { continue }
            for (device, body) in devices.members where body.kind == .object {
                rows.append((user, device, ToDeviceSending.message(type, from: sender, body)))
            }
        }
        guard rows.count <= ToDeviceSending.maximumRecipients else { throw Malformed(reason: "too many recipients") }
        let now = environment.clock.now()
        let limit = environment.configuration.limits.toDeviceMessagesPerDevice
        let sealer = environment.sealer
        let messagesToAdd = rows
        try await environment.database.groupedWrite { connection in
            guard try ToDeviceStore(connection, sealer).isNew(origin: origin, messageID: id, now: now) else { return }
            try ToDeviceDelivery.deliver(messagesToAdd, limit: limit, sealer: sealer, connection)
        }
    }

    // MARK: Device lists

    private func deviceList(_ content: JSONView, from origin: ServerName) async throws {
        let user = try user(content["user_id"], of: origin)
        guard let device = content["device_id"]?.string, device.utf8.count <= 255,
            let stream = content["stream_id"]?.integer
        else { throw Malformed(reason: "m.device_list_update lacks a field") }
        let previous = (content["prev_id"]?.elements ?? []).prefix(20).compactMap(\.integer)
        let isDeleted = content["deleted"]?.bool ?? false
        let keys = content["keys"].flatMap { RemoteDevices.belongs($0, to: user, device) ? Array($0.rawBytes) : nil }
        let row = RemoteDeviceStore.Device(
            id: device, keys: keys, displayName: content["device_display_name"]?.string)
        try await environment.database.write { connection in
            guard try !RoomStore(connection).memberships(of: user, .join).isEmpty else { return }
            let store = RemoteDeviceStore(connection)
            if let list = try store.list(of: user) {
                // What the list was fetched with, or is told once more.
                if stream == list.streamID { return }
                if Self.follows(list, stream, previous) {
                    try store.update(row, deleted: isDeleted, of: user, streamID: stream)
                } else {
                    // There is a gap, or the numbers are others since the server was set up anew: the next question asks for
                    // the whole list, once for all that came until then. An older change that comes late costs that, too.
                    try store.markStale(user)
                }
            }
            _ = try DeviceKeyStore(connection).noteChange(of: user)
        }
    }

    /// Whether a change is the next after what is known of a list. Only the last number is kept, so that is the one to know;
    /// servers that name several name those before it as well.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#device-management>
    static func follows(_ list: RemoteDeviceStore.List, _ stream: Int64, _ previous: [Int64]) -> Bool {
        !list.isStale && stream > list.streamID && previous.max() == list.streamID
    }

    private func signingKeys(_ content: JSONView, from origin: ServerName) async throws {
        let user = try user(content["user_id"], of: origin)
        let master = RemoteDevices.crossSigningKey(content["master_key"], of: user, "master")
        let selfSigning = RemoteDevices.crossSigningKey(content["self_signing_key"], of: user, "self_signing")
        try await environment.database.write { connection in
            guard try !RoomStore(connection).memberships(of: user, .join).isEmpty else { return }
            try RemoteDevices.save(master, "master", of: user, connection)
            try RemoteDevices.save(selfSigning, "self_signing", of: user, connection)
            _ = try DeviceKeyStore(connection).noteChange(of: user)
        }
    }

    private func user(_ view: JSONView?, of origin: ServerName) throws(Malformed) -> UserID {
        guard let text = view?.string, let user = try? UserID(text), user.serverName == origin else {
            throw Malformed(reason: "the user is not the origin's")
        }
        return user
    }
}
