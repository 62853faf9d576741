internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Makes accounts, for all ways of registering.
struct AccountCreation: Sendable {
    /// What a new account is to be.
    struct Wish: Sendable {
        var user: UserID
        var passwordHash: String?
        /// The display name; the localpart when `nil`.
        var displayname: String?
        var isAdmin = false
        var isGuest = false
        var userType: String?
        var applicationService: String?
        /// Counted as used.
        var registrationToken: String?
        /// The authentication session that is used up.
        var sessionID: String?
        /// The documents that were agreed to.
        var agreed: [HomeserverConfiguration.Policy] = []
        /// Whether a guest of this name becomes a whole user.
        var isUpgrade = false
    }

    let environment: Environment

    /// The user of a name, capitals made small. Throws `M_INVALID_USERNAME`.
    func user(named name: String) throws(MatrixError) -> UserID {
        let small = String(decoding: name.utf8.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
        guard let user = try? UserID(newLocalpart: small, server: environment.serverName) else {
            throw MatrixError(.invalidUsername, "A user name has only a-z, 0-9 and ._=-/+, at most 255 with the server")
        }
        return user
    }

    /// A name nobody has asked for.
    func inventedUser(prefix: String) throws(MatrixError) -> UserID {
        let letters = Array("abcdefghijkmnpqrstuvwxyz23456789".utf8)
        let name = environment.random.bytes(12).map { letters[Int($0) % letters.count] }
        return try user(named: prefix + String(decoding: name, as: UTF8.self))
    }

    /// Throws `M_USER_IN_USE`.
    func checkFree(_ user: UserID) async throws {
        let isTaken = try await environment.database.read { connection in
            try AccountStore(connection).account(user) != nil
        }
        if isTaken { throw Self.inUse }
    }

    /// Makes the account within a transaction. Throws `M_USER_IN_USE`, and `M_UNAUTHORIZED` when the registration token
    /// was used up meanwhile.
    func create(_ wish: Wish, in connection: any SQLConnection) throws {
        let now = environment.clock.now()
        let account = Account(
            user: wish.user, passwordHash: wish.passwordHash, created: now, isAdmin: wish.isAdmin,
            isGuest: wish.isGuest, userType: wish.userType, applicationService: wish.applicationService)
        let accounts = AccountStore(connection)
        if wish.isUpgrade {
            guard try accounts.upgradeGuest(wish.user, passwordHash: wish.passwordHash) else { throw Self.inUse }
            try connection.notify("tokens \(wish.user.text)")
        } else {
            guard try accounts.create(account) else { throw Self.inUse }
        }
        if let token = wish.registrationToken {
            guard try RegistrationTokenStore(connection).use(token, now: now) else {
                throw MatrixError(.unauthorized, "The registration token was used up")
            }
        }
        if let id = wish.sessionID { try AuthenticationSessionStore(connection).delete(id) }
        for policy in wish.agreed {
            try ConsentStore(connection).add(
                .init(policy: policy.id, version: policy.version, accepted: now), of: wish.user)
        }
        if wish.isUpgrade { return }
        let name = wish.displayname ?? wish.user.localpart
        _ = try ProfileStore(connection).set(
            "displayname", json: String(decoding: JSONValue.string(name).serialized(), as: UTF8.self),
            search: name.lowercased(), of: wish.user)
    }

    static let inUse = MatrixError(.userInUse, "This user name is taken")
}
