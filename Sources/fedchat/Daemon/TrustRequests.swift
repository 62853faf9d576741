import ClientEncryption
import Cryptography
import FedchatKit
import Foundation
import MatrixModel
import Synchronization

/// What commands ask about identities, verification, recovery and backups.
struct TrustRequests: Sendable {
    let client: Client
    let verifications: ActiveVerifications

    /// nil for a method that is none of these.
    func answer(_ method: String, _ params: JSONValue, _ connection: DaemonConnection) async throws -> JSONValue? {
        switch method {
        case "cross-signing.status": return status(try await client.crossSigningStatus())
        case "cross-signing.bootstrap":
            return status(
                try await client.bootstrapCrossSigning(
                    password: params["password"]?.string, reset: params["reset"]?.bool ?? false))
        case "cross-signing.accept":
            try await client.acceptIdentity(of: try params.user("user"))
            return [:]
        case "recovery.create":
            return [
                "recovery_key": .string(try await client.createRecovery(passphrase: params["passphrase"]?.string))
            ]
        case "recovery.restore": return recovered(try await client.recover(params["key"]?.string ?? ""))
        case "dehydrate":
            return ["device_id": .string(try await client.dehydrate(params["key"]?.string ?? "").text)]
        case "backup.status":
            if params["complete"]?.bool == true { try await client.completeBackup() }
            return backup(try await client.backupStatus())
        case "backup.create": return ["version": .string(try await client.createBackup())]
        case "backup.restore": return restored(try await client.restoreBackup(key: params["key"]?.string))
        case "backup.delete":
            try await client.deleteBackup()
            return [:]
        case "keys.export", "keys.import": return try await keys(method, params)
        case "send.file": return try await FileRequests(client: client).send(params)
        case "download": return try await FileRequests(client: client).download(params)
        case "verify": return try await verify(params, connection)
        case "verify.say":
            try await say(params)
            return [:]
        default: return nil
        }
    }

    private func status(_ status: CrossSigningStatus) -> JSONValue {
        let keys = [
            status.hasMasterKey ? "master" : nil, status.hasSelfSigningKey ? "self_signing" : nil,
            status.hasUserSigningKey ? "user_signing" : nil,
        ].compactMap { $0 }
        return .fields([
            "master": status.master.map { .string($0) }, "trusted": .bool(status.isTrusted),
            "device_signed": .bool(status.isDeviceSigned), "private_keys": .array(keys.map { .string($0) }),
            "changed": status.change.map { .string($0.rawValue) },
        ])
    }

    private func recovered(_ recovered: Recovered) -> JSONValue {
        .fields([
            "secrets": .array(recovered.secrets.map { .string($0.rawValue) }),
            "refused": .array(recovered.refused.map { .string($0.rawValue) }),
            "backup": recovered.backup.map { restored($0) },
            "rehydrated": recovered.rehydrated.map { .integer(Int64($0)) },
        ])
    }

    private func restored(_ restoration: BackupRestoration) -> JSONValue {
        [
            "read": .integer(Int64(restoration.read)), "new": .integer(Int64(restoration.roomKeys.count)),
            "damaged": .integer(Int64(restoration.damaged)),
        ]
    }

    private func backup(_ status: BackupStatus) -> JSONValue {
        .fields([
            "version": status.version.map { .string($0) }, "trust": .string(status.trust.rawValue),
            "used": .bool(status.isUsed), "on_server": status.countOnServer.map { .integer($0) },
            "sessions": .integer(Int64(status.sessions)), "backed_up": .integer(Int64(status.backedUp)),
        ])
    }

    private func keys(_ method: String, _ params: JSONValue) async throws -> JSONValue {
        let (file, passphrase) = (try params.requiredString("file"), try params.requiredString("passphrase"))
        if method == "keys.export" {
            let (text, count) = try await client.exportKeys(passphrase: passphrase)
            try PrivateFile.write(Array(text.utf8), to: file)
            return ["count": .integer(Int64(count))]
        }
        guard let bytes = FileManager.default.contents(atPath: file), bytes.count <= 1 << 30 else {
            throw Failure("cannot read \(file)", Failure.Status.usage)
        }
        let (count, new) = try await client.importKeys(String(decoding: bytes, as: UTF8.self), passphrase: passphrase)
        return ["count": .integer(Int64(count)), "new": .integer(Int64(new))]
    }

    // MARK: Verification

    private func verify(_ params: JSONValue, _ connection: DaemonConnection) async throws -> JSONValue {
        let user = params["user"] == nil ? nil : try params.user("user")
        let device: DeviceID? = params["device"] == nil ? nil : try params.argument("device", "a device id")
        let target: VerificationTarget =
            if params["incoming"]?.bool == true {
                .incoming(user)
            } else if let device {
                .device(user ?? client.user, device)
            } else if let user, user != client.user {
                .user(user)
            } else {
                .ownDevices
            }
        for interrupted in try await client.interruptedVerifications() {
            let step: JSONValue = [
                "step": "interrupted", "user_id": .string(interrupted.user.text),
                "started_at": .integer(interrupted.startedAt),
            ]
            _ = await connection.write(RPC.notification("event", step))
        }
        let shown = LastCancellation()
        let (number, session) = await verifications.add { number in
            VerificationSession(target, client: client) { step in
                if case .cancelled(let cancellation) = step { shown.keep(cancellation) }
                guard await connection.write(RPC.notification("event", Self.json(step, number))) else {
                    throw CancellationError()
                }
            }
        }
        do {
            // When the command goes the other side is still told: this outlives it.
            let running = Task { try await session.run() }
            let isVerified = try await withTaskCancellationHandler {
                try await running.value
            } onCancel: {
                Task { try? await session.say(.cancel) }
            }
            await verifications.remove(number)
            let cancellation = shown.value
            let reason = cancellation.map {
                VerificationCancellation.Code(rawValue: $0.code)?.reason ?? $0.code
            }
            return .fields([
                "verified": .bool(isVerified), "code": cancellation.map { .string($0.code) },
                "reason": reason.map { .string($0) },
            ])
        } catch {
            await verifications.remove(number)
            throw error
        }
    }

    private func say(_ params: JSONValue) async throws {
        guard let session = await verifications.session(try params.requiredInteger("verification")) else {
            throw Failure("the verification is over", Failure.Status.notFound)
        }
        switch params["say"]?.string {
        case "accept": try await session.say(.accept)
        case "sas": try await session.say(.startSAS)
        case "qr": try await session.say(.showQR)
        case "yes": try await session.say(.matches(true))
        case "no": try await session.say(.matches(false))
        case "scan":
            let text = (params["text"]?.string ?? "").filter { !$0.isWhitespace }
            try await session.say(.scanned(Base64.decode(text) ?? []))
        default: try await session.say(.cancel)
        }
    }

    private static func json(_ step: VerificationStep, _ number: Int64) -> JSONValue {
        var json: JSONValue
        switch step {
        case .asked(let user): json = ["step": "asked", "user_id": .string(user.text)]
        case .requested(let user, let device):
            json = ["step": "requested", "user_id": .string(user.text), "device_id": .string(device.text)]
        case .ready(let user, let device, let methods):
            json = [
                "step": "ready", "user_id": .string(user.text), "device_id": .string(device.text),
                "methods": .array(methods.map { .string($0.rawValue) }),
            ]
        case .compare(let code):
            json = [
                "step": "compare", "decimal": .array(code.decimals.map { .integer(Int64($0)) }),
                "emoji": .array(
                    code.emoji.map { ["symbol": .string($0.symbol), "name": .string($0.name)] }),
            ]
        case .showQR(let bytes): json = ["step": "qr", "qr": .string(Base64.encode(bytes))]
        case .confirmScan: json = ["step": "confirm_scan"]
        case .verified(let effects):
            json = ["step": "verified", "effects": .array(effects.map(\.rawValue).sorted().map { .string($0) })]
        case .done: json = ["step": "done"]
        case .cancelled(let cancellation):
            let code = VerificationCancellation.Code(rawValue: cancellation.code)
            json = [
                "step": "cancelled", "code": .string(cancellation.code), "by_us": .bool(cancellation.byUs),
                "reason": .string(code?.reason ?? cancellation.code),
            ]
        }
        json["verification"] = .integer(number)
        return json
    }
}

/// Why a verification ended, as its steps told.
private final class LastCancellation: Sendable {
    private let kept = Mutex<VerificationCancellation?>(nil)

    var value: VerificationCancellation? { kept.withLock { $0 } }

    func keep(_ cancellation: VerificationCancellation) { kept.withLock { $0 = cancellation } }
}
