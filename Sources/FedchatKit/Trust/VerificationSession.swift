public import ClientEncryption
internal import Cryptography
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// One verification from its request to its end: brings messages of devices and rooms to the machine, and what that wants
/// said to the other side.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
public actor VerificationSession {
    let client: Client
    let target: VerificationTarget
    let emit: @Sendable (VerificationStep) async throws -> Void
    private let turns = Turns()
    /// The id of the request, and the room that it was sent in.
    var transaction: String?
    var room: RoomID?
    var machine: Verification?
    /// Devices that were asked and have not answered.
    var asked: [DeviceID] = []
    var askedUser: UserID?
    /// Whether we asked, and when.
    var isOurs = false
    var askedAt: Int64?
    /// Whether it ended in success; nil before the end.
    var outcome: Bool?

    /// A verification that has not begun. Each step goes to `emit`, one after the other.
    public init(
        _ target: VerificationTarget, client: Client, emit: @escaping @Sendable (VerificationStep) async throws -> Void
    ) {
        self.client = client
        self.target = target
        self.emit = emit
    }

    /// Runs until the end. Returns whether it was a success. Throws ``ClientError`` and what `emit` throws.
    public func run() async throws -> Bool {
        try await client.caughtUp()
        let (id, stream) = await client.updates()
        do {
            try await begin()
            if outcome == nil { try await follow(stream) }
        } catch {
            await client.stopUpdates(id)
            await give(.cancel)
            if let transaction { try? await client.close(transaction) }
            throw error
        }
        await client.stopUpdates(id)
        return outcome ?? false
    }

    /// What the user says.
    public func say(_ input: Verification.Input) async throws {
        try await turns.hold { try await self.on(input) }
    }

    /// Gives up without telling the user.
    private func give(_ input: Verification.Input) async {
        guard outcome == nil, transaction != nil else { return }
        do { try await say(input) } catch { client.logger.warning("a verification was left: \(error)") }
    }

    private func follow(_ stream: AsyncStream<ClientUpdate>) async throws {
        let clock = client.clock
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await update in stream {
                    try await self.turns.hold { try await self.take(update) }
                    if await self.outcome != nil { return }
                }
            }
            group.addTask {
                while await self.outcome == nil {
                    try await clock.sleep(for: .milliseconds(500))
                    try await self.turns.hold { try await self.on(.tick) }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    // MARK: Steps

    func on(_ input: Verification.Input) async throws {
        if machine == nil, let transaction, outcome == nil {
            switch input {
            case .cancel: return try await giveUp(transaction, .user)
            case .tick:
                guard let askedAt, client.machine.milliseconds - askedAt >= ClientLimits.verificationMilliseconds else {
                    return
                }
                return try await giveUp(transaction, .timeout)
            default: return
            }
        }
        if machine == nil, case .cancel = input, outcome == nil {
            return try await end(.cancelled(VerificationCancellation(code: "m.user", byUs: true)))
        }
        guard let actions = machine?.on(input, at: client.machine.milliseconds) else { return }
        for action in actions { try await carryOut(action) }
    }

    /// Nobody has answered, and nobody need any more.
    private func giveUp(_ id: String, _ code: VerificationCancellation.Code) async throws {
        if let room {
            _ = try await client.send(
                "m.key.verification.cancel", Verification.cancellation(code, of: id, isInRoom: true), to: room)
        }
        try await tellOthers(code)
        try await end(.cancelled(VerificationCancellation(code: code.rawValue, byUs: true)))
    }

    private func carryOut(_ action: Verification.Action) async throws {
        guard let them = machine?.them else { return }
        switch action {
        case .send(let type, let content):
            if let room {
                _ = try await client.send("m.key.verification.\(type)", content, to: room)
            } else {
                try await client.sendVerification(type, content, to: them.user, [them.device])
            }
        case .askToAccept: try await emit(.requested(them.user, them.device))
        case .ready(let methods): try await emit(.ready(them.user, them.device, methods))
        case .compare(let code): try await emit(.compare(ComparedCode(code)))
        case .showQR(let bytes): try await emit(.showQR(bytes))
        case .confirmScan: try await emit(.confirmScan)
        case .verified(let keys): try await emit(.verified(try await client.keep(keys, of: them)))
        case .done: try await end(.done)
        case .cancelled(let cancellation): try await end(.cancelled(cancellation))
        }
    }

    func end(_ step: VerificationStep) async throws {
        if case .done = step { outcome = true } else { outcome = false }
        if let transaction { try await client.close(transaction) }
        try await emit(step)
    }
}
