import Cryptography
import Federation
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import Logging
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization

/// Two real homeservers, `a.test` and `b.test`, in one process, on a network in memory.
final class FaultWorld: Sendable {
    let network = FaultNetwork()
    let clock = WorldClock()
    let instances: [Instance]

    private init() async throws {
        var instances: [Instance] = []
        for name in ["a.test", "b.test"] {
            var configuration = HomeserverConfiguration(publicBaseURL: "https://\(name)")
            configuration.registration.isOpen = true
            configuration.registration.passwordHashCost = "minimum"
            configuration.rateLimits.isEnabled = false
            configuration.metricsEnabled = false
            configuration.federation.wellKnownLookup = false
            let database = try SQLiteDatabase.inMemory()
            try await Instance.migrate(database)
            var logger = Logger(label: name) { _ in SwiftLogNoOpLogHandler() }
            logger.logLevel = .critical
            let instance = Instance(
                Environment(
                    serverName: try ServerName(name), configuration: configuration, database: database, sealer: .plain,
                    clock: clock, random: SystemRandomSource(),
                    signingKeys: SigningKeys(
                        keyID: "ed25519:k", current: try Ed25519.SigningKey(seed: SHA256.hash(Array(name.utf8)))),
                    httpClient: ServerLine(network: network), logger: logger),
                resolver: NoSRVRecords())
            network.connect(name, instance.handler(for: Resource.standard))
            instances.append(instance)
        }
        self.instances = instances
    }

    /// Runs both servers while the test runs.
    static func run(_ test: (FaultWorld) async throws -> Void) async throws {
        let world = try await FaultWorld()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for instance in world.instances { group.addTask { await instance.run() } }
            try await test(world)
            group.cancelAll()
        }
    }

    /// A new account's device on `a.test` or `b.test`.
    func device(_ name: String, on server: String = "a.test") async throws -> FaultDevice {
        try await FaultDevice(name, on: server, in: self)
    }
}

/// A network in memory on which servers can be parted.
final class FaultNetwork: Sendable {
    private struct State {
        var handlers: [String: any HTTPHandler] = [:]
        var areParted = false
    }

    private let state = Mutex(State())

    func connect(_ host: String, _ handler: any HTTPHandler) { state.withLock { $0.handlers[host] = handler } }

    /// Whether servers reach each other; devices reach their server all the same.
    func part(_ areParted: Bool) { state.withLock { $0.areParted = areParted } }

    fileprivate var areParted: Bool { state.withLock { $0.areParted } }

    func deliver(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        guard let handler = state.withLock({ $0.handlers[request.host] }) else {
            throw .couldNotConnect("no such host")
        }
        let head = HTTPRequest(
            method: request.method, scheme: "https", authority: request.host, path: request.pathAndQuery,
            headerFields: request.fields)
        let response = await handler.handle(
            IncomingRequest(head: head, body: HTTPBody(request.body), remoteAddress: "192.0.2.9", isSecure: true))
        guard let body = try? await response.body.collect(upTo: request.maximumResponseBytes) else {
            throw .responseTooLarge
        }
        return ClientResponse(status: response.status.code, fields: response.fields, body: body)
    }
}

/// How a server reaches the other.
private struct ServerLine: HTTPClient {
    let network: FaultNetwork

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        guard !network.areParted else { throw .couldNotConnect("parted") }
        return try await network.deliver(request)
    }
}

/// How a device reaches its server: requests and answers can be lost, and answers changed on the way, as a hostile server
/// would.
final class DeviceLine: HTTPClient {
    typealias Change = @Sendable (ClientRequest, JSONValue) -> JSONValue

    private struct State {
        var losesRequest: @Sendable (ClientRequest) -> Bool = { _ in false }
        var losesAnswer: @Sendable (ClientRequest) -> Bool = { _ in false }
        var change: Change?
    }

    private let network: FaultNetwork
    private let state = Mutex(State())

    init(_ network: FaultNetwork) { self.network = network }

    func lose(
        requests: @escaping @Sendable (ClientRequest) -> Bool = { _ in false },
        answers: @escaping @Sendable (ClientRequest) -> Bool = { _ in false }
    ) {
        state.withLock {
            $0.losesRequest = requests
            $0.losesAnswer = answers
        }
    }

    /// Lets the server lie.
    func change(_ change: Change?) { state.withLock { $0.change = change } }

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        let fate = state.withLock { $0 }
        if fate.losesRequest(request) { throw .couldNotConnect("lost") }
        var response = try await network.deliver(request)
        if fate.losesAnswer(request) { throw .timedOut }
        if let change = fate.change, let value = try? JSONValue.parse(response.body) {
            response = ClientResponse(
                status: response.status, fields: response.fields, body: change(request, value).serialized())
        }
        return response
    }
}

/// The world's time, in milliseconds since 1970: it goes on, and can be moved on. Servers' pauses are fifty times as short.
final class WorldClock: ServerClock {
    private let start = ContinuousClock.now
    private let moved = Mutex<Int64>(0)

    func now() -> Int64 {
        1_700_000_000_000 + Int64(start.duration(to: .now) / .milliseconds(1)) + moved.withLock { $0 }
    }
    func monotonic() -> Duration { start.duration(to: .now) * 50 }
    func sleep(for duration: Duration) async throws { try await ContinuousClock().sleep(for: duration / 50) }
    func advance(by milliseconds: Int64) { moved.withLock { $0 += milliseconds } }
}
