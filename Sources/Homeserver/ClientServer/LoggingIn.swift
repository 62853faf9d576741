internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Logging in. Spec: <https://spec.matrix.org/v1.19/client-server-api/#login>
struct LoggingIn: RouteGroup {
    let environment: Environment
    let checking: PasswordChecking
    let sessions: DeviceSessions
    let confirmation: UserInteractiveAuthentication
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.onPublic(.getLoginFlows) { _ in
            .json(["flows": [["type": "m.login.password"], ["type": "m.login.token", "get_login_token": true]]])
        }
        router.onPublic(.login, logIn)
        router.on(.generateLoginToken, giveLoginToken)
    }

    @Sendable private func logIn(_ request: APIRequest) async throws -> APIResponse {
        let wish = try DeviceSessions.Wish(request)
        switch try request.string("type") {
        case "m.login.password": return try await logInWithPassword(request, wish)
        case "m.login.token": return try await logInWithToken(request, wish)
        default: throw MatrixError(.unknown, "Bad login type")
        }
    }

    private func logInWithPassword(_ request: APIRequest, _ wish: DeviceSessions.Wish) async throws -> APIResponse {
        let password = try request.string("password")
        guard request.body["identifier"] != nil || request.body["user"] != nil else {
            throw MatrixError(.missingParameter, "Missing identifier")
        }
        let wrong = MatrixError(.forbidden, "Invalid user name or password")
        guard let user = LoginIdentifier.user(in: request.body, server: environment.serverName) else { throw wrong }
        guard let account = try await checking.account(of: user, password: password, address: request.remoteAddress)
        else { throw wrong }
        return try await open(account, request, wish, redeeming: nil)
    }

    private func logInWithToken(_ request: APIRequest, _ wish: DeviceSessions.Wish) async throws -> APIResponse {
        try await limiter.take(.logins, who: request.remoteAddress)
        let hash = NewTokens.hash(try request.string("token"))
        let now = environment.clock.now()
        let account = try await environment.database.read { connection in
            try ShortLivedTokenStore(connection, .login).user(hash: hash, now: now)
                .flatMap { try AccountStore(connection).account($0) }
        }
        guard let account else { throw MatrixError(.forbidden, "Invalid login token") }
        return try await open(account, request, wish, redeeming: hash)
    }

    private func open(
        _ account: Account, _ request: APIRequest, _ wish: DeviceSessions.Wish, redeeming loginToken: [UInt8]?
    ) async throws -> APIResponse {
        guard !account.isDeactivated else { throw MatrixError(.userDeactivated, "This account was deactivated") }
        guard !account.isLocked else {
            throw MatrixError(.userLocked, "This account is locked", fields: ["soft_logout": true])
        }
        let opened = try sessions.prepare(wish)
        let user = account.user
        let address = request.remoteAddress
        try await environment.database.write { connection in
            if let loginToken {
                let redeemed = try ShortLivedTokenStore(connection, .login)
                    .redeem(hash: loginToken, now: opened.tokens.created)
                guard redeemed == user else { throw MatrixError(.forbidden, "Invalid login token") }
            }
            try sessions.open(opened, wish, user: user, address: address, in: connection)
        }
        sessions.authenticator.forget(user)
        return SessionAnswer.response(user: user, opened: opened, environment: environment, withWellKnown: true)
    }

    @Sendable private func giveLoginToken(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        switch try await confirmation.confirm(request, by: requester) {
        case .challenge(let response): return response
        case .passed: break
        }
        try await limiter.take(.logins, who: requester.user.text)
        let token = "flt_" + environment.random.token(40)
        let now = environment.clock.now()
        try await environment.database.write { connection in
            try ShortLivedTokenStore(connection, .login).insert(
                hash: NewTokens.hash(token), user: requester.user,
                expires: now + environment.configuration.timeouts.loginToken, now: now)
        }
        return .json([
            "login_token": .string(token), "expires_in_ms": .integer(environment.configuration.timeouts.loginToken),
        ])
    }
}

/// What logging in and registering answer.
enum SessionAnswer {
    static func response(
        user: UserID, opened: DeviceSessions.Opened?, environment: Environment, withWellKnown: Bool = false
    ) -> APIResponse {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("user_id")
        writer.string(user.text)
        writer.key("home_server")
        writer.string(environment.serverName.text)
        if let opened {
            writer.key("device_id")
            writer.string(opened.device.text)
            opened.tokens.write(to: &writer)
        }
        if withWellKnown {
            writer.key("well_known")
            writer.value(["m.homeserver": ["base_url": .string(environment.configuration.publicBaseURL)]])
        }
        writer.endObject()
        return .json(bytes: writer.bytes)
    }
}
