internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Changing the password and ending the account.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#current-account-information>
struct AccountChanging: RouteGroup {
    let environment: Environment
    let checking: PasswordChecking
    let ending: AccountEnding
    let sessions: DeviceSessions
    let confirmation: UserInteractiveAuthentication

    func register(on router: inout Router) {
        router.onOptional(.changePassword, changePassword)
        router.onOptional(.deactivateAccount, deactivate)
        // No third-party identifier can be added, so there are none.
        router.on(.getAccount3PIDs) { _, _ in .json(["threepids": []]) }
    }

    @Sendable private func changePassword(_ request: APIRequest, _ requester: Requester?) async throws -> APIResponse {
        guard let requester else { throw MatrixError(.missingToken, "Missing access token") }
        switch try await confirmation.confirm(request, by: requester) {
        case .challenge(let response): return response
        case .passed: break
        }
        let hash = try await checking.hash(request.string("new_password"))
        let endsDevices = try request.optionalBoolean("logout_devices") ?? true
        let user = requester.user
        try await environment.database.write { connection in
            try AccountStore(connection).setPasswordHash(hash, of: user)
            try ShortLivedTokenStore(connection, .login).deleteAll(of: user)
            if endsDevices { try sessions.endAll(of: user, except: requester.device, in: connection) }
        }
        sessions.authenticator.forget(user)
        return .empty
    }

    @Sendable private func deactivate(_ request: APIRequest, _ requester: Requester?) async throws -> APIResponse {
        guard let requester else { throw MatrixError(.missingToken, "Missing access token") }
        switch try await confirmation.confirm(request, by: requester) {
        case .challenge(let response): return response
        case .passed: break
        }
        try await ending.deactivate(requester.user, erase: request.optionalBoolean("erase") ?? false)
        return .json(["id_server_unbind_result": "success"])
    }
}
