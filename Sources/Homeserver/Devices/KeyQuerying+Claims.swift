internal import Federation
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// One-time keys are given out.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>
extension KeyQuerying {
    /// Algorithms by user and device.
    private typealias Claims = [UserID: [String: String]]

    private func claims(_ view: JSONView) throws(MatrixError) -> Claims {
        let members = view.members
        guard members.count <= environment.configuration.limits.usersPerKeyQuery else {
            throw MatrixError(
                .tooLarge, "At most \(environment.configuration.limits.usersPerKeyQuery) users at once", status: 400)
        }
        var claims: Claims = [:]
        for (name, devices) in members {
            guard devices.kind == .object else { throw MatrixError(.badJSON, "Devices are not an object") }
            guard let user = try? UserID(name) else { continue }
            guard devices.count <= environment.configuration.limits.devicesPerKeyClaim else {
                throw MatrixError(
                    .tooLarge, "At most \(environment.configuration.limits.devicesPerKeyClaim) devices of a user",
                    status: 400)
            }
            var wanted: [String: String] = [:]
            for (device, algorithm) in devices.members {
                guard let algorithm = algorithm.string else { throw MatrixError(.badJSON, "An algorithm is not text") }
                if DeviceLimits.isName(device), DeviceLimits.isName(algorithm) { wanted[device] = algorithm }
            }
            if !wanted.isEmpty { claims[user] = wanted }
        }
        return claims
    }

    func claim(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await limiter.take(.keyClaims, who: requester.user.text)
        let claims = try claims(request.object("one_time_keys"))
        let timeout = try timeout(of: request)
        var keys = try await localClaim(claims.filter { environment.isLocal($0.key) })
        let (theirs, failures) = await remoteClaim(claims.filter { !environment.isLocal($0.key) }, timeout)
        keys.merge(theirs) { $1 }
        return .json(["one_time_keys": .object(keys), "failures": .object(failures)])
    }

    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim>
    func serverClaim(_ request: APIRequest) async throws -> APIResponse {
        let claims = try claims(request.object("one_time_keys")).filter { environment.isLocal($0.key) }
        return .json(["one_time_keys": .object(try await localClaim(claims))])
    }

    private func localClaim(_ claims: Claims) async throws -> [String: JSONValue] {
        guard !claims.isEmpty else { return [:] }
        return try await environment.database.groupedWrite { connection in
            let store = OneTimeKeyStore(connection)
            var found: [String: JSONValue] = [:]
            // In one order everywhere, so that two claims never wait for each other.
            for (user, devices) in claims.sorted(by: { $0.key < $1.key }) {
                var ofUser: [String: JSONValue] = [:]
                for (device, algorithm) in devices.sorted(by: { $0.key < $1.key }) {
                    guard let claimed = try store.claim(user: user, device: device, algorithm: algorithm),
                        let value = SignedKeys.parsed(claimed.body)
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
                group.addTask { (server, await claim(users, at: server, timeout)) }
            }
            var keys: [String: JSONValue] = [:]
            var failures: [String: JSONValue] = [:]
            for await (server, found) in group {
                if let found {
                    keys.merge(found) { $1 }
                } else {
                    failures[server.text] = RemoteDevices.failure
                }
            }
            return (keys, failures)
        }
    }

    /// The keys that a server gave out, those asked for only; nil when it could not be asked.
    private func claim(
        _ users: [Claims.Element], at server: ServerName, _ timeout: Duration
    ) async -> [String: JSONValue]? {
        var wanted: [String: JSONValue] = [:]
        for (user, devices) in users { wanted[user.text] = .object(devices.mapValues { .string($0) }) }
        let call = APICall(.claimUserEncryptionKeys, body: .object(["one_time_keys": .object(wanted)]))
        guard
            let answer = try? await client.json(
                call, at: server, timeout: timeout, maximumBytes: DeviceLimits.answerBytes)
        else { return nil }
        var keys: [String: JSONValue] = [:]
        for (user, devices) in users {
            guard let given = answer["one_time_keys"]?[user.text] else { continue }
            var found: [String: JSONValue] = [:]
            for device in devices.keys {
                if let key = given[device], key.kind == .object { found[device] = key.value }
            }
            if !found.isEmpty { keys[user.text] = .object(found) }
        }
        return keys
    }
}
