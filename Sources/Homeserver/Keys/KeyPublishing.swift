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
    /// Of these, looked up at once.
    private static let width = 8

    let environment: Environment
    let keyRing: KeyRing
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.onPublic(.getServerKey) { _ in ownAnswer() }
        guard environment.configuration.federation.notaryServe else { return }
        router.onPublic(.perspectivesKeyQuery) { request in
            try await limiter.take(.other, who: request.remoteAddress)
            let server: ServerName = try request.identifier("serverName")
            let minimum = try minimumValidity(request.query("minimum_valid_until_ts").map { Int64($0) ?? -1 })
            return try await answer([(server, minimum)], to: request.remoteAddress)
        }
        router.onPublic(.bulkPerspectivesKeyQuery) { request in
            try await limiter.take(.other, who: request.remoteAddress)
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
            return try await answer(asked, to: request.remoteAddress)
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
    /// are left out. Servers are asked until the time for one is over; of the others is told what is kept.
    private func answer(_ servers: [(ServerName, Int64)], to address: String) async throws -> APIResponse {
        let deadline = environment.clock.monotonic() + .milliseconds(environment.configuration.timeouts.keyFetch)
        let entries = try await withThrowingTaskGroup(of: JSONValue?.self) { group in
            var waiting = servers[...]
            func start() {
                guard let (server, minimum) = waiting.popFirst() else { return }
                group.addTask { try await answer(of: server, minimum, to: address, until: deadline) }
            }
            for _ in 0..<Self.width { start() }
            var entries: [JSONValue] = []
            while let entry = try await group.next() {
                if let entry { entries.append(entry) }
                start()
            }
            return entries
        }
        return .json(["server_keys": .array(entries)])
    }

    private func answer(
        of server: ServerName, _ minimum: Int64, to address: String, until deadline: Duration
    ) async throws -> JSONValue? {
        if server == environment.serverName { return ownKeys() }
        var kept = try await environment.database.read { try ServerKeyStore($0).answer(of: server.text) }
        if kept.map({ $0.validUntil < minimum }) ?? true, environment.clock.monotonic() < deadline {
            do {
                try await keyRing.refresh(server) { try await limiter.take(.keyFetches, who: address) }
                kept = try await environment.database.read { try ServerKeyStore($0).answer(of: server.text) }
            } catch let error as MatrixError where error.code == .limitExceeded {
                // What is kept may do.
            }
        }
        guard let kept, let value = try? JSONValue.parse(kept.body) else { return nil }
        return sign(value)
    }
}
