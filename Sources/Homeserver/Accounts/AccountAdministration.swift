internal import Cryptography
public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// What the operator does to accounts from the command line, on the running server's database.
///
/// All functions throw ``DatabaseError``, and ``Refusal`` where the wish cannot be granted. Sessions that end are forgotten
/// by running nodes through the database's notifications (with SQLite within seconds).
public struct AccountAdministration: Sendable {
    /// Why a wish is not granted.
    public enum Refusal: Error, Sendable, Equatable, CustomStringConvertible {
        case invalidName(String)
        case inUse(String)
        case noSuchUser(String)
        case notDeactivated(String)
        case badPassword
        case badToken

        public var description: String {
            switch self {
            case .invalidName(let name): "\(name) is not a name for a user of this server"
            case .inUse(let name): "\(name) exists already"
            case .noSuchUser(let name): "there is no user \(name)"
            case .notDeactivated(let name): "there is no deactivated user \(name)"
            case .badPassword: "the password is empty or too long"
            case .badToken: "a token has 1 to 64 of A-Z a-z 0-9 . _ ~ -"
            }
        }
    }

    let environment: Environment
    let departure: (any RoomDeparting)?

    /// - Parameter departure: takes deactivated users out of their rooms; `nil` leaves them in.
    public init(environment: Environment, departure: (any RoomDeparting)? = nil) {
        self.environment = environment
        self.departure = departure
    }

    /// The user of a localpart or whole user ID. Throws ``Refusal/invalidName(_:)``.
    public func user(named name: String) throws -> UserID {
        guard let user = LoginIdentifier.user(named: name, server: environment.serverName)
        else { throw Refusal.invalidName(name) }
        return user
    }

    /// Makes an account. `password` `nil`: nobody can log in until one is set.
    public func createUser(
        _ name: String, password: String?, isAdmin: Bool = false, displayname: String? = nil
    ) async throws -> UserID {
        let creation = AccountCreation(environment: environment)
        guard let user = try? creation.user(named: name) else { throw Refusal.invalidName(name) }
        var wish = AccountCreation.Wish(user: user, passwordHash: try password.map(hash), displayname: displayname)
        wish.isAdmin = isAdmin
        do {
            try await environment.database.write { [wish] in try creation.create(wish, in: $0) }
        } catch let error as MatrixError where error.code == .userInUse {
            throw Refusal.inUse(name)
        }
        return user
    }

    /// All accounts in order of their ids.
    public func listUsers() async throws -> [Account] {
        var all: [Account] = []
        while true {
            let last = all.last?.user.text ?? ""
            let page = try await environment.database.read { try AccountStore($0).list(after: last) }
            guard !page.isEmpty else { return all }
            all += page
        }
    }

    /// Sets a password and ends all sessions.
    public func resetPassword(of name: String, to password: String) async throws {
        let user = try await existing(name)
        let hash = try hash(password)
        let sessions = sessions
        try await environment.database.write { connection in
            try AccountStore(connection).setPasswordHash(hash, of: user)
            try ShortLivedTokenStore(connection, .login).deleteAll(of: user)
            try sessions.endAll(of: user, in: connection)
        }
    }

    /// Ends all of a user's sessions, with their devices.
    public func endSessions(of name: String) async throws {
        let user = try await existing(name)
        let sessions = sessions
        try await environment.database.write { connection in
            try ShortLivedTokenStore(connection, .login).deleteAll(of: user)
            try sessions.endAll(of: user, in: connection)
        }
    }

    /// Lets a deactivated account be used again, with another password. What was erased does not come back.
    public func reactivate(_ name: String, password: String) async throws {
        let user = try user(named: name)
        let hash = try hash(password)
        let wasDeactivated = try await environment.database.write { connection in
            try AccountStore(connection).reactivate(user, passwordHash: hash)
        }
        guard wasDeactivated else { throw Refusal.notDeactivated(name) }
    }

    /// Ends an account.
    public func deactivate(_ name: String, erase: Bool = false) async throws {
        let ending = AccountEnding(environment: environment, sessions: sessions, departure: departure)
        try await ending.deactivate(existing(name), erase: erase)
    }

    /// Gives or takes the rights of an administrator.
    public func setAdmin(_ name: String, _ isAdmin: Bool = true) async throws {
        let user = try await existing(name)
        try await environment.database.write { connection in
            try AccountStore(connection).set(.admin, isAdmin, of: user)
            try connection.notify("tokens \(user.text)")
        }
    }

    /// Makes a registration token, a random one when `text` is `nil`. `expires` in milliseconds since 1970.
    public func createRegistrationToken(
        _ text: String? = nil, usesAllowed: Int64? = nil, expires: Int64? = nil
    ) async throws -> String {
        // With a letter before it: what begins with a hyphen is an option to the command line that revokes it.
        let token = text ?? "r" + environment.random.token(15)
        guard RegistrationTokenText.isValid(token) else { throw Refusal.badToken }
        let now = environment.clock.now()
        let isNew = try await environment.database.write { connection in
            try RegistrationTokenStore(connection).create(
                token, usesAllowed: usesAllowed, expires: expires, now: now)
        }
        guard isNew else { throw Refusal.inUse(token) }
        return token
    }

    /// All registration tokens, in the order they were made.
    public func listRegistrationTokens() async throws -> [RegistrationTokenStore.Token] {
        try await environment.database.read { try RegistrationTokenStore($0).list() }
    }

    /// Removes a registration token. Returns false when there is none.
    public func revokeRegistrationToken(_ text: String) async throws -> Bool {
        try await environment.database.write { try RegistrationTokenStore($0).revoke(text) }
    }

    private var sessions: DeviceSessions {
        DeviceSessions(
            environment: environment, authenticator: TokenAuthenticator(environment: environment),
            deviceLists: DeviceLists(environment: environment))
    }

    private func existing(_ name: String) async throws -> UserID {
        let user = try user(named: name)
        let account = try await environment.database.read { try AccountStore($0).account(user) }
        guard let account, !account.isDeactivated else { throw Refusal.noSuchUser(name) }
        return user
    }

    /// Runs where it is called: the command line has nothing else to do meanwhile.
    private func hash(_ password: String) throws -> String {
        let cost = PasswordThreads.cost(named: environment.configuration.registration.passwordHashCost)
        guard !password.isEmpty,
            let hash = Self.hash(password, cost, environment.random)
        else { throw Refusal.badPassword }
        return hash
    }

    private static func hash(_ password: String, _ cost: PasswordHash.Cost, _ random: some RandomSource) -> String? {
        try? PasswordHash.make(Array(password.utf8), cost: cost, random: random)
    }
}
