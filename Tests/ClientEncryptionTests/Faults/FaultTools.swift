import Cryptography
import MatrixAPI
import MatrixModel
import Ratchet
import SQLDatabase
import SQLiteEngine
import Synchronization

@testable import ClientEncryption
@testable import FedchatKit

/// A value that is set later.
final class Kept<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    func set(_ new: Value) { value.withLock { $0 = new } }
    func get() -> Value? { value.withLock { $0 } }
}

/// True so many times.
final class Countdown: Sendable {
    private let left: Mutex<Int>
    init(_ count: Int) { left = Mutex(count) }
    var isNotOver: Bool {
        left.withLock { left in
            left -= 1
            return left >= 0
        }
    }
}

/// To-device messages that a server keeps.
final class KeptEvents: Sendable {
    private let kept = Mutex<[JSONValue]>([])

    func holdBack(_ answer: JSONValue) -> JSONValue {
        var answer = answer
        let events = answer["to_device", "events"]?.elements ?? []
        kept.withLock { $0 += events }
        answer["to_device"] = ["events": []]
        return answer
    }

    func release(into answer: JSONValue) -> JSONValue {
        var answer = answer
        let events = answer["to_device", "events"]?.elements ?? []
        let all = kept.withLock { kept in
            defer { kept = [] }
            return kept + events
        }
        answer["to_device"] = ["events": .array(all)]
        return answer
    }

    /// All so far, the newest first.
    func repeated(_ answer: JSONValue) -> JSONValue {
        var answer = answer
        let events = answer["to_device", "events"]?.elements ?? []
        let all = kept.withLock { kept in
            kept += events
            return kept
        }
        answer["to_device"] = ["events": .array(all.reversed())]
        return answer
    }
}

extension FaultDevice {
    func discard(_ room: RoomID) async throws {
        let machine = client.machine
        try await database.write { try machine.discardRoomKey(of: room, in: $0) }
    }

    func devices(of user: UserID) async throws -> [DeviceID] {
        let machine = client.machine
        return try await database.read { try machine.devices(of: user, in: $0) }.map(\.device)
    }

    func noteChanged(_ user: UserID) async throws {
        let machine = client.machine
        try await database.write { try machine.noteChangedUsers([user], in: $0) }
    }

    func ownDeviceKeys() async throws -> JSONValue {
        let machine = client.machine
        return try await database.read { machine.deviceKeys(try machine.account(in: $0)) }
    }

    /// Keys under this device's name, rightly signed, that are not its own.
    func forgedKeys() -> JSONValue {
        let account = OlmAccount(random: SystemRandomSource())
        return client.machine.deviceKeys(account)
    }

    /// Somebody hands this device a key for the session of the room's message, which is none.
    func takeWrongKey(of room: RoomID) async throws {
        let machine = client.machine
        try await database.write { connection in
            for row in try connection.query("SELECT session_id FROM unread_events WHERE room_id = \(room.text)") {
                let session = try row.text(0)
                guard let key = Base64.decode(session) else { continue }
                let wrong = [1, 0, 0, 0, 0] + SystemRandomSource().bytes(128) + key
                let view = try JSONDocument(
                    JSONValue.object([
                        "algorithm": "m.megolm.v1.aes-sha2", "room_id": .string(room.text),
                        "session_id": .string(session), "session_key": .string(Base64.encode(wrong)),
                        "sender_key": .string(Base64.encode(SystemRandomSource().bytes(32))),
                        "sender_claimed_keys": ["ed25519": "x"],
                    ]).serialized()
                ).root
                _ = try machine.importRoomKeys([view], from: .bundle, vouchedBy: "@mallory:a.test", in: connection)
            }
        }
    }
}

extension FaultDevice {
    private func query() async throws {
        let (client, user) = (client, user)
        try await noteChanged(user)
        try await client.keyTurns.hold { try await client.queryKeys(for: [user]) }
    }

    private func sign() async throws {
        let machine = client.machine
        while let upload = try await database.write({ try machine.signatureUpload(in: $0) }) {
            let answer = try await client.call(upload.call)
            _ = try await database.write { try machine.signaturesUploaded(upload, response: answer, in: $0) }
        }
        try await query()
    }

    /// Makes the user's cross-signing keys, and signs this device.
    func makeIdentity() async throws {
        let machine = client.machine
        try await query()
        let upload = try await database.write { try machine.crossSigningUpload(in: $0) }
        _ = try await client.call(upload)
        try await query()
        try await sign()
    }

    /// This device and another of the same user verify each other.
    func verify(_ other: FaultDevice) async throws {
        try await query()
        let (machine, name) = (client.machine, other.device)
        try await database.write { try machine.signOwnDevice(name, in: $0) }
        try await sign()
        try await other.query()
        let theirs = other.client.machine
        let user = user
        try await other.database.write { connection in
            guard let own = try theirs.identity(of: user, in: connection) else { return }
            try theirs.trustOwnIdentity(master: own.master, in: connection)
        }
    }

    /// Invites somebody as `fedchat invite` does.
    func invite(_ other: FaultDevice, to room: RoomID) async throws {
        try await client.invite(other.user, to: room)
    }
}
