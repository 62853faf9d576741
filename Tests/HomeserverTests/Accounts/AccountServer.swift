import Cryptography
import Foundation
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import Logging
import MatrixAPI
import MatrixModel
import PostgresEngine
import SQLDatabase
import SQLiteEngine
import Synchronization

/// A server with nothing but accounts, in memory, asked over its HTTP handler.
struct AccountServer {
    let environment: Environment
    let handler: APIHandler
    let clock: AccountClock
    let authenticator: TokenAuthenticator
    let seen: Witness

    init(_ configure: (inout HomeserverConfiguration) -> Void = { _ in }) async throws {
        var configuration = HomeserverConfiguration(publicBaseURL: "https://a.test")
        configuration.registration.isOpen = true
        configuration.registration.passwordHashCost = "minimum"
        configuration.rateLimits.isEnabled = false
        configuration.metricsEnabled = false
        configure(&configuration)
        let database = try await Self.database()
        try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
        clock = AccountClock()
        environment = Environment(
            serverName: try ServerName("a.test"), configuration: configuration, database: database, sealer: .plain,
            clock: clock, random: SystemRandomSource(),
            signingKeys: SigningKeys(keyID: "ed25519:1", current: try Ed25519.SigningKey(seed: Array(0..<32))),
            httpClient: NoNetwork(), logger: Logger(label: "test"))
        seen = Witness()
        authenticator = TokenAuthenticator(environment: environment)
        let limiter = RateLimiter(configuration.rateLimits, clock: clock, database: database)
        let routes = AccountRoutes(
            environment: environment, authenticator: authenticator,
            passwords: PasswordThreads(cost: "minimum", random: SystemRandomSource()), limiter: limiter,
            collaborators: AccountCollaborators(deviceLists: seen, profiles: seen, departure: seen))
        var router = Router()
        routes.register(on: &router)
        handler = APIHandler(
            router: router, resources: Resource.standard, clients: authenticator, servers: NoServers(),
            limiter: limiter, environment: environment)
    }

    /// In memory, or with `FEDCHAT_TEST_POSTGRES_EMPTY`, a libpq URL whose database is wiped, on PostgreSQL: then run with
    /// `--no-parallel`, one suite at a time, for the connections stay open.
    private static func database() async throws -> any Database {
        guard let url = ProcessInfo.processInfo.environment["FEDCHAT_TEST_POSTGRES_EMPTY"] else {
            return try SQLiteDatabase.inMemory()
        }
        var configuration = PostgresConfiguration(url: url)
        configuration.readers = 1
        configuration.writers = 1
        let database = try await PostgresDatabase.open(configuration)
        try await database.write { connection in
            try connection.execute("DROP SCHEMA public CASCADE")
            try connection.execute("CREATE SCHEMA public")
        }
        return database
    }

    func call(
        _ method: HTTPRequest.Method, _ path: String, token: String? = nil, _ body: JSONValue? = nil,
        from address: String = "192.0.2.1"
    ) async throws -> Answer {
        try await handler.ask(method, path, token: token, body, authority: "a.test", from: address)
    }

    /// Registers in one request. Gives the access token.
    @discardableResult
    func register(_ name: String, password: String = "secret") async throws -> String {
        let answer = try await call(
            .post, "/_matrix/client/v3/register",
            ["username": .string(name), "password": .string(password), "auth": ["type": "m.login.dummy"]])
        return answer["access_token"]?.string ?? "none"
    }

    func logIn(_ name: String, password: String = "secret", _ more: [String: JSONValue] = [:]) async throws -> Answer {
        var body: [String: JSONValue] = [
            "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(name)],
            "password": .string(password),
        ]
        body.merge(more) { $1 }
        return try await call(.post, "/_matrix/client/v3/login", .object(body))
    }

    /// Does a request that wants the password, first without, then with it.
    func confirmed(
        _ method: HTTPRequest.Method, _ path: String, token: String, _ body: [String: JSONValue] = [:],
        user: String, password: String = "secret"
    ) async throws -> Answer {
        let challenge = try await call(method, path, token: token, .object(body))
        var body = body
        body["auth"] = [
            "type": "m.login.password", "session": challenge["session"] ?? .null,
            "identifier": ["type": "m.id.user", "user": .string(user)], "password": .string(password),
        ]
        return try await call(method, path, token: token, .object(body))
    }

    func whoami(_ token: String) async throws -> Answer {
        try await call(.get, "/_matrix/client/v3/account/whoami", token: token)
    }
}

/// A clock that tests move.
final class AccountClock: ServerClock {
    private let time = Mutex<Int64>(1_700_000_000_000)
    func now() -> Int64 { time.withLock { $0 } }
    func monotonic() -> Duration { .milliseconds(now()) }
    func sleep(for duration: Duration) async throws {}
    func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }
}

/// Writes down what the handlers tell others.
final class Witness: DeviceListAnnouncing, ProfilePropagating, RoomDeparting {
    struct Notes {
        var devices: [UserID] = []
        var profiles: [String] = []
        var departed: [UserID] = []
    }
    let notes = Mutex(Notes())

    func deviceListChanged(of user: UserID, in connection: any SQLConnection) throws {
        notes.withLock { $0.devices.append(user) }
    }
    func profileChanged(of user: UserID, displayname: String?, avatarURL: String?) async {
        notes.withLock { $0.profiles.append("\(user) \(displayname ?? "-") \(avatarURL ?? "-")") }
    }
    func leaveAllRooms(_ user: UserID) async { notes.withLock { $0.departed.append(user) } }
}
