internal import Cryptography
internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Registering accounts. Spec: <https://spec.matrix.org/v1.19/client-server-api/#account-registration-and-management>
struct Registering: RouteGroup {
    let environment: Environment
    let checking: PasswordChecking
    let sessions: DeviceSessions
    let creation: AccountCreation
    let authentication: UserInteractiveAuthentication
    let limiter: RateLimiter
    let applicationServices: (any ApplicationServiceAuthenticating)?

    func register(on router: inout Router) {
        router.onPublic(.register, registerAccount)
        router.onPublic(.checkUsernameAvailability, checkAvailability)
        router.onPublic(.registrationTokenValidity, checkToken)
    }

    /// The flows that are open; none when registration is closed.
    private var flows: [[UserInteractiveAuthentication.Stage]] {
        let settings = environment.settings.registration
        guard settings.isOpen else { return [] }
        // Nothing verifies a stranger here yet, so who demands it gets nobody.
        if settings.requireVerification, !settings.requireToken { return [] }
        var stages: [UserInteractiveAuthentication.Stage] = []
        if settings.requireToken { stages.append(.registrationToken) }
        if !settings.terms.isEmpty { stages.append(.terms) }
        return [stages.isEmpty ? [.dummy] : stages]
    }

    @Sendable private func registerAccount(_ request: APIRequest) async throws -> APIResponse {
        switch request.query("kind") ?? "user" {
        case "user": break
        case "guest": return try await registerGuest(request)
        default: throw MatrixError(.invalidParameter, "kind is neither user nor guest")
        }
        if try request.optionalString("type") == "m.login.application_service" {
            return try await registerForApplicationService(request)
        }
        guard !flows.isEmpty else { throw MatrixError(.forbidden, "Registration is disabled") }
        let wish = try DeviceSessions.Wish(request)
        let chosen = try request.optionalString("username").map(creation.user(named:))
        let upgrades = try await checkGuest(request, chosen)
        if let chosen, !upgrades { try await checkFree(chosen) }
        let passed: UserInteractiveAuthentication.Passed
        switch try await authentication.check(request, user: nil, flows: flows, bindsBody: false) {
        case .challenge(let response): return response
        case .passed(let outcome): passed = outcome
        }
        let password = try request.string("password")
        try await limiter.take(.registrations, who: request.remoteAddress)
        let user = try chosen ?? creation.inventedUser(prefix: "")
        var account = AccountCreation.Wish(user: user, passwordHash: try await checking.hash(password))
        account.registrationToken = passed.registrationToken
        account.sessionID = passed.sessionID
        account.agreed = passed.agreedToTerms ? environment.settings.registration.terms : []
        account.isUpgrade = upgrades
        return try await create(account, request, wish)
    }

    /// Whether a guest becomes a whole user. Throws `M_FORBIDDEN` when the token is not that of the guest who is named.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#guest-access>
    private func checkGuest(_ request: APIRequest, _ named: UserID?) async throws -> Bool {
        guard let token = try request.optionalString("guest_access_token") else { return false }
        guard let named else { throw MatrixError(.missingParameter, "Missing username: a guest keeps the name") }
        let now = environment.clock.now()
        let isGuest = try await environment.database.read { connection in
            guard let pair = try AccessTokenStore(connection).pair(accessHash: NewTokens.hash(token)),
                pair.user == named, pair.expires.map({ $0 > now }) ?? true,
                let account = try AccountStore(connection).account(named)
            else { return false }
            return account.isGuest && !account.isDeactivated && !account.isLocked
        }
        guard isGuest else { throw MatrixError(.forbidden, "This is not the token of that guest") }
        return true
    }

    private func registerGuest(_ request: APIRequest) async throws -> APIResponse {
        guard environment.settings.registration.guests else {
            throw MatrixError(.guestAccessForbidden, "Guest accounts are disabled")
        }
        try await limiter.take(.registrations, who: request.remoteAddress)
        var wish = DeviceSessions.Wish()
        wish.displayName = try request.optionalString("initial_device_display_name").map(
            DeviceSessions.Wish.displayName)
        var account = AccountCreation.Wish(user: try creation.inventedUser(prefix: "guest-"))
        account.isGuest = true
        return try await create(account, request, wish)
    }

    private func registerForApplicationService(_ request: APIRequest) async throws -> APIResponse {
        guard let applicationServices, let token = bearerToken(request),
            let service = try await applicationServices.requester(asToken: token, of: request)?.applicationService
        else {
            throw MatrixError(.unknownToken, "This is no application service")
        }
        let user = try creation.user(named: request.string("username"))
        try await creation.checkFree(user)
        var account = AccountCreation.Wish(user: user)
        account.applicationService = service
        return try await create(account, request, DeviceSessions.Wish(request))
    }

    private func create(
        _ account: AccountCreation.Wish, _ request: APIRequest, _ wish: DeviceSessions.Wish
    ) async throws -> APIResponse {
        let opened = try request.optionalBoolean("inhibit_login") ?? false ? nil : sessions.prepare(wish)
        let address = request.remoteAddress
        try await environment.database.write { connection in
            try creation.create(account, in: connection)
            if let opened {
                try sessions.open(opened, wish, user: account.user, address: address, in: connection)
            }
        }
        if account.isUpgrade { sessions.authenticator.forget(account.user) }
        return SessionAnswer.response(user: account.user, opened: opened, environment: environment)
    }

    private func checkFree(_ user: UserID) async throws {
        if applicationServices?.isExclusive(user) ?? false {
            throw MatrixError(.exclusive, "This name is reserved for an application service")
        }
        try await creation.checkFree(user)
    }

    private func bearerToken(_ request: APIRequest) -> String? {
        guard let header = request.head.headerFields[.authorization] else { return nil }
        let parts = header.split(separator: " ", maxSplits: 1)
        return parts.count == 2 && parts[0].lowercased() == "bearer" ? String(parts[1]) : nil
    }

    @Sendable private func checkAvailability(_ request: APIRequest) async throws -> APIResponse {
        guard let name = request.query("username") else {
            throw MatrixError(.missingParameter, "Missing username")
        }
        try await limiter.take(.registrations, who: "available \(request.remoteAddress)")
        try await checkFree(creation.user(named: name))
        return .json(["available": true])
    }

    @Sendable private func checkToken(_ request: APIRequest) async throws -> APIResponse {
        guard !flows.isEmpty else { throw MatrixError(.forbidden, "Registration is disabled") }
        guard let token = request.query("token") else { throw MatrixError(.missingParameter, "Missing token") }
        try await limiter.take(.registrations, who: "token \(request.remoteAddress)")
        let now = environment.clock.now()
        guard RegistrationTokenText.isValid(token) else { return .json(["valid": false]) }
        let isValid = try await environment.database.read { connection in
            try RegistrationTokenStore(connection).isValid(token, now: now)
        }
        return .json(["valid": .bool(isValid)])
    }
}
