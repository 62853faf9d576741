import Cryptography
import Foundation
import HTTPMessages
import Homeserver
import HomeserverStorage
import Logging
import MatrixAPI
import MatrixModel
import MatrixRooms
import PostgresEngine
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

/// A clock that moves a millisecond each time it is read.
final class TickingClock: ServerClock {
    private let time = Mutex<Int64>(1_700_000_000_000)

    func now() -> Int64 {
        time.withLock { time in
            time += 1
            return time
        }
    }

    func monotonic() -> Duration { .milliseconds(now()) }
    func sleep(for duration: Duration) async throws {}
}

/// A clock that stands still.
struct StandingClock: ServerClock {
    func now() -> Int64 { 1_700_000_000_000 }
    func monotonic() -> Duration { .zero }
    func sleep(for duration: Duration) async throws {}
}

/// A network without anybody.
struct SilentNetwork: HTTPClient {
    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        throw .couldNotConnect("there is no network")
    }
}

/// A homeserver's rooms over SQLite in memory.
struct RoomFixture {
    let environment: Environment
    let reader: RoomReader
    let writer: RoomWriter

    static let alice = try! UserID("@alice:test")
    static let bob = try! UserID("@bob:test")
    static let carol = try! UserID("@carol:elsewhere")

    init(
        database: (any Database)? = nil, sealer: StorageSealer = .plain, clock: any ServerClock = TickingClock(),
        _ configure: (inout HomeserverConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = HomeserverConfiguration(publicBaseURL: "https://test")
        configure(&configuration)
        let database = if let database { database } else { try await Self.database() }
        try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
        let key = try Ed25519.SigningKey(seed: [UInt8](repeating: 7, count: 32))
        environment = Environment(
            serverName: try ServerName("test"),
            configuration: configuration, database: database, sealer: sealer,
            clock: clock, random: SystemRandomSource(),
            signingKeys: SigningKeys(keyID: "ed25519:a", current: key), httpClient: SilentNetwork(),
            logger: Logger(label: "test"))
        reader = RoomReader(environment: environment)
        writer = RoomWriter(environment: environment, reader: reader)
    }

    /// In memory, or with `FEDCHAT_TEST_POSTGRES_SCHEMAS`, a libpq URL, in a schema of its own on PostgreSQL: that cluster
    /// must allow three connections for each test.
    private static func database() async throws -> any Database {
        guard let url = ProcessInfo.processInfo.environment["FEDCHAT_TEST_POSTGRES_SCHEMAS"] else {
            return try SQLiteDatabase.inMemory()
        }
        let schema = "rooms_" + Hex.encode(SystemRandomSource().bytes(8))
        var configuration = PostgresConfiguration(url: url)
        (configuration.readers, configuration.writers) = (1, 1)
        let maker = try await PostgresDatabase.open(configuration)
        try await maker.write { _ = try $0.execute(SQL(raw: "CREATE SCHEMA \(schema)")) }
        await maker.close()
        configuration.url += (url.contains("?") ? "&" : "?") + "options=-csearch_path%3D\(schema)"
        return try await PostgresDatabase.open(configuration)
    }

    /// Another node on the same database.
    init(node other: RoomFixture) {
        environment = other.environment
        reader = RoomReader(environment: environment)
        writer = RoomWriter(environment: environment, reader: reader)
    }

    func room(_ version: RoomVersion = .v12, joinRule: String = "public") async throws -> RoomRecord {
        var room = NewRoom(version: version, creator: Self.alice)
        var levels: JSONValue = ["users": [:], "events_default": 0]
        if !version.rules.authorization.privilegedCreators { levels["users"] = [Self.alice.text: 100] }
        room.events = [
            (.member, Self.alice.text, ["membership": "join", "displayname": "Alice"], nil),
            (.powerLevels, "", levels, nil),
            (.joinRules, "", ["join_rule": .string(joinRule)], nil),
            (.historyVisibility, "", ["history_visibility": "shared"], nil),
        ]
        return try await writer.create(room)
    }

    @discardableResult
    func join(_ user: UserID, _ room: RoomID) async throws -> StoredEvent {
        try await writer.send(
            EventDraft(
                type: .member, sender: user, stateKey: user.text, content: ["membership": "join"], roomID: room))
    }

    func message(
        _ text: String, _ room: RoomID, by user: UserID = Self.alice, origin: SendOrigin? = nil
    ) async throws -> StoredEvent {
        try await writer.send(
            EventDraft(
                type: .message, sender: user, content: ["msgtype": "m.text", "body": .string(text)], roomID: room),
            origin: origin)
    }

    func timeline(_ room: RoomRecord, limit: Int = 1_000) async throws -> [StoredEvent] {
        try await environment.database.read { connection in
            try reader.log(connection).timeline(
                room: room.nid, after: nil, upTo: nil, limit: limit, newestFirst: false)
        }
    }
}

/// An event of another server, made by hand.
struct ForeignServer {
    let name: ServerName
    let key: Ed25519.SigningKey

    init(_ name: String) throws {
        self.name = try ServerName(name)
        key = try Ed25519.SigningKey(seed: [UInt8](repeating: 9, count: 32))
    }

    func event(
        _ draft: EventDraft, version: RoomVersion, prev: [StoredEvent], auth: [StoredEvent], timestamp: Int64 = 1
    ) throws -> PDU {
        var hashes: [EventID: [UInt8]] = [:]
        for event in prev + auth { hashes[event.id] = event.pdu.referenceHash }
        return try draft.seal(
            version: version, prev: prev.map(\.id), auth: auth.map(\.id),
            depth: (prev.map(\.pdu.depth).max() ?? 0) + 1, timestamp: timestamp, server: name, keyID: "ed25519:b",
            key: key, referenceHashes: hashes)
    }
}
