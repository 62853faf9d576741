internal import ClientEncryption
internal import Logging
public import MatrixModel
internal import SQLDatabase

/// A verification that was under way when the process ended.
public struct InterruptedVerification: Sendable, Hashable {
    /// The other side.
    public let user: UserID
    /// When it began, in milliseconds since 1970.
    public let startedAt: Int64
}

/// Verifications outlive neither their session nor the process, but what was begun is written down, so that the other side
/// is told of the end.
extension Client {
    /// Begins one; false where another session has it, or it is over. Throws ``ClientError``: `usage`.
    func begin(_ verification: OpenVerification) async throws -> Bool {
        guard try ledger.begin(verification) else { return false }
        try await keepLedger()
        return true
    }

    /// It is settled that this device takes part.
    func noteMet(_ device: DeviceID, in transaction: String) async throws {
        ledger.meet(device, in: transaction)
        try await keepLedger()
    }

    /// It is over.
    func close(_ transaction: String) async throws {
        ledger.close(transaction)
        try await keepLedger()
    }

    /// Requests that came in the last ten minutes while nobody was verifying.
    func waitingVerifications(at now: Int64) -> [VerificationMessage] { ledger.requests(at: now) }

    /// Takes in messages to this device.
    func note(_ messages: [VerificationMessage]) {
        let now = machine.milliseconds
        for message in messages { ledger.take(message, at: now) }
    }

    private func keepLedger() async throws {
        let store = store
        try await ledgerTurns.hold {
            let stored = await self.ledger.stored
            try await self.database.write { try store.setValue(stored, "verifications", in: $0) }
        }
    }

    // MARK: After each sync

    /// Tells devices whose messages belong to no verification, or to somebody else's.
    func refuseVerifications() async throws {
        let machine = machine
        for refusal in ledger.takeRefusals() {
            // A message in the course of a verification does not say which device it came from.
            let devices: [DeviceID]
            if let device = refusal.device {
                devices = [device]
            } else {
                devices = try await database.read { try machine.devices(of: refusal.user, in: $0) }.map(\.device)
                    .filter { !(refusal.user == user && $0 == device) }
            }
            guard !devices.isEmpty else { continue }
            logger.notice("a verification message of \(refusal.user) was refused: \(refusal.code.rawValue)")
            try await cancelVerification(refusal.transaction, refusal.code, with: refusal.user, devices)
        }
    }

    /// Tells devices that a verification is over.
    func cancelVerification(
        _ transaction: String, _ code: VerificationCancellation.Code, with other: UserID, _ devices: [DeviceID]
    ) async throws {
        try await sendVerification(
            "cancel", Verification.cancellation(code, of: transaction, isInRoom: false), to: other, devices)
    }

    /// Cancels what was under way when the process before this one ended: what the other side says now belongs to nothing.
    func cancelInterrupted() async throws {
        guard !ledger.interrupted.isEmpty else { return }
        try await interruptionTurns.hold { try await self.cancelInterruptedInTurn() }
    }

    private func cancelInterruptedInTurn() async throws {
        let now = machine.milliseconds
        while let verification = ledger.interrupted.first {
            let age = now - verification.startedAt
            let code: VerificationCancellation.Code =
                age < ClientLimits.verificationMilliseconds ? .unknownTransaction : .timeout
            logger.warning("a verification with \(verification.user) was interrupted")
            // Who has not heard of it in a day has given up.
            if age < ClientLimits.interruptionMilliseconds { try await cancel(verification, code) }
            ledger.interrupted.removeFirst()
            ledger.close(verification.transaction)
            ledger.untold.append(verification)
            ledger.untold.removeFirst(max(0, ledger.untold.count - ClientLimits.openVerifications))
            try await keepLedger()
        }
    }

    private func cancel(_ verification: OpenVerification, _ code: VerificationCancellation.Code) async throws {
        guard let room = verification.room else {
            return try await cancelVerification(
                verification.transaction, code, with: verification.user, verification.devices)
        }
        do {
            _ = try await send(
                "m.key.verification.cancel",
                Verification.cancellation(code, of: verification.transaction, isInRoom: true), to: room)
        } catch let error as ClientError where !error.isTransient {
            // A room that was left since, say.
            logger.warning("an interrupted verification could not be cancelled: \(error)")
        }
    }

    /// Verifications that were under way when the process before this one ended, once: for the user, who is to begin anew.
    /// They have been cancelled. Throws ``ClientError``.
    public func interruptedVerifications() async throws -> [InterruptedVerification] {
        try await caughtUp()
        try await cancelInterrupted()
        let untold = ledger.untold
        guard !untold.isEmpty else { return [] }
        ledger.untold = []
        try await keepLedger()
        return untold.map { InterruptedVerification(user: $0.user, startedAt: $0.startedAt) }
    }
}
