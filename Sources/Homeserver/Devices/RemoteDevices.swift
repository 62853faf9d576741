internal import Cryptography
internal import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// The devices of users on other servers: from what is kept while their server tells us of changes, else asked for.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#device-management>
struct RemoteDevices: Sendable {
    /// A user's devices and cross-signing keys.
    struct List: Sendable {
        /// Device keys by device id; `nil` for a device without keys.
        var devices: [String: JSONValue?] = [:]
        var master: JSONValue?
        var selfSigning: JSONValue?
    }

    /// Devices of one user that are kept.
    static let maximumDevices = 1_000

    let environment: Environment
    let client: FederationClient

    /// The lists of these users; an empty set of devices means all. Servers that could not be asked are in `failures`.
    func devices(
        of asked: [UserID: Set<String>], timeout: Duration
    ) async -> (lists: [UserID: List], failures: [String: JSONValue]) {
        guard !asked.isEmpty else { return ([:], [:]) }
        var lists: [UserID: List] = [:]
        var toAsk: [ServerName: [UserID]] = [:]
        for user in asked.keys {
            if let kept = try? await kept(user) {
                lists[user] = kept
            } else {
                toAsk[user.serverName, default: []].append(user)
            }
        }
        var failures: [String: JSONValue] = [:]
        await withTaskGroup(of: (ServerName, [UserID: List]?).self) { group in
            for (server, users) in toAsk {
                group.addTask { (server, await ask(server, users, timeout)) }
            }
            for await (server, found) in group {
                if let found {
                    lists.merge(found) { $1 }
                } else {
                    failures[server.text] = ["message": "The server could not be asked"]
                }
            }
        }
        for (user, wanted) in asked where !wanted.isEmpty {
            guard let devices = lists[user]?.devices else { continue }
            lists[user]?.devices = devices.filter { wanted.contains($0.key) }
        }
        return (lists, failures)
    }

    private func kept(_ user: UserID) async throws -> List? {
        try await environment.database.read { connection in
            let store = RemoteDeviceStore(connection)
            guard let list = try store.list(of: user), !list.isStale else { return nil }
            var found = List()
            for device in try store.devices(of: user) {
                var keys = device.keys.flatMap { try? JSONValue.parse($0) }
                if let name = device.displayName { keys?["unsigned"] = ["device_display_name": .string(name)] }
                found.devices[device.id] = .some(keys)
            }
            for key in try DeviceKeyStore(connection).crossSigningKeys(of: user) {
                let value = try? JSONValue.parse(key.body)
                if key.usage == "master" { found.master = value }
                if key.usage == "self_signing" { found.selfSigning = value }
            }
            return found
        }
    }

    /// Asks a server for some of its users. Those who share a room with ours are kept from then on.
    private func ask(_ server: ServerName, _ users: [UserID], _ timeout: Duration) async -> [UserID: List]? {
        var found: [UserID: List] = [:]
        var rest: [UserID] = []
        for user in users {
            let sharesRoom = try? await environment.database.read { connection in
                try !RoomStore(connection).memberships(of: user, .join).isEmpty
            }
            guard sharesRoom == true else {
                rest.append(user)
                continue
            }
            if let list = await resynchronize(user, timeout) { found[user] = list } else { rest.append(user) }
        }
        guard !rest.isEmpty else { return found }
        let wanted = Dictionary(uniqueKeysWithValues: rest.map { ($0.text, JSONValue.array([])) })
        let call = APICall(.queryUserEncryptionKeys, body: ["device_keys": .object(wanted)])
        guard let answer = try? await client.json(call, at: server, timeout: timeout, maximumBytes: 16 << 20) else {
            return found.isEmpty ? nil : found
        }
        for user in rest {
            var list = List()
            for (device, keys) in (answer["device_keys"]?[user.text]?.members ?? []).prefix(Self.maximumDevices)
            where Self.belongs(keys, to: user, device) {
                list.devices[device] = .some(keys.value)
            }
            list.master = Self.crossSigningKey(answer["master_keys"]?[user.text], of: user, "master")
            list.selfSigning = Self.crossSigningKey(answer["self_signing_keys"]?[user.text], of: user, "self_signing")
            found[user] = list
        }
        return found
    }

    /// Asks for a user's whole list and keeps it.
    @discardableResult
    func resynchronize(_ user: UserID, _ timeout: Duration = .seconds(20)) async -> List? {
        let call = APICall(.getUserDevices, ["userId": user.text])
        let answer: JSONView
        do {
            answer = try await client.json(call, at: user.serverName, timeout: timeout, maximumBytes: 16 << 20)
        } catch {
            environment.logger.debug("device list", metadata: ["server": "\(user.serverName)", "cause": "\(error)"])
            return nil
        }
        guard answer["user_id"]?.string == user.text, let stream = answer["stream_id"]?.integer else { return nil }
        var devices: [RemoteDeviceStore.Device] = []
        var list = List()
        for entry in (answer["devices"]?.elements ?? []).prefix(Self.maximumDevices) {
            guard let id = entry["device_id"]?.string, id.utf8.count <= 255 else { continue }
            let keys = entry["keys"].flatMap { Self.belongs($0, to: user, id) ? $0 : nil }
            devices.append(
                .init(
                    id: id, keys: keys.map { Array($0.rawBytes) }, displayName: entry["device_display_name"]?.string))
            list.devices[id] = .some(keys?.value)
        }
        list.master = Self.crossSigningKey(answer["master_key"], of: user, "master")
        list.selfSigning = Self.crossSigningKey(answer["self_signing_key"], of: user, "self_signing")
        let now = environment.clock.now()
        let kept = list
        let rows = devices
        let saved: Void? = try? await environment.database.write { connection in
            try RemoteDeviceStore(connection).replace(rows, of: user, streamID: stream, now: now)
            try Self.save(kept.master, "master", of: user, connection)
            try Self.save(kept.selfSigning, "self_signing", of: user, connection)
        }
        return saved == nil ? nil : list
    }

    static func save(_ key: JSONValue?, _ usage: String, of user: UserID, _ connection: any SQLConnection) throws {
        guard let key, let name = key["keys"]?.object?.keys.first, name.hasPrefix("ed25519:") else { return }
        try DeviceKeyStore(connection).save(
            .init(usage: usage, keyID: String(name.dropFirst(8)), body: key.serialized()), of: user)
    }

    /// Whether device keys say of themselves whose they are.
    static func belongs(_ keys: JSONView, to user: UserID, _ device: String) -> Bool {
        keys["user_id"]?.string == user.text && keys["device_id"]?.string == device
            && keys.rawBytes.count <= KeyUploading.maximumKeyBytes
    }

    static func crossSigningKey(_ view: JSONView?, of user: UserID, _ usage: String) -> JSONValue? {
        guard let view, view["user_id"]?.string == user.text,
            view["usage"]?.elements.contains(where: { $0.string == usage }) == true,
            SignedKeys.publicKey(view) != nil, view.rawBytes.count <= KeyUploading.maximumKeyBytes
        else { return nil }
        return view.value
    }
}
