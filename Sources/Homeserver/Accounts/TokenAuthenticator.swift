internal import Cryptography
internal import HomeserverStorage
internal import Logging
public import MatrixAPI
public import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Tells whose an access token is. Answers are remembered for a few seconds; a logout on any node makes all nodes forget.
public final class TokenAuthenticator: ClientAuthenticating {
    private struct Known {
        var requester: Requester
        var expires: Int64?
        var isLocked: Bool
        var isSuspended: Bool
        /// The monotonic time until which this may be believed.
        var until: Duration
    }

    private struct Cache {
        var known: [[UInt8]: Known] = [:]
        var tokens: [UserID: Set<[UInt8]>] = [:]
        /// Counts up whenever something is forgotten, so that what was read before is not remembered after.
        var generation: UInt64 = 0
    }

    private let environment: Environment
    private let applicationServices: (any ApplicationServiceAuthenticating)?
    private let cache = Mutex(Cache())

    public init(environment: Environment, applicationServices: (any ApplicationServiceAuthenticating)? = nil) {
        self.environment = environment
        self.applicationServices = applicationServices
    }

    public func requester(token: String, of request: APIRequest) async throws(MatrixError) -> Requester {
        if let service = try await applicationServices?.requester(asToken: token, of: request) { return service }
        let hash = SHA256.hash(Array(token.utf8))
        var remembered = remembered(hash)
        if remembered == nil { remembered = try await read(hash, request.remoteAddress) }
        guard let known = remembered else { throw .unknown }
        if let expires = known.expires, expires <= environment.clock.now() {
            throw MatrixError(.unknownToken, "The access token has expired", fields: ["soft_logout": true])
        }
        if known.isLocked, request.route != .logout, request.route != .logoutAll {
            throw MatrixError(.userLocked, "This account is locked", fields: ["soft_logout": true])
        }
        if known.isSuspended, Suspension.forbids(request) {
            throw MatrixError(.userSuspended, "This account is suspended")
        }
        return known.requester
    }

    /// Takes in a notification of the database: `tokens` and a user whose tokens or rights changed, or the empty text
    /// after notifications may have been lost.
    public func received(_ notification: String) {
        if notification.isEmpty { return forgetAll() }
        let parts = notification.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0] == "tokens", let user = try? UserID(String(parts[1])) else { return }
        forget(user)
    }

    /// Forgets what is known of a user's tokens on this node.
    public func forget(_ user: UserID) {
        cache.withLock { cache in
            cache.generation += 1
            for hash in cache.tokens.removeValue(forKey: user) ?? [] { cache.known[hash] = nil }
        }
    }

    private func forgetAll() {
        cache.withLock { cache in cache = Cache(generation: cache.generation + 1) }
    }

    private func remembered(_ hash: [UInt8]) -> Known? {
        let now = environment.clock.monotonic()
        return cache.withLock { cache in
            guard let known = cache.known[hash], known.until > now else { return nil }
            return known
        }
    }

    private func read(_ hash: [UInt8], _ address: String) async throws(MatrixError) -> Known {
        let generation = cache.withLock { $0.generation }
        let found: (pair: AccessTokenStore.Pair, account: Account, device: Device?)?
        do {
            found = try await environment.database.read { connection in
                guard let pair = try AccessTokenStore(connection).pair(accessHash: hash),
                    let account = try AccountStore(connection).account(pair.user)
                else { return nil }
                return (pair, account, try DeviceStore(connection).device(pair.device, of: pair.user))
            }
        } catch {
            throw failure(error)
        }
        guard let found, !found.account.isDeactivated else {
            throw MatrixError(.unknownToken, "Unknown access token", fields: ["soft_logout": false])
        }
        let now = environment.clock.now()
        if found.pair.expires.map({ $0 > now }) ?? true {
            try await noteUse(found.pair, found.device, address, now)
        }
        let known = Known(
            requester: Requester(
                user: found.pair.user, device: found.pair.device, accessTokenID: found.pair.id,
                isAdmin: found.account.isAdmin, isGuest: found.account.isGuest,
                isSuspended: found.account.isSuspended),
            expires: found.pair.expires, isLocked: found.account.isLocked, isSuspended: found.account.isSuspended,
            until: environment.clock.monotonic() + AuthenticationLimits.tokenMemory)
        cache.withLock { cache in
            // The first use of a pair forgets the old one, by this very call.
            guard cache.generation == generation || found.pair.replaces != nil else { return }
            if cache.known.count >= AuthenticationLimits.tokensRemembered {
                cache = Cache(generation: cache.generation)
            }
            cache.known[hash] = known
            cache.tokens[known.requester.user, default: []].insert(hash)
        }
        return known
    }

    /// Ends the pair this one replaces, and notes when the device was seen, not more often than needed.
    private func noteUse(
        _ pair: AccessTokenStore.Pair, _ device: Device?, _ address: String, _ now: Int64
    ) async throws(MatrixError) {
        let isStale = device.map { now - ($0.lastSeen ?? 0) > AuthenticationLimits.lastSeenInterval } ?? false
        if isStale {
            // Not worth failing for.
            try? await environment.database.groupedWrite { connection in
                try DeviceStore(connection).touch(pair.device, of: pair.user, at: now, address: address)
            }
        }
        guard pair.replaces != nil else { return }
        do {
            try await environment.database.groupedWrite { connection in
                try AccessTokenStore(connection).markUsed(pair)
                try connection.notify("tokens \(pair.user.text)")
            }
        } catch {
            throw failure(error)
        }
        forget(pair.user)
    }

    private func failure(_ error: any Error) -> MatrixError {
        environment.logger.error("tokens cannot be checked", metadata: ["cause": "\(error)"])
        return MatrixError(.unknown, "The server is busy", status: 503)
    }
}

/// What a suspended account may not do. It may read, leave, redact its own events, keep its keys and log out.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#account-suspension>
enum Suspension {
    static let forbidden: Set<Route> = [
        .joinRoomById, .joinRoom, .knockRoom, .createRoom, .inviteUser, .setRoomStateWithKey, .setRoomState,
        .setProfileField, .deleteProfileField, .upgradeRoom, .ban, .unban, .kick, .setRoomAlias, .deleteRoomAlias,
        .setRoomVisibilityOnDirectory, .uploadContent, .createContent, .uploadContentToMXC, .setTyping,
    ]

    static func forbids(_ request: APIRequest) -> Bool {
        if request.route == .sendMessage { return request.parameter("eventType") != "m.room.redaction" }
        return forbidden.contains(request.route)
    }
}
