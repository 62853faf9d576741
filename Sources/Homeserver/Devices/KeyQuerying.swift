internal import Federation
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Clients and other servers ask for keys, and claim one-time keys.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>
struct KeyQuerying: RouteGroup {
    /// Users of one request.
    static let maximumUsers = 5_000
    /// Milliseconds that asking other servers may take, if the client says nothing.
    static let defaultTimeout: Int64 = 10_000

    let environment: Environment
    let client: FederationClient
    let remote: RemoteDevices
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.on(.queryKeys) { request, requester in try await query(request, requester) }
        router.on(.claimKeys) { request, requester in try await claim(request, requester) }
        router.onServer(.queryUserEncryptionKeys) { request, origin in try await serverQuery(request) }
        router.onServer(.claimUserEncryptionKeys) { request, origin in try await serverClaim(request) }
        router.onServer(.getUserDevices) { request, origin in try await userDevices(request) }
    }

    /// What a query found, in the shape of its answer.
    private struct Found: Sendable {
        var devices: [String: JSONValue] = [:]
        var master: [String: JSONValue] = [:]
        var selfSigning: [String: JSONValue] = [:]
        var userSigning: [String: JSONValue] = [:]

        mutating func merge(_ other: Found) {
            devices.merge(other.devices) { $1 }
            master.merge(other.master) { $1 }
            selfSigning.merge(other.selfSigning) { $1 }
            userSigning.merge(other.userSigning) { $1 }
        }
    }

    // MARK: Queries

    private func query(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let asked = try users(request.object("device_keys"))
        let timeout = Duration.milliseconds(
            min(max(try request.optionalInteger("timeout") ?? Self.defaultTimeout, 0), 30_000))
        var found = try await local(asked.filter { environment.isLocal($0.key) }, readableBy: requester.user)
        let others = asked.filter { !environment.isLocal($0.key) }
        let (kept, failures) = await remote.devices(of: others, timeout: timeout)
        // Signatures that our own users put on others' keys are theirs to see.
        for (user, list) in kept {
            let ours = try await signatures(on: user, by: requester.user)
            found.devices[user.text] = .object(
                list.devices.reduce(into: [:]) { devices, device in
                    guard var keys = device.value else { return }
                    keys = Self.signed(keys, ours[device.key] ?? [])
                    devices[device.key] = keys
                })
            if let master = list.master {
                let id = master["keys"]?.members.first?.value.string ?? ""
                found.master[user.text] = Self.signed(master, ours[id] ?? [])
            }
            if let key = list.selfSigning { found.selfSigning[user.text] = key }
        }
        return answer(found, failures: failures)
    }

    private static func signed(_ value: JSONValue, _ signatures: [DeviceKeyStore.Signature]) -> JSONValue {
        signatures.isEmpty ? value : SignedKeys.adding(signatures, to: value.serialized())
    }

    private func signatures(
        on user: UserID, by reader: UserID
    ) async throws -> [String: [DeviceKeyStore.Signature]] {
        try await environment.database.read { connection in
            try DeviceKeyStore(connection).signatures(on: user, readableBy: reader)
                .mapValues { $0.filter { $0.signer == reader } }
        }
    }

    private func serverQuery(_ request: APIRequest) async throws -> APIResponse {
        let asked = try users(request.object("device_keys")).filter { environment.isLocal($0.key) }
        var found = try await local(asked, readableBy: nil)
        found.userSigning = [:]
        return answer(found, failures: [:])
    }

    private func users(_ view: JSONView) throws(MatrixError) -> [UserID: Set<String>] {
        let members = view.members
        guard members.count <= Self.maximumUsers else {
            throw MatrixError(.tooLarge, "At most \(Self.maximumUsers) users at once", status: 400)
        }
        var users: [UserID: Set<String>] = [:]
        for (name, devices) in members {
            guard let user = try? UserID(name) else { continue }
            guard devices.kind == .array else { throw MatrixError(.badJSON, "Devices are not a list") }
            users[user] = Set(devices.elements.compactMap(\.string))
        }
        return users
    }

    /// The keys of local users. An empty set of devices means all.
    private func local(_ asked: [UserID: Set<String>], readableBy reader: UserID?) async throws -> Found {
        try await environment.database.read { connection in
            var found = Found()
            let store = DeviceKeyStore(connection)
            for (user, wanted) in asked {
                let signatures = try store.signatures(on: user, readableBy: reader)
                let names = Dictionary(
                    try DeviceStore(connection).devices(of: user).map { ($0.id.text, $0.displayName) },
                    uniquingKeysWith: { $1 })
                var devices: [String: JSONValue] = [:]
                for (device, body) in try store.deviceKeys(of: user) where wanted.isEmpty || wanted.contains(device) {
                    var keys = SignedKeys.adding(signatures[device] ?? [], to: body)
                    if let name = names[device] ?? nil { keys["unsigned"] = ["device_display_name": .string(name)] }
                    devices[device] = keys
                }
                found.devices[user.text] = .object(devices)
                for key in try store.crossSigningKeys(of: user) {
                    let value = SignedKeys.adding(signatures[key.keyID] ?? [], to: key.body)
                    switch key.usage {
                    case "master": found.master[user.text] = value
                    case "self_signing": found.selfSigning[user.text] = value
                    default: if user == reader { found.userSigning[user.text] = value }
                    }
                }
            }
            return found
        }
    }

    private func answer(_ found: Found, failures: [String: JSONValue]) -> APIResponse {
        .json([
            "device_keys": .object(found.devices), "master_keys": .object(found.master),
            "self_signing_keys": .object(found.selfSigning), "user_signing_keys": .object(found.userSigning),
            "failures": .object(failures),
        ])
    }

    // MARK: Claims

    private typealias Claims = [UserID: [String: String]]

    private func claims(_ view: JSONView) throws(MatrixError) -> Claims {
        var claims: Claims = [:]
        for (name, devices) in view.members.prefix(Self.maximumUsers) {
            guard let user = try? UserID(name) else { continue }
            var wanted: [String: String] = [:]
            for (device, algorithm) in devices.members.prefix(1_000) {
                guard let algorithm = algorithm.string else { throw MatrixError(.badJSON, "An algorithm is not text") }
                wanted[device] = algorithm
            }
            claims[user] = wanted
        }
        return claims
    }

    private func claim(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try limiter.take(.keyClaims, who: requester.user.text)
        let claims = try claims(request.object("one_time_keys"))
        let timeout = Duration.milliseconds(
            min(max(try request.optionalInteger("timeout") ?? Self.defaultTimeout, 0), 30_000))
        var keys = try await localClaim(claims.filter { environment.isLocal($0.key) })
        let (theirs, failures) = await remoteClaim(claims.filter { !environment.isLocal($0.key) }, timeout)
        keys.merge(theirs) { $1 }
        return .json(["one_time_keys": .object(keys), "failures": .object(failures)])
    }

    private func serverClaim(_ request: APIRequest) async throws -> APIResponse {
        let claims = try claims(request.object("one_time_keys")).filter { environment.isLocal($0.key) }
        return .json(["one_time_keys": .object(try await localClaim(claims))])
    }

    private func localClaim(_ claims: Claims) async throws -> [String: JSONValue] {
        guard !claims.isEmpty else { return [:] }
        return try await environment.database.groupedWrite { connection in
            let store = OneTimeKeyStore(connection)
            var found: [String: JSONValue] = [:]
            for (user, devices) in claims {
                var ofUser: [String: JSONValue] = [:]
                for (device, algorithm) in devices {
                    guard let claimed = try store.claim(user: user, device: device, algorithm: algorithm),
                        let value = try? JSONValue.parse(claimed.body)
                    else { continue }
                    ofUser[device] = .object([claimed.name: value])
                }
                if !ofUser.isEmpty { found[user.text] = .object(ofUser) }
            }
            return found
        }
    }

    private func remoteClaim(
        _ claims: Claims, _ timeout: Duration
    ) async -> (keys: [String: JSONValue], failures: [String: JSONValue]) {
        let byServer = Dictionary(grouping: claims, by: { $0.key.serverName })
        return await withTaskGroup(of: (ServerName, [String: JSONValue]?).self) { group in
            for (server, users) in byServer {
                group.addTask {
                    var wanted: [String: JSONValue] = [:]
                    for (user, devices) in users { wanted[user.text] = .object(devices.mapValues { .string($0) }) }
                    let call = APICall(
                        .claimUserEncryptionKeys, body: .object(["one_time_keys": .object(wanted)]))
                    guard
                        let answer = try? await client.json(call, at: server, timeout: timeout, maximumBytes: 8 << 20)
                    else { return (server, nil) }
                    var keys: [String: JSONValue] = [:]
                    for (user, devices) in answer["one_time_keys"]?.members ?? [] where wanted[user] != nil {
                        keys[user] = devices.value
                    }
                    return (server, keys)
                }
            }
            var keys: [String: JSONValue] = [:]
            var failures: [String: JSONValue] = [:]
            for await (server, found) in group {
                if let found {
                    keys.merge(found) { $1 }
                } else {
                    failures[server.text] = ["message": "The server could not be asked"]
                }
            }
            return (keys, failures)
        }
    }

    // MARK: Device lists for other servers

    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid>
    private func userDevices(_ request: APIRequest) async throws -> APIResponse {
        let user = try request.userID()
        guard environment.isLocal(user) else { throw MatrixError(.notFound, "No such user here") }
        let found = try await local([user: []], readableBy: nil)
        let (devices, position) = try await environment.database.read { connection in
            (try DeviceStore(connection).devices(of: user), try DeviceKeyStore(connection).position(of: user))
        }
        var list: [JSONValue] = []
        for device in devices {
            guard var keys = found.devices[user.text]?[device.id.text] else { continue }
            keys["unsigned"] = nil
            var entry: JSONValue = ["device_id": .string(device.id.text), "keys": keys]
            if let name = device.displayName { entry["device_display_name"] = .string(name) }
            list.append(entry)
        }
        var answer: JSONValue = [
            "user_id": .string(user.text), "stream_id": .integer(position), "devices": .array(list),
        ]
        if let key = found.master[user.text] { answer["master_key"] = key }
        if let key = found.selfSigning[user.text] { answer["self_signing_key"] = key }
        return .json(answer)
    }
}
