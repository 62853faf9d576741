internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Logging out, refreshing tokens and telling whose they are.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens>
struct SessionKeeping: RouteGroup {
    let environment: Environment
    let sessions: DeviceSessions

    func register(on router: inout Router) {
        router.on(.logout, logOut)
        router.on(.logoutAll, logOutAll)
        router.on(.getTokenOwner, tellOwner)
        router.onPublic(.refresh, refresh)
    }

    @Sendable private func logOut(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        if let device = requester.device {
            try await environment.database.write { connection in
                try sessions.end([device], of: requester.user, in: connection)
            }
            sessions.authenticator.forget(requester.user)
        }
        return .empty
    }

    @Sendable private func logOutAll(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await environment.database.write { connection in
            try sessions.endAll(of: requester.user, in: connection)
        }
        sessions.authenticator.forget(requester.user)
        return .empty
    }

    @Sendable private func tellOwner(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        var answer: [String: JSONValue] = [
            "user_id": .string(requester.user.text), "is_guest": .bool(requester.isGuest),
        ]
        if let device = requester.device { answer["device_id"] = .string(device.text) }
        return .json(.object(answer))
    }

    /// The old pair goes on until the new one is first used, so that a lost answer locks nobody out.
    @Sendable private func refresh(_ request: APIRequest) async throws -> APIResponse {
        let hash = NewTokens.hash(try request.string("refresh_token"))
        let fresh = NewTokens(refreshable: true, in: environment)
        let user: UserID = try await environment.database.write { connection in
            let tokens = AccessTokenStore(connection)
            guard let pair = try tokens.pair(refreshHash: hash),
                let account = try AccountStore(connection).account(pair.user), !account.isDeactivated
            else {
                throw MatrixError(.unknownToken, "Unknown refresh token", fields: ["soft_logout": false])
            }
            guard !account.isLocked else {
                throw MatrixError(.userLocked, "This account is locked", fields: ["soft_logout": true])
            }
            try tokens.markUsed(pair)
            try tokens.deleteSuccessors(of: pair)
            try fresh.keep(user: pair.user, device: pair.device, replacing: pair.id, in: connection)
            try connection.notify("tokens \(pair.user.text)")
            return pair.user
        }
        sessions.authenticator.forget(user)
        var writer = JSONWriter()
        writer.beginObject()
        fresh.write(to: &writer)
        writer.endObject()
        return .json(bytes: writer.bytes)
    }
}
