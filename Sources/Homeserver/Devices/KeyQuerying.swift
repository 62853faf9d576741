internal import Federation
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Clients and other servers ask for keys. Claims are in `KeyQuerying+Claims.swift`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>
struct KeyQuerying: RouteGroup {
    let environment: Environment
    let client: FederationClient
    let remote: RemoteDevices
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.on(.queryKeys) { request, requester in try await query(request, requester) }
        router.on(.claimKeys) { request, requester in try await claim(request, requester) }
        router.on(.getKeysChanges) { request, requester in try await changes(request, requester) }
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
    }

    // MARK: Queries

    private func query(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let asked = try users(request.object("device_keys"))
        let timeout = try timeout(of: request)
        var found = try await local(asked.filter { environment.isLocal($0.key) }, for: requester.user)
        let others = asked.filter { !environment.isLocal($0.key) }
        let (lists, failures) = await remote.devices(of: others, timeout: timeout)
        // Signatures that our own users put on others' keys are theirs to see.
        let reader = requester.user
        let known = try await environment.database.read { connection in
            try DeviceKeyStore(connection).keys(of: lists.keys, readableBy: reader)
        }
        for (user, list) in lists {
            let ours = (known[user]?.signatures ?? [:]).mapValues { $0.filter { $0.signer == reader } }
            var devices: [String: JSONValue] = [:]
            for (device, keys) in list.devices {
                if let keys { devices[device] = SignedKeys.adding(ours[device] ?? [], to: keys) }
            }
            found.devices[user.text] = .object(devices)
            if let master = list.master {
                let id = master["keys"]?.members.first?.value.string ?? ""
                found.master[user.text] = SignedKeys.adding(ours[id] ?? [], to: master)
            }
            if let key = list.selfSigning { found.selfSigning[user.text] = key }
        }
        return answer(found, failures: failures)
    }

    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery>
    private func serverQuery(_ request: APIRequest) async throws -> APIResponse {
        let asked = try users(request.object("device_keys")).filter { environment.isLocal($0.key) }
        return answer(try await local(asked, for: nil), failures: [:])
    }

    func timeout(of request: APIRequest) throws(MatrixError) -> Duration {
        let wanted = try request.optionalInteger("timeout") ?? environment.configuration.timeouts.keyQueryDefault
        return .milliseconds(min(max(wanted, 0), environment.configuration.timeouts.keyQueryMaximum))
    }

    private func users(_ view: JSONView) throws(MatrixError) -> [UserID: Set<String>] {
        let members = view.members
        guard members.count <= environment.configuration.limits.usersPerKeyQuery else {
            throw MatrixError(
                .tooLarge, "At most \(environment.configuration.limits.usersPerKeyQuery) users at once", status: 400)
        }
        var users: [UserID: Set<String>] = [:]
        for (name, devices) in members {
            guard devices.kind == .array else { throw MatrixError(.badJSON, "Devices are not a list") }
            guard let user = try? UserID(name) else { continue }
            users[user] = Set(devices.elements.compactMap(\.string))
        }
        return users
    }

    /// The keys of local users. An empty set of devices means all. Devices' names are for this server's users only.
    private func local(_ asked: [UserID: Set<String>], for reader: UserID?) async throws -> Found {
        guard !asked.isEmpty else { return Found() }
        let users = try await environment.database.read { connection in
            try DeviceKeyStore(connection).keys(of: asked.keys, readableBy: reader)
        }
        var found = Found()
        for (user, keys) in users {
            let wanted = asked[user] ?? []
            var devices: [String: JSONValue] = [:]
            for (id, device) in keys.devices where wanted.isEmpty || wanted.contains(id) {
                var value = SignedKeys.adding(keys.signatures[id] ?? [], to: device.body)
                if reader != nil, let name = device.displayName {
                    value["unsigned"] = ["device_display_name": .string(name)]
                }
                devices[id] = value
            }
            found.devices[user.text] = .object(devices)
            for key in keys.crossSigning {
                let value = SignedKeys.adding(keys.signatures[key.keyID] ?? [], to: key.body)
                switch key.usage {
                case "master": found.master[user.text] = value
                case "self_signing": found.selfSigning[user.text] = value
                default: if user == reader { found.userSigning[user.text] = value }
                }
            }
        }
        return found
    }

    private func answer(_ found: Found, failures: [String: JSONValue]) -> APIResponse {
        .json([
            "device_keys": .object(found.devices), "master_keys": .object(found.master),
            "self_signing_keys": .object(found.selfSigning), "user_signing_keys": .object(found.userSigning),
            "failures": .object(failures),
        ])
    }

    // MARK: Changes

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>
    private func changes(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let fromText = request.query("from"), let toText = request.query("to") else {
            throw MatrixError(.missingParameter, "Missing from or to")
        }
        let from = try SyncToken(fromText)
        let to = try SyncToken(toText)
        let (changed, left) = try await environment.database.read { connection in
            try DeviceListChanges(connection).changes(
                for: requester.user, events: (from.events, to.events), deviceLists: (from.deviceLists, to.deviceLists))
        }
        return .json([
            "changed": .array(changed.sorted().map { .string($0.text) }),
            "left": .array(left.sorted().map { .string($0.text) }),
        ])
    }

    // MARK: Device lists for other servers

    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid>
    private func userDevices(_ request: APIRequest) async throws -> APIResponse {
        let user = try request.userID()
        guard environment.isLocal(user) else { throw MatrixError(.notFound, "No such user here") }
        // One transaction, so that the keys are those of the position.
        let (keys, position, exists) = try await environment.database.read { connection in
            let store = DeviceKeyStore(connection)
            return (
                try store.keys(of: user, readableBy: nil), try store.position(of: user),
                try AccountStore(connection).account(user) != nil
            )
        }
        guard exists else { throw MatrixError(.notFound, "No such user here") }
        let devices = keys.devices.sorted { $0.key < $1.key }.map { id, device -> JSONValue in
            ["device_id": .string(id), "keys": SignedKeys.adding(keys.signatures[id] ?? [], to: device.body)]
        }
        var answer: JSONValue = [
            "user_id": .string(user.text), "stream_id": .integer(position), "devices": .array(devices),
        ]
        for (usage, field) in [("master", "master_key"), ("self_signing", "self_signing_key")] {
            if let key = keys.key(usage) {
                answer[field] = SignedKeys.adding(keys.signatures[key.keyID] ?? [], to: key.body)
            }
        }
        return .json(answer)
    }
}
