import Cryptography
import Federation
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
import Testing

/// Servers that reach each other by name, within the process.
final class Wire: HTTPClient {
    private struct State {
        var handlers: [String: any HTTPHandler] = [:]
        var requests: [String] = []
        var isCut = false
    }

    private let state = Mutex(State())

    func connect(_ name: ServerName, _ handler: any HTTPHandler) {
        state.withLock { $0.handlers[name.host] = handler }
    }

    func cut(_ isCut: Bool = true) { state.withLock { $0.isCut = isCut } }

    /// The paths that were asked since the last time.
    func takeRequests() -> [String] {
        state.withLock { state in
            defer { state.requests = [] }
            return state.requests
        }
    }

    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        let handler = state.withLock { state in
            if !request.pathAndQuery.hasPrefix("/_matrix/key/") { state.requests.append(request.pathAndQuery) }
            return state.isCut ? nil : state.handlers[request.host]
        }
        guard let handler else { throw .couldNotConnect("nobody is there") }
        return try await handler.take(request)
    }
}

/// A whole homeserver in memory. Its background work does not run; what it would send, `deliver` sends.
struct DeviceServer {
    let name: ServerName
    let environment: Environment
    let instance: Instance
    let clock = AccountClock()
    let handler: any HTTPHandler
    let client: FederationClient

    init(_ text: String = "a.test:443", wire: Wire = Wire()) async throws {
        name = try ServerName(text)
        var configuration = HomeserverConfiguration(publicBaseURL: "https://\(text)")
        configuration.registration.isOpen = true
        configuration.registration.passwordHashCost = "minimum"
        configuration.rateLimits.isEnabled = false
        configuration.metricsEnabled = false
        configuration.federation.allowPrivateAddresses = true
        let database = try await Self.database()
        try await Instance.migrate(database)
        let key = try Ed25519.SigningKey(seed: SHA256.hash(Array(text.utf8)))
        environment = Environment(
            serverName: name, configuration: configuration, database: database, sealer: .plain, clock: clock,
            random: SystemRandomSource(), signingKeys: SigningKeys(keyID: "ed25519:1", current: key),
            httpClient: wire, logger: Logger(label: "test"))
        instance = Instance(environment, resolver: NoSRVRecords())
        handler = instance.handler(for: Resource.standard)
        let clock = clock
        client = FederationClient(
            serverName: name, keyID: "ed25519:1", key: key, httpClient: wire,
            discovery: ServerDiscovery(httpClient: wire, resolver: NoSRVRecords(), now: { clock.monotonic() }),
            allowsPrivateAddresses: true)
        wire.connect(name, handler)
    }

    /// In memory, or with `FEDCHAT_TEST_POSTGRES_SCHEMAS`, a libpq URL with a query, in a new schema there: then run with
    /// `--no-parallel`, a suite at a time, for the connections stay open.
    private static func database() async throws -> any Database {
        guard let url = ProcessInfo.processInfo.environment["FEDCHAT_TEST_POSTGRES_SCHEMAS"] else {
            return try SQLiteDatabase.inMemory()
        }
        let schema = "s\(Hex.encode(SystemRandomSource().bytes(8)))"
        var configuration = PostgresConfiguration(url: url)
        configuration.readers = 1
        configuration.writers = 1
        let whole = try await PostgresDatabase.open(configuration)
        try await whole.write { try $0.execute(SQL(raw: "CREATE SCHEMA \(schema)")) }
        await whole.close()
        configuration.url += "&options=-csearch_path%3D\(schema)"
        return try await PostgresDatabase.open(configuration)
    }

    /// Registers a user with a device. Gives the user with its token.
    func register(_ name: String, device: String = "DEVICE") async throws -> Client {
        let client = Client(server: self, id: try UserID("@\(name):\(self.name)"), device: device, token: "")
        let answer = try await client.call(
            .post, "register",
            [
                "username": .string(name), "password": "secret", "device_id": .string(device),
                "initial_device_display_name": .string("\(name)'s phone"), "auth": ["type": "m.login.dummy"],
            ])
        return Client(
            server: self, id: client.id, device: device, token: answer["access_token"]?.string ?? "none")
    }

    /// Lets users be in a room, as far as this server's tables of members go.
    func share(_ room: Int64, _ members: [UserID], at position: Int64 = 1, membership: String = "join") async throws {
        try await environment.database.write { connection in
            try connection.execute(
                """
                INSERT INTO rooms (room_nid, room_id, version, head_version, state, extremities, depth)
                VALUES (\(room), \("!room\(room):a.test"), '12', 0, \([UInt8](repeating: 0, count: 16)), \([UInt8]()), 0)
                ON CONFLICT (room_nid) DO NOTHING
                """)
            for member in members {
                try connection.execute(
                    """
                    INSERT INTO room_members (room_nid, user_id, server, membership, event_nid, position)
                    VALUES (\(room), \(member.text), \(member.serverName.text), \(membership), 1, \(position))
                    ON CONFLICT (room_nid, user_id) DO UPDATE SET
                        membership = excluded.membership, position = excluded.position
                    """)
            }
            try connection.execute(
                "UPDATE streams SET position = \(position) WHERE name = 'events' AND position < \(position)")
        }
    }

    /// The EDUs that wait for another server, taken out.
    func takeEDUs(for server: ServerName) async throws -> [JSONValue] {
        let sealer = environment.sealer
        return try await environment.database.write { connection in
            let outbox = Outbox(connection)
            let waiting = try outbox.pendingEDUs(for: server.text, limit: 100, sealer: sealer)
            try outbox.delivered(server.text, pdus: [], edus: waiting)
            return try waiting.map { try JSONValue.parse($0.body) }
        }
    }

    /// Sends what waits for another server there.
    func deliver(to server: DeviceServer) async throws {
        try await send(takeEDUs(for: server.name), to: server)
    }

    func send(_ edus: [JSONValue], to server: DeviceServer) async throws {
        let transaction = SystemRandomSource().token(8)
        _ = try await client.json(
            APICall(
                .sendTransaction, ["txnId": transaction],
                body: [
                    "origin": .string(name.text), "origin_server_ts": 1, "pdus": [], "edus": .array(edus),
                ]), at: server.name, timeout: .seconds(5))
    }

    /// A token of a sync up to now.
    func now() async throws -> String {
        let at = try await environment.database.read { try StreamPositions($0).current() }
        let names = ["events", "to_device", "receipts", "account_data", "device_lists", "presence", "typing"]
        return "s1_" + names.map { String(at[$0] ?? 0) }.joined(separator: "_")
    }

    /// The messages that wait for a device.
    func messages(_ client: Client, device: String? = nil) async throws -> [JSONValue] {
        let device = try DeviceID(device ?? client.device)
        return try await environment.database.read { connection in
            try ToDeviceStore(connection, .plain).messages(
                user: client.id, device: device, after: 0, upTo: .max, limit: 100
            ).map { try JSONValue.parse($0.body) }
        }
    }
}
