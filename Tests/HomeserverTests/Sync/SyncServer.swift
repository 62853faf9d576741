import Cryptography
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import Logging
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import Homeserver

/// A server of rooms and syncs in memory, asked over its HTTP handler. A user's token is the user's name, a bar and a device.
struct SyncServer {
    static let alice = try! UserID("@alice:test")
    static let bob = try! UserID("@bob:test")
    static let carol = try! UserID("@carol:test")

    let environment: Environment
    let rooms: RoomReader
    let writer: RoomWriter
    let watcher: StreamWatcher
    let receipts: ReceiptKeeper
    let presence: PresenceKeeper
    let sent = SentEDUs()
    private let handler: APIHandler

    /// - Parameters:
    ///   - database: an empty one; nil for SQLite in memory.
    ///   - old: a server whose database this one opens, having forgotten everything else.
    init(
        on given: (any Database)? = nil, restarting old: SyncServer? = nil,
        _ configure: (inout HomeserverConfiguration) -> Void = { _ in }
    ) async throws {
        var configuration = HomeserverConfiguration(publicBaseURL: "https://test")
        configuration.rateLimits.isEnabled = false
        configuration.metricsEnabled = false
        configuration.presence.isEnabled = false
        configure(&configuration)
        let database = try given ?? old?.environment.database ?? SQLiteDatabase.inMemory()
        try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
        let environment = Environment(
            serverName: try ServerName("test"), configuration: configuration, database: database, sealer: .plain,
            clock: SyncClock(), random: SystemRandomSource(),
            signingKeys: SigningKeys(keyID: "ed25519:a", current: try Ed25519.SigningKey(seed: Array(0..<32))),
            httpClient: NoNetwork(), logger: Logger(label: "test"))
        self.environment = environment
        rooms = RoomReader(environment: environment)
        writer = RoomWriter(environment: environment, reader: rooms)
        let texts = EventTexts(events: rooms.events, sealer: environment.sealer)
        let reader = rooms
        watcher = StreamWatcher(
            environment: environment,
            hooks: [
                .init(prefix: "redacted") {
                    reader.received($0)
                    texts.received($0)
                }
            ])
        presence = PresenceKeeper(environment: environment, sender: sent)
        receipts = ReceiptKeeper(environment: environment, rooms: rooms, sender: sent)
        let reading = RoomReading(environment: environment, rooms: rooms, texts: texts, backfill: nil)
        let syncing = Syncing(
            environment: environment, rooms: rooms, texts: texts, watcher: watcher, presence: presence)
        let groups: [any RouteGroup] = [
            syncing,
            SlidingSyncing(environment: environment, sync: syncing.reader, watcher: watcher, presence: presence),
            reading, RelationReading(reading: reading),
            OldSyncing(reading: reading, watcher: watcher, presence: presence),
            ThreadSubscribing(environment: environment, rooms: rooms), MutualRooms(environment: environment),
            ReceiptSending(receipts: receipts), TypingSending(environment: environment, receipts: receipts),
            PresenceKeeping(environment: environment, presence: presence),
            PublicRoomListing(
                environment: environment, rooms: rooms,
                listed: PublicRooms(descriptions: RoomDescriptions(rooms: rooms)), remote: nil),
        ]
        var router = Router()
        for group in groups { group.register(on: &router) }
        handler = APIHandler(
            router: router, resources: Resource.standard, clients: Tokens(), servers: NoServers(),
            limiter: RateLimiter(
                configuration.rateLimits, clock: environment.clock, database: environment.database),
            environment: environment)
    }

    // MARK: Asking

    func call(
        _ method: HTTPRequest.Method, _ path: String, as user: UserID, device: String = "D1", _ body: JSONValue? = nil
    ) async throws -> Answer {
        try await handler.ask(method, "/_matrix/client/" + path, token: "\(user.text)|\(device)", body)
    }

    func sync(
        _ user: UserID, since: String? = nil, device: String = "D1", filter: JSONValue? = nil, timeout: Int = 0,
        _ more: String = ""
    ) async throws -> Answer {
        var path = "v3/sync?timeout=\(timeout)\(more)"
        if let since { path += "&since=\(since)" }
        if let filter {
            path += "&filter=" + PercentEncoding.encode(String(decoding: filter.serialized(), as: UTF8.self))
        }
        return try await call(.get, path, as: user, device: device)
    }

    // MARK: Rooms

    func room(
        named name: String? = nil, visibility: String = "shared", with members: [UserID] = []
    ) async throws -> RoomID {
        var room = NewRoom(version: .v12, creator: Self.alice)
        room.events = [
            (.member, Self.alice.text, ["membership": "join", "displayname": "Alice"], nil),
            (.powerLevels, "", ["users": [:]], nil), (.joinRules, "", ["join_rule": "public"], nil),
            (.historyVisibility, "", ["history_visibility": .string(visibility)], nil),
        ]
        if let name { room.events.append((.name, "", ["name": .string(name)], nil)) }
        let id = try await writer.create(room).id
        for member in members { try await set(.join, member, id) }
        return id
    }

    @discardableResult
    func set(
        _ membership: Membership, _ user: UserID, _ room: RoomID, by sender: UserID? = nil, name: String? = nil
    ) async throws -> StoredEvent {
        try await writer.send(
            EventDraft(
                type: .member, sender: sender ?? user, stateKey: user.text,
                content: .fields([
                    "membership": .string(membership.rawValue), "displayname": name.map { .string($0) },
                ]), roomID: room))
    }

    @discardableResult
    func message(
        _ text: String, _ room: RoomID, by user: UserID = Self.alice, origin: SendOrigin? = nil
    ) async throws -> StoredEvent {
        try await writer.send(
            EventDraft(
                type: .message, sender: user, content: ["msgtype": "m.text", "body": .string(text)], roomID: room),
            origin: origin)
    }

    @discardableResult
    func state(
        _ type: EventType, _ content: JSONValue, _ room: RoomID, by user: UserID = Self.alice
    ) async throws -> StoredEvent {
        try await writer.send(EventDraft(type: type, sender: user, stateKey: "", content: content, roomID: room))
    }

    func setAccountData(_ type: String, _ content: JSONValue, of user: UserID, room: RoomID? = nil) async throws {
        try await environment.database.write { connection in
            _ = try AccountDataStore(connection, .plain).set(type, content.serialized(), of: user, room: room)
        }
    }

    func sendToDevice(_ bodies: [String], to user: UserID, device: String = "D1") async throws {
        let id = try DeviceID(device)
        try await environment.database.write { connection in
            _ = try ToDeviceStore(connection, .plain).add(
                bodies.map {
                    (
                        user, id,
                        JSONValue.object(["type": .string($0), "sender": "@x:test", "content": [:]]).serialized()
                    )
                }, limit: 1_000)
        }
    }

    /// Does something while the watcher runs.
    func watching<R: Sendable>(_ work: @escaping @Sendable () async throws -> R) async throws -> R {
        let watcher = watcher
        return try await withThrowingTaskGroup(of: R?.self) { group in
            group.addTask {
                await watcher.run()
                return nil
            }
            // The watcher listens before anything happens.
            try await Task.sleep(for: .milliseconds(20))
            group.addTask { try await work() }
            defer { group.cancelAll() }
            while let result = try await group.next() { if let result { return result } }
            throw CancellationError()
        }
    }
}

/// What a sync brought.
extension Answer {
    var next: String { body["next_batch"]?.string ?? "none" }

    func room(_ id: RoomID, _ section: String = "join") -> JSONValue? { body["rooms"]?[section]?[id.text] }

    /// The bodies or types of a room's timeline.
    func timeline(_ id: RoomID, _ section: String = "join") -> [String] {
        Self.names(room(id, section)?["timeline"])
    }

    func state(_ id: RoomID, _ section: String = "join") -> [String] {
        Self.names(room(id, section)?["state"]).sorted()
    }

    static func names(_ list: JSONValue?) -> [String] { (list?["events"]?.elements ?? []).map(name) }

    static func name(_ event: JSONValue) -> String {
        if let body = event["content"]?["body"]?.string { return body }
        if event["type"] == "m.room.member" {
            return "\(event["state_key"]?.string ?? "?") \(event["content"]?["membership"]?.string ?? "?")"
        }
        return event["type"]?.string ?? "?"
    }
}

/// Time goes on by itself; each look at the wall clock is a millisecond later.
final class SyncClock: ServerClock {
    private let time = Mutex<Int64>(1_700_000_000_000)
    private let start = ContinuousClock.now

    func now() -> Int64 {
        time.withLock { time in
            time += 1
            return time
        }
    }

    func advance(milliseconds: Int64) { time.withLock { $0 += milliseconds } }
    func monotonic() -> Duration { start.duration(to: .now) }
    func sleep(for duration: Duration) async throws { try await Task.sleep(for: duration) }
}

/// Writes down the EDUs that would be sent.
final class SentEDUs: EphemeralSending {
    private let list = Mutex<[(type: String, content: JSONValue, to: [ServerName])]>([])
    var all: [(type: String, content: JSONValue, to: [ServerName])] { list.withLock { $0 } }

    func send(type: String, key: String, content: JSONValue, to destinations: some Sequence<ServerName>) {
        list.withLock { $0.append((type, content, Array(destinations))) }
    }
}

private struct Tokens: ClientAuthenticating {
    func requester(token: String, of request: APIRequest) async throws(MatrixError) -> Requester {
        let parts = token.split(separator: "|")
        guard parts.count == 2, let user = try? UserID(String(parts[0])), let device = try? DeviceID(String(parts[1]))
        else { throw MatrixError(.unknownToken, "no user") }
        return Requester(user: user, device: device)
    }
}
