import ClientEncryption
import Cryptography
import FedchatTesting
import Foundation
import HTTPMessages
import Logging
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@testable import FedchatKit

/// A device as it runs in the world: the real client on a file, moved on by steps, which can be killed and started again.
final class FaultDevice: Sendable {
    private struct State {
        var client: Client
        var database: SQLiteDatabase
        var crashing: CrashingDatabase
    }

    let user: UserID
    let device: DeviceID
    let line: DeviceLine
    let world: FaultWorld
    let file: String
    private let host: String
    private let state: Mutex<State>

    static let key = [UInt8](repeating: 9, count: 32)

    convenience init(_ name: String, on host: String, in world: FaultWorld) async throws {
        let line = DeviceLine(world.network)
        let server = try Homeserver("https://\(host)")
        let authentication = Authentication(
            HomeserverConnection(server, http: line, clock: ShortClock()), deviceName: name)
        try await self.init(
            try await authentication.register(user: name, password: "secret"), line, on: host, in: world)
    }

    /// Another device of the same user.
    func another() async throws -> FaultDevice {
        let line = DeviceLine(world.network)
        let authentication = Authentication(
            HomeserverConnection(try Homeserver("https://\(host)"), http: line, clock: ShortClock()), deviceName: "2")
        return try await FaultDevice(
            try await authentication.login(user: user.text, password: "secret"), line, on: host, in: world)
    }

    private init(_ credentials: Credentials, _ line: DeviceLine, on host: String, in world: FaultWorld) async throws {
        user = credentials.user
        device = credentials.device
        self.line = line
        self.world = world
        self.host = host
        file = NSTemporaryDirectory() + "fault-\(SystemRandomSource().token(8)).db"
        let database = try await SQLiteDatabase.open(SQLiteConfiguration(.file(file)))
        try await Migrator.migrate(database, ClientSchema.migrations, oldestCompatible: 1)
        let store = ClientStore(key: try StoreKey(Self.key), random: SystemRandomSource())
        try await database.write { try store.setCredentials(credentials, in: $0) }
        let crashing = CrashingDatabase(database)
        let client = try await Self.open(crashing, line, host, world, 0)
        state = Mutex(State(client: client, database: database, crashing: crashing))
        try await client.publishKeys()
        try await step()
    }

    private static func open(
        _ database: CrashingDatabase, _ line: DeviceLine, _ host: String, _ world: FaultWorld, _ skew: Int64
    ) async throws -> Client {
        try await Client.open(
            Client.Parts(
                database: database, key: try StoreKey(key), http: line, clock: ShortClock(),
                now: { [clock = world.clock] in clock.now() + skew }, random: SystemRandomSource(),
                logger: logger),
            homeserver: try Homeserver("https://\(host)"))
    }

    /// With FEDCHAT_FAULT_LOG set, what devices warn of is shown.
    private static var logger: Logger {
        guard ProcessInfo.processInfo.environment["FEDCHAT_FAULT_LOG"] != nil else {
            return Logger(label: "device") { _ in SwiftLogNoOpLogHandler() }
        }
        return Logger(label: "device") { StreamLogHandler.standardError(label: $0) }
    }

    var client: Client { state.withLock { $0.client } }
    var database: SQLiteDatabase { state.withLock { $0.database } }
    /// What the client runs on, and dies with.
    var crashing: CrashingDatabase { state.withLock { $0.crashing } }

    /// Kills the process and starts another on the same store, perhaps with another clock.
    func restart(skew: Int64 = 0) async throws {
        await database.close()
        let database = try await SQLiteDatabase.open(SQLiteConfiguration(.file(file)))
        let crashing = CrashingDatabase(database)
        let client = try await Self.open(crashing, line, host, world, skew)
        state.withLock { $0 = State(client: client, database: database, crashing: crashing) }
    }

    /// A copy of the store as it is now.
    func snapshot() async throws -> [String: Data] {
        await database.close()
        var files: [String: Data] = [:]
        for suffix in ["", "-wal"] { files[suffix] = FileManager.default.contents(atPath: file + suffix) }
        try await restart()
        return files
    }

    /// Puts the store back to an earlier state.
    func restore(_ files: [String: Data]) async throws {
        await database.close()
        for suffix in ["", "-wal", "-shm"] {
            try? FileManager.default.removeItem(atPath: file + suffix)
            if let data = files[suffix] { try data.write(to: URL(fileURLWithPath: file + suffix)) }
        }
        try await restart()
    }

    /// One sync and what comes after it. A network that fails ends it early.
    @discardableResult
    func step() async throws -> Bool {
        do {
            try await client.syncOnce(holding: 0)
            try await client.keepUpOnce()
            return true
        } catch let error as ClientError where error.isTransient { return false }
    }

    func say(_ text: String, _ room: RoomID) async throws {
        _ = try await client.send("m.room.message", ["msgtype": "m.text", "body": .string(text)], to: room)
    }

    /// Queues the message also if the server cannot be reached.
    func trySay(_ text: String, _ room: RoomID) async throws {
        do { try await say(text, room) } catch ClientError.queued {}
    }

    /// What this device sees of a room: texts, and why others cannot be read.
    func view(_ room: RoomID) async throws -> View {
        var view = View()
        var from: String?
        for _ in 0..<1_000 {
            var query = [("dir", "f"), ("limit", "500")]
            if let from { query.append(("from", from)) }
            let answer = try await client.call(APICall(.getRoomEvents, ["roomId": room.text], query: query))
            let events = answer["chunk"]?.elements ?? []
            for event in events where event["state_key"] == nil {
                switch try await client.read(event, in: room) {
                case .success(let readable):
                    if let body = readable.event["content", "body"]?.string { view.texts.append(body) }
                case .failure(let why): view.failures.append(why)
                }
            }
            guard let end = answer["end"]?.string, end != from, !events.isEmpty else { break }
            from = end
        }
        return view
    }

    /// The text of the room's last event; nil where it cannot be read.
    func last(_ room: RoomID) async throws -> String? {
        let answer = try await client.call(
            APICall(.getRoomEvents, ["roomId": room.text], query: [("dir", "b"), ("limit", "1")]))
        guard let event = answer["chunk"]?.elements.first else { return nil }
        return try? await client.read(event, in: room).get().event["content", "body"]?.string
    }

    struct View: Sendable, Equatable {
        var texts: [String] = []
        var failures: [Undecryptable] = []
        var causes: [Undecryptable.Cause] { failures.map(\.cause) }
    }
}

extension FaultWorld {
    /// Moves devices on until something holds; fails when it does not within half a minute.
    func until(
        _ devices: FaultDevice..., location: SourceLocation = #_sourceLocation,
        _ condition: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while ContinuousClock.now < end {
            for device in devices { try await device.step() }
            if try await condition() { return }
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
        Issue.record("it did not come to pass", sourceLocation: location)
        throw CancellationError()
    }

    /// A room of the first device's in which the others are.
    func room(of owner: FaultDevice, _ others: FaultDevice..., history: String? = nil) async throws -> RoomID {
        var body: JSONValue = [
            "preset": "public_chat",
            "initial_state": [
                ["type": "m.room.encryption", "state_key": "", "content": ["algorithm": "m.megolm.v1.aes-sha2"]]
            ],
        ]
        if let history, var state = body["initial_state"]?.elements {
            state.append([
                "type": "m.room.history_visibility", "state_key": "",
                "content": ["history_visibility": .string(history)],
            ])
            body["initial_state"] = .array(state)
        }
        let answer = try await owner.client.call(APICall(.createRoom, body: body))
        let room = try RoomID(answer["room_id"]?.string ?? "")
        for other in others {
            _ = try await other.client.call(
                APICall(.joinRoom, ["roomIdOrAlias": room.text], query: [("via", owner.user.serverName.text)]))
        }
        let all = [owner] + others
        let users = Set(all.map(\.user))
        for device in all {
            try await until(device) { try await device.knows(users, in: room) }
        }
        return room
    }
}

extension FaultDevice {
    func knows(_ users: Set<UserID>, in room: RoomID) async throws -> Bool {
        let store = ClientStore(key: try StoreKey(Self.key), random: SystemRandomSource())
        return try await database.read { connection in
            guard try store.room(room, in: connection)?.membership == "join" else { return false }
            return users.isSubset(of: try store.members(of: room, ["join"], in: connection).map(\.user))
        }
    }
}
