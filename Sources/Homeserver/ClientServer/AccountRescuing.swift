internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// What administrators do for users who cannot help themselves: another password, the end of an account. At the paths that
/// existing tools know, which are not in the specification.
struct AccountRescuing: RouteGroup {
    let environment: Environment
    let checking: PasswordChecking
    let ending: AccountEnding
    let sessions: DeviceSessions

    func register(on router: inout Router) {
        router.on(.resetPassword, resetPassword)
        router.on(.deactivateByAdministrator, deactivate)
    }

    @Sendable private func resetPassword(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try await environment.accountToAdminister(request, requester).user
        let hash = try await checking.hash(request.string("new_password"))
        let endsDevices = try request.optionalBoolean("logout_devices") ?? true
        try await environment.database.write { connection in
            try AccountStore(connection).setPasswordHash(hash, of: user)
            try ShortLivedTokenStore(connection, .login).deleteAll(of: user)
            if endsDevices { try sessions.endAll(of: user, in: connection) }
        }
        sessions.authenticator.forget(user)
        return .empty
    }

    @Sendable private func deactivate(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try await environment.accountToAdminister(request, requester).user
        let erase = try request.optionalBoolean("erase") ?? false
        guard user != requester.user else { throw MatrixError(.forbidden, "This is your own account") }
        try await ending.deactivate(user, erase: erase)
        return .json(["id_server_unbind_result": "success"])
    }
}

extension Route {
    /// Gives a user another password.
    static let resetPassword = Route(
        "resetPassword", .post, "/_synapse/admin/v1/reset_password/{userId}", .accessToken)
    /// Ends a user's account.
    static let deactivateByAdministrator = Route(
        "deactivateByAdministrator", .post, "/_synapse/admin/v1/deactivate/{userId}", .accessToken)
}
