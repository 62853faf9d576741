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

    /// What a client is told of a server that could not be asked.
    static let failure: JSONValue = ["status": 503, "message": "The server could not be asked"]

    let environment: Environment
    let client: FederationClient

    /// The lists of these users; an empty set of devices means all. Servers that could not be asked are in `failures`.
    func devices(
        of asked: [UserID: Set<String>], timeout: Duration
    ) async -> (lists: [UserID: List], failures: [String: JSONValue]) {
        guard !asked.isEmpty else { return ([:], [:]) }
        var lists: [UserID: List] = (try? await kept(asked.keys)) ?? [:]
        let toAsk = Dictionary(grouping: asked.keys.filter { lists[$0] == nil }, by: \.serverName)
        var failures: [String: JSONValue] = [:]
        let deadline = environment.clock.monotonic() + timeout
        await withTaskGroup(of: (ServerName, [UserID: List], Bool).self) { group in
            for (server, users) in toAsk {
                group.addTask {
                    let (found, isComplete) = await ask(server, users.sorted(), deadline)
                    return (server, found, isComplete)
                }
            }
            for await (server, found, isComplete) in group {
                lists.merge(found) { $1 }
                if !isComplete { failures[server.text] = Self.failure }
            }
        }
        for (user, wanted) in asked where !wanted.isEmpty {
            guard let devices = lists[user]?.devices else { continue }
            lists[user]?.devices = devices.filter { wanted.contains($0.key) }
        }
        return (lists, failures)
    }

    private func kept(_ users: some Sequence<UserID> & Sendable) async throws -> [UserID: List] {
        let server = environment.serverName
        return try await environment.database.read { connection in
            let current = try RemoteDeviceStore(connection).currentDevices(of: users, sharingWith: server)
            let keys = try DeviceKeyStore(connection).keys(of: current.keys, readableBy: nil)
            var found: [UserID: List] = [:]
            for (user, devices) in current {
                var list = List()
                for device in devices {
                    var body = device.keys.flatMap(SignedKeys.parsed)
                    if let name = device.displayName { body?["unsigned"] = ["device_display_name": .string(name)] }
                    list.devices[device.id] = .some(body)
                }
                list.master = keys[user]?.key("master").flatMap { SignedKeys.parsed($0.body) }
                list.selfSigning = keys[user]?.key("self_signing").flatMap { SignedKeys.parsed($0.body) }
                found[user] = list
            }
            return found
        }
    }

    // MARK: Asking

    /// Asks a server for some of its users. Those who share a room with ours are kept from then on.
    private func ask(
        _ server: ServerName, _ users: [UserID], _ deadline: Duration
    ) async -> (found: [UserID: List], isComplete: Bool) {
        let own = environment.serverName
        let tracked = try? await environment.database.read { connection in
            let store = RemoteDeviceStore(connection)
            var tracked: [UserID] = []
            for user in users where try store.isTracked(user, sharingWith: own) {
                tracked.append(user)
                if tracked.count == DeviceLimits.listsPerQuery { break }
            }
            return tracked
        }
        var found: [UserID: List] = [:]
        var isReachable = true
        await withTaskGroup(of: (UserID, Answer).self) { group in
            var waiting = (tracked ?? [])[...]
            func next() {
                guard isReachable, let user = waiting.popFirst() else { return }
                group.addTask { (user, await fetch(user, left(deadline))) }
            }
            for _ in 0..<DeviceLimits.listsAtOnce { next() }
            for await (user, answer) in group {
                switch answer {
                case .list(let list): found[user] = list
                case .unreachable: isReachable = false
                case .nothing: break
                }
                next()
            }
        }
        guard isReachable else { return (found, false) }
        let rest = users.filter { found[$0] == nil }
        guard !rest.isEmpty else { return (found, true) }
        guard let answers = await query(rest, at: server, left(deadline)) else { return (found, false) }
        found.merge(answers) { $1 }
        return (found, true)
    }

    private func left(_ deadline: Duration) -> Duration {
        max(deadline - environment.clock.monotonic(), .milliseconds(1))
    }

    /// Asks for keys without keeping them.
    private func query(_ users: [UserID], at server: ServerName, _ timeout: Duration) async -> [UserID: List]? {
        var wanted: [String: JSONValue] = [:]
        for user in users { wanted[user.text] = .array([]) }
        let call = APICall(.queryUserEncryptionKeys, body: ["device_keys": .object(wanted)])
        guard
            let answer = try? await client.json(
                call, at: server, timeout: timeout, maximumBytes: DeviceLimits.answerBytes)
        else { return nil }
        var found: [UserID: List] = [:]
        for user in users {
            // An unknown user is missing from the answer.
            guard let devices = answer["device_keys"]?[user.text] else { continue }
            var list = List()
            for (device, keys) in devices.members.prefix(DeviceLimits.devicesPerUser)
            where Self.belongs(keys, to: user, device) {
                list.devices[device] = .some(keys.value)
            }
            list.master = Self.crossSigningKey(answer["master_keys"]?[user.text], of: user, "master")
            list.selfSigning = Self.crossSigningKey(answer["self_signing_keys"]?[user.text], of: user, "self_signing")
            found[user] = list
        }
        return found
    }

    // MARK: Whole lists

    private enum Answer: Sendable {
        case list(List)
        /// The server answers, but not so that it could be used.
        case nothing
        case unreachable
    }

    /// Asks for a user's whole list and keeps it.
    @discardableResult
    func resynchronize(_ user: UserID, _ timeout: Duration = .seconds(20)) async -> List? {
        if case .list(let list) = await fetch(user, timeout) { list } else { nil }
    }

    private func fetch(_ user: UserID, _ timeout: Duration) async -> Answer {
        let call = APICall(.getUserDevices, ["userId": user.text])
        do {
            let (asOf, asked) = try await environment.database.write { connection in
                (try StreamPositions(connection).current("events"), try RemoteDeviceStore(connection).beginAsking(user))
            }
            let answer = try await client.json(
                call, at: user.serverName, timeout: timeout, maximumBytes: DeviceLimits.answerBytes)
            return try await keep(answer, of: user, asOf: asOf, asked: asked).map(Answer.list) ?? .nothing
        } catch {
            environment.logger.debug("device list", metadata: ["server": "\(user.serverName)", "cause": "\(error)"])
            if let error = error as? FederationError, error.isTemporary { return .unreachable }
            return .nothing
        }
    }

    private func keep(_ answer: JSONView, of user: UserID, asOf: Int64, asked: Int64) async throws -> List? {
        guard answer["user_id"]?.string == user.text, let stream = answer["stream_id"]?.integer else { return nil }
        var devices: [RemoteDeviceStore.Device] = []
        var list = List()
        for entry in (answer["devices"]?.elements ?? []).prefix(DeviceLimits.devicesPerUser) {
            guard let id = entry["device_id"]?.string, DeviceLimits.isName(id) else { continue }
            let keys = entry["keys"].flatMap { Self.belongs($0, to: user, id) ? $0 : nil }
            let name = Self.displayName(entry["device_display_name"])
            devices.append(.init(id: id, keys: keys.map { Array($0.rawBytes) }, displayName: name))
            var value = keys?.value
            if let name { value?["unsigned"] = ["device_display_name": .string(name)] }
            list.devices[id] = .some(value)
        }
        list.master = Self.crossSigningKey(answer["master_key"], of: user, "master")
        list.selfSigning = Self.crossSigningKey(answer["self_signing_key"], of: user, "self_signing")
        let kept = list
        let rows = devices
        try await environment.database.write { connection in
            let store = RemoteDeviceStore(connection)
            // A change that came in meanwhile is newer than this answer.
            if let known = try store.list(of: user), known.streamID > stream, !known.isStale { return }
            try store.replace(rows, of: user, streamID: stream, asOf: asOf, asked: asked)
            try Self.save(kept.master, "master", of: user, connection)
            try Self.save(kept.selfSigning, "self_signing", of: user, connection)
            let usages = [kept.master.map { _ in "master" }, kept.selfSigning.map { _ in "self_signing" }]
            try DeviceKeyStore(connection).removeCrossSigningKeys(of: user, except: Set(usages.compactMap(\.self)))
        }
        return list
    }

    static func save(_ key: JSONValue?, _ usage: String, of user: UserID, _ connection: any SQLConnection) throws {
        guard let key, let name = key["keys"]?.members.first?.key, name.hasPrefix("ed25519:") else { return }
        try DeviceKeyStore(connection).save(
            .init(usage: usage, keyID: String(name.dropFirst(8)), body: key.serialized()), of: user)
    }

    /// Whether device keys say of themselves whose they are.
    static func belongs(_ keys: JSONView, to user: UserID, _ device: String) -> Bool {
        keys["user_id"]?.string == user.text && keys["device_id"]?.string == device && DeviceLimits.isName(device)
            && keys.rawBytes.count <= DeviceLimits.keyBytes
    }

    /// A device's name, if it can be kept.
    static func displayName(_ view: JSONView?) -> String? {
        view?.string.flatMap { DeviceLimits.isName($0) ? $0 : nil }
    }

    static func crossSigningKey(_ view: JSONView?, of user: UserID, _ usage: String) -> JSONValue? {
        guard let view, view["user_id"]?.string == user.text,
            view["usage"]?.elements.contains(where: { $0.string == usage }) == true,
            SignedKeys.publicKey(view) != nil, view.rawBytes.count <= DeviceLimits.keyBytes
        else { return nil }
        return view.value
    }
}
