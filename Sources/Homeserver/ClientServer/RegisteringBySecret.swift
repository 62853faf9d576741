internal import Cryptography
internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Registering with a secret that the operator shares with a tool: the endpoint that existing tools know, which is not in
/// the specification. The code is the HMAC-SHA1, in hexadecimal, of nonce, user, password and `admin` or `notadmin`, and
/// the user type if given, with a zero byte between.
struct RegisteringBySecret: RouteGroup {
    let environment: Environment
    let checking: PasswordChecking
    let sessions: DeviceSessions
    let creation: AccountCreation
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.onPublic(.getRegistrationNonce, giveNonce)
        router.onPublic(.registerBySecret, registerAccount)
    }

    @Sendable private func giveNonce(_ request: APIRequest) async throws -> APIResponse {
        guard environment.settings.registration.sharedSecret != nil else { throw MatrixError.unrecognized }
        let nonce = Hex.encode(environment.random.bytes(32))
        let now = environment.clock.now()
        let isKept = try await environment.database.groupedWrite { connection in
            try RegistrationTokenStore(connection).addNonce(nonce, now: now)
        }
        guard isKept else { throw MatrixError.limitExceeded(retryAfterMilliseconds: AccountLimits.nonceLifetime) }
        return .json(["nonce": .string(nonce)])
    }

    @Sendable private func registerAccount(_ request: APIRequest) async throws -> APIResponse {
        guard let secret = environment.settings.registration.sharedSecret else { throw MatrixError.unrecognized }
        let nonce = try request.string("nonce")
        let name = try request.string("username")
        let password = try request.string("password")
        let isAdmin = try request.optionalBoolean("admin") ?? false
        let userType = try request.optionalString("user_type")
        let mac = try request.string("mac")
        guard !name.utf8.contains(0), !password.utf8.contains(0), !nonce.utf8.contains(0) else {
            throw MatrixError(.invalidParameter, "A field contains a zero byte")
        }
        guard userType.map({ ["bot", "support"].contains($0) }) ?? true else {
            throw MatrixError(.unknown, "Invalid user type")
        }
        let now = environment.clock.now()
        let isFresh = try await environment.database.groupedWrite { connection in
            try RegistrationTokenStore(connection).takeNonce(nonce, now: now)
        }
        guard isFresh else { throw MatrixError(.unknown, "Unrecognised nonce") }
        let fields = [nonce, name, password, isAdmin ? "admin" : "notadmin"] + (userType.map { [$0] } ?? [])
        let expected = HMACSHA1.authenticate(Array(fields.joined(separator: "\0").utf8), key: secret)
        guard let given = Hex.decode(mac.lowercased()), constantTimeEquals(given, expected) else {
            throw MatrixError(.unknown, "HMAC incorrect", status: 403)
        }
        var account = AccountCreation.Wish(user: try creation.user(named: name))
        try await creation.checkFree(account.user)
        account.passwordHash = try await checking.hash(password)
        account.displayname = try request.optionalString("displayname")
        account.isAdmin = isAdmin
        account.userType = userType
        let wish = try DeviceSessions.Wish(request)
        let opened = try request.optionalBoolean("inhibit_login") ?? false ? nil : sessions.prepare(wish)
        let address = request.remoteAddress
        try await environment.database.write { [account] connection in
            try creation.create(account, in: connection)
            if let opened {
                try sessions.open(opened, wish, user: account.user, address: address, in: connection)
            }
        }
        return SessionAnswer.response(user: account.user, opened: opened, environment: environment)
    }
}

extension Route {
    /// A nonce for registering by shared secret.
    static let getRegistrationNonce = Route(
        "getRegistrationNonce", .get, "/_synapse/admin/v1/register", .none, isRateLimited: true)
    /// Registering by shared secret.
    static let registerBySecret = Route(
        "registerBySecret", .post, "/_synapse/admin/v1/register", .none, isRateLimited: true)
}
