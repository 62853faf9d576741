internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Publishes this server's keys, and answers for other servers' as a notary.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#publishing-keys>
struct KeyPublishing: RouteGroup {
    /// Servers asked for in one query.
    static let maximumQueries = 100

    let environment: Environment
    let keyRing: KeyRing

    func register(on router: inout Router) {
        router.onPublic(.getServerKey) { _ in ownAnswer() }
        guard environment.configuration.federation.notaryServe else { return }
        router.onPublic(.perspectivesKeyQuery) { request in
            let server: ServerName = try request.identifier("serverName")
            let minimum = try minimumValidity(request.query("minimum_valid_until_ts").map { Int64($0) ?? -1 })
            return try await answer([(server, minimum)])
        }
        router.onPublic(.bulkPerspectivesKeyQuery) { request in
            let servers = try request.object("server_keys").members
            guard servers.count <= Self.maximumQueries else {
                throw MatrixError(.invalidParameter, "At most \(Self.maximumQueries) servers at once")
            }
            var asked: [(ServerName, Int64)] = []
            for (name, keys) in servers {
                guard let server = try? ServerName(name) else {
                    throw MatrixError(.invalidParameter, "server_keys holds what is no server name")
                }
                let minimum = keys.members.compactMap { $0.value["minimum_valid_until_ts"]?.integer }.max()
                asked.append((server, try minimumValidity(minimum)))
            }
            return try await answer(asked)
        }
    }

    private func minimumValidity(_ given: Int64?) throws(MatrixError) -> Int64 {
        guard let given else { return environment.clock.now() }
        guard given >= 0 else { throw MatrixError(.invalidParameter, "minimum_valid_until_ts is not a time") }
        return given
    }

    private func ownAnswer() -> APIResponse { .json(ownKeys()) }

    /// Our own keys, signed with the current one.
    func ownKeys() -> JSONValue {
        let keys = environment.signingKeys
        var old: [String: JSONValue] = [:]
        for key in keys.retired {
            old[key.keyID] = [
                "key": .string(Base64.encode(key.publicKey.bytes, .standardUnpadded)),
                "expired_ts": .integer(key.expired),
            ]
        }
        let answer: JSONValue = [
            "server_name": .string(environment.serverName.text),
            "valid_until_ts": .integer(environment.clock.now() + environment.configuration.timeouts.serverKeyValidity),
            "verify_keys": [
                keys.keyID: ["key": .string(Base64.encode(keys.current.publicKey.bytes, .standardUnpadded))]
            ],
            "old_verify_keys": .object(old),
        ]
        return sign(answer)
    }

    private func sign(_ value: JSONValue) -> JSONValue {
        SignedJSON.sign(
            value, as: environment.serverName, keyID: environment.signingKeys.keyID,
            with: environment.signingKeys.current)
    }

    /// What we know of servers' keys, each with our signature beside the server's own. Servers of which nothing is known
    /// are left out.
    private func answer(_ servers: [(ServerName, Int64)]) async throws -> APIResponse {
        let entries = try await withThrowingTaskGroup(of: JSONValue?.self) { group in
            for (server, minimum) in servers { group.addTask { try await answer(of: server, minimum) } }
            return try await group.reduce(into: [JSONValue]()) { if let entry = $1 { $0.append(entry) } }
        }
        return .json(["server_keys": .array(entries)])
    }

    private func answer(of server: ServerName, _ minimum: Int64) async throws -> JSONValue? {
        if server == environment.serverName { return ownKeys() }
        var kept = try await environment.database.read { try ServerKeyStore($0).answer(of: server.text) }
        if kept.map({ $0.validUntil < minimum }) ?? true {
            // Asking for a key nobody has makes the ring ask the server, if it was not asked just now.
            _ = await keyRing.key("ed25519:", of: server, for: .request)
            kept = try await environment.database.read { try ServerKeyStore($0).answer(of: server.text) }
        }
        guard let kept, let value = try? JSONValue.parse(kept.body) else { return nil }
        return sign(value)
    }
}
