import Cryptography
import Federation
import Foundation
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import Logging
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization

@testable import Homeserver

/// A server with nothing but media, asked over its HTTP handler; tokens are localparts. Its folder goes with it.
final class MediaServer: Sendable {
    struct Answer {
        let status: Int
        let fields: HTTPFields
        let bytes: [UInt8]
        var body: JSONValue? { try? JSONValue.parse(bytes) }
        var errcode: String? { body?["errcode"]?.string }
    }

    let environment: Environment
    let handler: APIHandler
    let routes: MediaRoutes
    let clock: MediaClock
    let network: MediaNetwork
    let directory: String

    init(
        database given: (any Database)? = nil, configure: (inout HomeserverConfiguration) -> Void = { _ in },
        answer: @escaping MediaNetwork.Answering = MediaNetwork.nothing
    ) async throws {
        directory = FileManager.default.temporaryDirectory.path + "/fedchat-media-" + UUID().uuidString
        var configuration = HomeserverConfiguration(publicBaseURL: "https://matrix.a.test/")
        configuration.media.directory = directory
        configuration.rateLimits.isEnabled = false
        configuration.metricsEnabled = false
        configure(&configuration)
        let database = try given ?? SQLiteDatabase.inMemory()
        try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
        let clock = MediaClock()
        let network = MediaNetwork(answer: answer)
        let key = try Ed25519.SigningKey(seed: Array(0..<32))
        let environment = Environment(
            serverName: try ServerName("a.test"), configuration: configuration, database: database, sealer: .plain,
            clock: clock, random: SystemRandomSource(), signingKeys: SigningKeys(keyID: "ed25519:1", current: key),
            httpClient: network, logger: Logger(label: "test"))
        let federation = FederationClient(
            serverName: environment.serverName, keyID: "ed25519:1", key: key, httpClient: network,
            discovery: ServerDiscovery(
                httpClient: network, resolver: NoRecords(), asksWellKnown: false, now: { clock.monotonic() }),
            allowsPrivateAddresses: false)
        let limiter = RateLimiter(configuration.rateLimits, clock: clock, database: environment.database)
        routes = MediaRoutes(environment: environment, federation: federation, limiter: limiter)
        var router = Router()
        routes.register(on: &router)
        WellKnownRoutes(environment: environment, version: "1").register(on: &router)
        HealthRoutes(environment: environment).register(on: &router)
        TurnServerRoutes(environment: environment).register(on: &router)
        RTCTransportTelling(environment: environment).register(on: &router)
        handler = APIHandler(
            router: router, resources: Set(Resource.allCases), clients: EverybodyIsWhoTheySay(),
            servers: EveryServerIsB(), limiter: limiter, environment: environment)
        self.environment = environment
        self.clock = clock
        self.network = network
    }

    /// A server beside others that answer so.
    static func amongOthers(_ answer: @escaping MediaNetwork.Answering) async throws -> MediaServer {
        try await MediaServer(answer: answer)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func call(
        _ method: HTTPRequest.Method, _ path: String, as user: String? = "alice", type: String? = nil,
        range: String? = nil, fields: HTTPFields = [:], _ body: HTTPBody = .empty
    ) async throws -> Answer {
        var head = HTTPRequest(method: method, scheme: "https", authority: "a.test", path: path)
        head.headerFields = fields
        if let user { head.headerFields[.authorization] = "Bearer \(user)" }
        if let type { head.headerFields[.contentType] = type }
        if let range { head.headerFields[.range] = range }
        let response = await handler.handle(IncomingRequest(head: head, body: body, isSecure: true))
        let bytes = try await response.body.collect(upTo: 1 << 26)
        if let length = response.body.length, length != bytes.count { throw HTTPBodyError.disconnected }
        return Answer(status: response.status.code, fields: response.fields, bytes: bytes)
    }

    /// Uploads and gives `a.test/` and the media id.
    func upload(_ bytes: [UInt8], type: String? = "image/png", name: String? = nil) async throws -> String {
        let query = name.map { "?filename=\(PercentEncoding.encode($0))" } ?? ""
        let answer = try await call(.post, "/_matrix/media/v3/upload\(query)", type: type, HTTPBody(bytes))
        return String((answer.body?["content_uri"]?.string ?? "mxc://none/none").dropFirst("mxc://".count))
    }

    func download(
        _ name: String, _ more: String = "", range: String? = nil, fields: HTTPFields = [:]
    ) async throws -> Answer {
        try await call(.get, "/_matrix/client/v1/media/download/\(name)\(more)", range: range, fields: fields)
    }

    /// The files below its folder, thumbnails too, by their names.
    var files: [String] {
        let found = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
        return found.filter { $0.contains(#/[0-9a-f]{64}/#) }.map { String($0.split(separator: "/").last ?? "") }
            .sorted()
    }

    /// Brings the clock to where the machine's is, by whose time files are dated, and days further.
    func wait(days: Int64) {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        if clock.now() < now { clock.advance(milliseconds: now - clock.now()) }
        clock.advance(milliseconds: days * 86_400_000)
    }
}

/// A clock that goes on while somebody sleeps by it.
final class MediaClock: ServerClock {
    private let time = Mutex<Int64>(1_700_000_000_000)
    func now() -> Int64 { time.withLock { $0 } }
    func monotonic() -> Duration { .milliseconds(now()) }
    func sleep(for duration: Duration) async throws {
        advance(milliseconds: Int64(duration / .milliseconds(1)))
        await Task.yield()
    }
    func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }
}

/// Other servers, as a function; what they were asked is written down.
final class MediaNetwork: HTTPClient {
    typealias Answering = @Sendable (ClientRequest) throws(HTTPClientError) -> ClientResponse
    let asked = Mutex<[ClientRequest]>([])
    private let answer: Answering

    init(answer: @escaping Answering) { self.answer = answer }

    static let nothing: Answering = { (_) throws(HTTPClientError) in throw .couldNotConnect("no network") }

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        asked.withLock { $0.append(request) }
        await Task.yield()
        return try answer(request)
    }
}

private struct NoRecords: SRVResolving {
    func records(of name: String) async -> [SRVRecord] { [] }
}

private struct EverybodyIsWhoTheySay: ClientAuthenticating {
    func requester(token: String, of request: APIRequest) async throws(MatrixError) -> Requester {
        guard let user = try? UserID("@\(token):a.test") else { throw MatrixError(.unknownToken, "no") }
        return Requester(user: user, device: nil, isAdmin: token == "admin")
    }
}

private struct EveryServerIsB: ServerAuthenticating {
    func origin(of request: APIRequest) async throws(MatrixError) -> ServerName {
        guard let server = try? ServerName("b.test") else { throw .unknown }
        return server
    }
}
