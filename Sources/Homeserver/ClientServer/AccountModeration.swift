internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// What administrators see of accounts and do to them.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-administration>
struct AccountModeration: RouteGroup {
    let environment: Environment
    let authenticator: TokenAuthenticator

    func register(on router: inout Router) {
        router.on(.getWhoIs, tellWhoIs)
        router.on(.getAdminLockUser) { request, requester in
            try await read(request, requester, "locked") { $0.isLocked }
        }
        router.on(.getAdminSuspendUser) { request, requester in
            try await read(request, requester, "suspended") { $0.isSuspended }
        }
        router.on(.setAdminLockUser) { request, requester in
            try await set(.locked, "locked", request, requester)
        }
        router.on(.setAdminSuspendUser) { request, requester in
            try await set(.suspended, "suspended", request, requester)
        }
    }

    @Sendable private func tellWhoIs(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try request.userID()
        guard requester.isAdmin || requester.user == user else {
            throw MatrixError(.forbidden, "Only an administrator may ask that")
        }
        let devices = try await environment.database.read { connection in
            try DeviceStore(connection).devices(of: user)
        }
        let connections: [JSONValue] = devices.compactMap { device in
            guard let address = device.lastSeenAddress, let time = device.lastSeen else { return nil }
            return ["ip": .string(address), "last_seen": .integer(time)]
        }
        return .json([
            "user_id": .string(user.text),
            "devices": ["": ["sessions": [["connections": .array(connections)]]]],
        ])
    }

    private func read(
        _ request: APIRequest, _ requester: Requester, _ name: String, _ flag: (Account) -> Bool
    ) async throws -> APIResponse {
        let account = try await environment.accountToAdminister(request, requester)
        return .json(.object([name: .bool(flag(account))]))
    }

    private func set(
        _ flag: AccountStore.Flag, _ name: String, _ request: APIRequest, _ requester: Requester
    ) async throws -> APIResponse {
        let account = try await environment.accountToAdminister(request, requester)
        guard let value = try request.optionalBoolean(name) else {
            throw MatrixError(.missingParameter, "Missing \(name)")
        }
        guard account.user != requester.user, !account.isAdmin else {
            throw MatrixError(.forbidden, "An administrator cannot be \(name)")
        }
        try await environment.database.write { connection in
            try AccountStore(connection).set(flag, value, of: account.user)
            try connection.notify("tokens \(account.user.text)")
        }
        authenticator.forget(account.user)
        return .json(.object([name: .bool(value)]))
    }
}
