import ClientEncryption
import Cryptography
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization

/// A device with its machine and store, talking to a pretended server without a network.
final class PretendDevice: Sendable {
    let user: UserID
    let device: DeviceID
    let server: PretendServer
    let database: SQLiteDatabase
    let keyBytes: [UInt8]
    let machine: EncryptionMachine

    init(
        _ user: String, _ device: String = "PHONE", on server: PretendServer, database: SQLiteDatabase? = nil,
        keyBytes: [UInt8] = [UInt8](repeating: 7, count: 32), clock: PretendClock = PretendClock()
    ) async throws {
        self.user = try UserID("@\(user):a")
        self.device = try DeviceID(device)
        self.server = server
        self.keyBytes = keyBytes
        let isNew = database == nil
        self.database = try database ?? SQLiteDatabase.inMemory()
        machine = EncryptionMachine(
            user: self.user, device: self.device, key: try StoreKey(keyBytes), random: SystemRandomSource(),
            now: { clock.now })
        self.clock = clock
        if isNew {
            try await Migrator.migrate(self.database, EncryptionSchema.migrations, oldestCompatible: 1)
        }
        let machine = machine
        try await self.database.write { try machine.begin(in: $0) }
    }

    let clock: PretendClock

    func call(_ call: APICall) throws -> JSONView {
        let answer = server.carryOut(call.pathAndQuery, user: user.text, device: device.text, call.body)
        return try JSONDocument(answer.serialized()).root
    }

    func write<R: Sendable>(_ work: @escaping @Sendable (any SQLConnection) throws -> R) async throws -> R {
        try await database.write(work)
    }

    func upload() async throws {
        let machine = machine
        while let upload = try await write({ try machine.keyUpload(in: $0) }) {
            let answer = try call(upload.call)
            try await write { try machine.uploaded(upload, response: answer, in: $0) }
        }
    }

    /// Takes in what the server has; the to-device events may be changed on the way.
    @discardableResult
    func sync(_ change: ([JSONValue]) -> [JSONValue] = { $0 }) async throws -> SyncOutcome {
        var response = server.carryOut("/_matrix/client/v3/sync", user: user.text, device: device.text, [])
        response["to_device"] = ["events": .array(change(response["to_device", "events"]?.elements ?? []))]
        let machine = machine
        let changes = SyncChanges(response: try JSONDocument(response.serialized()).root)
        return try await write { try machine.receive(changes, in: $0) }
    }

    @discardableResult
    func query(_ users: [UserID]) async throws -> SyncOutcome {
        let machine = machine
        try await write { try machine.track(users, in: $0) }
        var outcome = SyncOutcome()
        while let query = try await write({ try machine.keyQuery(for: users, in: $0) }) {
            let answer = try call(query.call)
            let more = try await write { try machine.queried(query, response: answer, in: $0) }
            outcome.changedKeys += more.changedKeys
            outcome.warnings += more.warnings
        }
        return outcome
    }

    func claim(_ users: [UserID]) async throws -> SyncOutcome {
        let machine = machine
        var outcome = SyncOutcome()
        if let claim = try await write({ try machine.keyClaim(for: users, in: $0) }) {
            let answer = try call(claim.call)
            outcome = try await write { try machine.claimed(claim, response: answer, in: $0) }
        }
        return outcome
    }

    func flush() async throws {
        let machine = machine
        while let messages = try await write({ try machine.waitingToDevice(in: $0) }) {
            _ = try call(messages.call)
            try await write { try machine.sent(messages, in: $0) }
        }
    }

    static let room = "!room:a"
    private static let counter = Mutex(0)

    /// Does all that comes before a message to these users.
    func prepare(_ users: [UserID], _ settings: RoomEncryptionSettings = .standard) async throws {
        let machine = machine
        let room = try RoomID(Self.room)
        try await query(users + [user])
        _ = try await claim(users + [user])
        try await write { try machine.prepareRoomKey(for: room, recipients: users, settings: settings, in: $0) }
        try await flush()
    }

    /// The event as the server would give it to others.
    func say(
        _ text: String, to users: [UserID], _ settings: RoomEncryptionSettings = .standard
    ) async throws -> JSONValue {
        try await prepare(users, settings)
        return try await encrypt(text)
    }

    func encrypt(_ text: String) async throws -> JSONValue {
        let machine = machine
        let room = try RoomID(Self.room)
        let content = try await write {
            try machine.encrypt("m.room.message", ["body": .string(text), "msgtype": "m.text"], for: room, in: $0)
        }
        let number = Self.counter.withLock { counter in
            counter += 1
            return counter
        }
        return [
            "type": "m.room.encrypted", "event_id": .string("$\(number)"), "sender": .string(user.text),
            "origin_server_ts": 1, "content": content,
        ]
    }

    func read(_ event: JSONValue, room: String = PretendDevice.room) async throws -> String? {
        let machine = machine
        let view = try JSONDocument(event.serialized()).root
        let room = try RoomID(room)
        return try await write { try machine.decrypt(view, in: room, in: $0) }.content["body"]?.string
    }
}

/// A time that stands still until it is moved.
final class PretendClock: Sendable {
    private let milliseconds = Mutex<Int64>(1_700_000_000_000)

    /// Each look is a millisecond later.
    var now: Int64 {
        milliseconds.withLock { milliseconds in
            milliseconds += 1
            return milliseconds
        }
    }

    func advance(by step: Int64) { milliseconds.withLock { $0 += step } }
}

extension RoomEncryptionSettings {
    static let standard = RoomEncryptionSettings(JSONValue.object(["algorithm": "m.megolm.v1.aes-sha2"]))
}
