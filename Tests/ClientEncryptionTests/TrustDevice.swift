import Cryptography
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine

@testable import ClientEncryption

/// A device with its machine and store on a `KeyServer`.
final class TrustDevice: Sendable {
    let user: UserID
    let device: DeviceID
    let server: KeyServer
    let database: SQLiteDatabase
    let machine: EncryptionMachine

    /// A device that has published its keys.
    init(_ user: String, _ device: String = "PHONE", on server: KeyServer) async throws {
        self.user = try UserID("@\(user):a")
        self.device = try DeviceID(device)
        self.server = server
        database = try SQLiteDatabase.inMemory()
        machine = EncryptionMachine(
            user: self.user, device: self.device, key: try StoreKey([UInt8](repeating: 7, count: 32)),
            random: SystemRandomSource(), now: { 1_700_000_000_000 })
        try await Migrator.migrate(database, EncryptionSchema.migrations, oldestCompatible: 1)
        try await write { machine, connection in try machine.begin(in: connection) }
        guard let upload = try await write({ try $0.keyUpload(in: $1) }) else { return }
        let answer = try call(upload.call)
        try await write { try $0.uploaded(upload, response: answer, in: $1) }
    }

    func call(_ call: APICall) throws -> JSONView {
        try JSONDocument(server.carryOut(call, user: user.text, device: device.text).serialized()).root
    }

    func write<R: Sendable>(
        _ work: @escaping @Sendable (EncryptionMachine, any SQLConnection) throws -> R
    ) async throws -> R {
        let machine = machine
        return try await database.write { try work(machine, $0) }
    }

    /// Takes in what the server has; the to-device events may be changed on the way.
    @discardableResult
    func sync(_ change: ([JSONValue]) -> [JSONValue] = { $0 }) async throws -> SyncOutcome {
        var response = server.sync(user: user.text, device: device.text)
        response["to_device"] = ["events": .array(change(response["to_device", "events"]?.elements ?? []))]
        let changes = SyncChanges(response: try JSONDocument(response.serialized()).root)
        return try await write { try $0.receive(changes, in: $1) }
    }

    /// Syncs and asks for the keys of these users, and for its own.
    @discardableResult
    func look(at others: TrustDevice...) async throws -> SyncOutcome {
        var outcome = try await sync()
        let users = others.map(\.user) + [user]
        try await write { try $0.track(users, in: $1) }
        while let query = try await write({ try $0.keyQuery(for: users, in: $1) }) {
            let answer = try call(query.call)
            let more = try await write { try $0.queried(query, response: answer, in: $1) }
            outcome.warnings += more.warnings
            outcome.changedIdentities += more.changedIdentities
        }
        return outcome
    }

    /// Publishes a new identity and signs this device.
    func makeIdentity() async throws {
        try await look()
        let upload = try await write { try $0.crossSigningUpload(in: $1) }
        _ = try call(upload)
        try await look()
        try await uploadSignatures()
        try await look()
    }

    /// Makes the Olm sessions with our other devices, or another user's.
    func claim(_ other: UserID? = nil) async throws {
        let user = other ?? user
        guard let claim = try await write({ try $0.keyClaim(for: [user], in: $1) }) else { return }
        let answer = try call(claim.call)
        _ = try await write { try $0.claimed(claim, response: answer, in: $1) }
    }

    /// Sends what waits for devices.
    func flush() async throws {
        while let messages = try await write({ try $0.waitingToDevice(in: $1) }) {
            _ = try call(messages.call)
            try await write { try $0.sent(messages, in: $1) }
        }
    }

    func uploadSignatures() async throws {
        while let upload = try await write({ try $0.signatureUpload(in: $1) }) {
            let answer = try call(upload.call)
            _ = try await write { try $0.signaturesUploaded(upload, response: answer, in: $1) }
        }
    }

    func known(_ other: TrustDevice) async throws -> KnownDevice? {
        let (user, device) = (other.user, other.device)
        return try await write { try $0.devices(of: user, in: $1) }.first { $0.device == device }
    }

    func isCrossSigned(_ other: TrustDevice) async throws -> Bool {
        guard let known = try await known(other) else { return false }
        return try await write { try $0.isCrossSigned(known, in: $1) }
    }

    func isVerified(_ other: TrustDevice) async throws -> Bool {
        let user = other.user
        return try await write { try $0.isVerified(user, in: $1) }
    }

    func change(of other: TrustDevice) async throws -> IdentityChange? {
        let user = other.user
        return try await write { try $0.identityChange(of: user, in: $1) }
    }

    /// Vouches for the identity that is shown, as if the two had compared.
    func vouch(for other: TrustDevice) async throws {
        let user = other.user
        try await write { machine, connection in
            guard let identity = try machine.identity(of: user, in: connection) else { return }
            try machine.vouch(for: user, master: identity.master, in: connection)
        }
        try await uploadSignatures()
        try await look(at: other)
    }

    func prepareRoomKey(for others: TrustDevice...) async throws {
        let users = others.map(\.user)
        let room = try RoomID("!room:a")
        let settings = RoomEncryptionSettings(JSONValue.object(["algorithm": "m.megolm.v1.aes-sha2"]))
        try await write { try $0.prepareRoomKey(for: room, recipients: users, settings: settings, in: $1) }
    }
}

extension EncryptionMachine {
    /// Signs a device of ours, as if its user had compared the keys that are known of it.
    func signOwnDevice(_ device: DeviceID, in connection: any SQLConnection) throws {
        guard let known = try knownDevice(user, device, in: connection) else { throw EncryptionError.cannotSign }
        try signOwnDevice(device, ed25519: known.ed25519, in: connection)
    }
}
