internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Tokens by which a user proves to a third party who they are.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#openid>
struct OpenIDGiving: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.requestOpenIdToken, give)
        router.onPublic(.exchangeOpenIdToken, exchange)
    }

    @Sendable private func give(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        let token = "fco_" + environment.random.token(40)
        let now = environment.clock.now()
        try await environment.database.write { connection in
            try ShortLivedTokenStore(connection, .openID).insert(
                hash: NewTokens.hash(token), user: user, expires: now + environment.configuration.timeouts.openIDToken,
                now: now)
        }
        return .json([
            "access_token": .string(token), "token_type": "Bearer",
            "matrix_server_name": .string(environment.serverName.text),
            "expires_in": .integer(environment.configuration.timeouts.openIDToken / 1000),
        ])
    }

    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#openid>
    @Sendable private func exchange(_ request: APIRequest) async throws -> APIResponse {
        guard let token = request.query("access_token") else {
            throw MatrixError(.missingToken, "Missing access_token")
        }
        let now = environment.clock.now()
        let user = try await environment.database.read { connection in
            try ShortLivedTokenStore(connection, .openID).user(hash: NewTokens.hash(token), now: now)
        }
        guard let user else { throw MatrixError(.unknownToken, "Unknown or expired token") }
        return .json(["sub": .string(user.text)])
    }
}
