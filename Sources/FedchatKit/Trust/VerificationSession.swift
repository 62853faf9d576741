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
    private let client: Client
    private let target: VerificationTarget
    private let emit: @Sendable (VerificationStep) async throws -> Void
    private let turns = Turns()
    /// The id of the request, and the room that it was sent in.
    private var transaction: String?
    private var room: RoomID?
    private var machine: Verification?
    /// Devices that were asked and have not answered.
    private var asked: [DeviceID] = []
    private var askedUser: UserID?
    /// Whether it ended in success; nil before the end.
    private var outcome: Bool?

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
            try await follow(stream)
        } catch {
            await client.stopUpdates(id)
            await give(.cancel)
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
        guard machine?.isOver == false else { return }
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

    // MARK: Beginning

    private func begin() async throws {
        let now = client.machine.milliseconds
        switch target {
        case .user(let other):
            guard other != client.user else { throw ClientError.usage("to verify your own devices, name no user") }
            try await client.freshKeys(of: other)
            let room = try await client.verificationRoom(with: other, creating: true)
            let event = try await client.send(
                "m.room.message",
                [
                    "msgtype": "m.key.verification.request", "to": .string(other.text),
                    "from_device": .string(client.device.text),
                    "methods": .array(Verification.methods.map { .string($0) }),
                    "body": .string(
                        """
                        \(client.user) is requesting to verify your key, but your client does not support in-chat key \
                        verification. You will need to use legacy key verification to verify keys.
                        """),
                ], to: room)
            (self.room, transaction, askedUser) = (room, event.text, other)
            try await emit(.asked(other))
        case .device(let owner, let device): try await ask(owner, [device], at: now)
        case .ownDevices: try await ask(client.user, nil, at: now)
        case .incoming(let other):
            for message in await client.recentVerification(at: now) { try await take(message) }
            if transaction == nil, let other, other != client.user,
                let (event, room) = try await client.waitingRequest(of: other)
            {
                try await take(event, in: room)
            }
        }
    }

    private func ask(_ owner: UserID, _ devices: [DeviceID]?, at now: Int64) async throws {
        try await client.freshKeys(of: owner)
        let machine = client.machine
        let known = try await client.database.read { try machine.devices(of: owner, in: $0) }.map(\.device)
        let wanted = (devices ?? known).filter { !(owner == client.user && $0 == client.device) }
        guard !wanted.isEmpty, wanted.allSatisfy(known.contains) else {
            throw ClientError.notFound("a device of \(owner) to verify with")
        }
        let id = client.random.token(32)
        (transaction, askedUser, asked) = (id, owner, wanted)
        try await client.sendVerification(
            "request",
            [
                "from_device": .string(client.device.text), "transaction_id": .string(id),
                "methods": .array(Verification.methods.map { .string($0) }), "timestamp": .integer(now),
            ], to: owner, wanted)
        try await emit(.asked(owner))
    }

    // MARK: Messages

    private func take(_ update: ClientUpdate) async throws {
        for message in update.outcome.verification { try await take(message) }
        for (room, timeline) in update.timelines where self.room == room || isWaiting {
            for event in timeline.events { try await take(event, in: room) }
        }
    }

    private var isWaiting: Bool { if case .incoming = target { transaction == nil } else { false } }

    private func isWanted(_ sender: UserID) -> Bool {
        if case .incoming(let only) = target { only == nil || only == sender } else { false }
    }

    /// A message to this device.
    private func take(_ message: VerificationMessage) async throws {
        guard outcome == nil, let id = message.content["transaction_id"]?.string, id.utf8.count <= 255 else { return }
        if transaction == nil, isWaiting, isWanted(message.sender), message.type == "request" || message.type == "start"
        {
            guard message.type == "start" || isRecent(message.content["timestamp"]?.integer) else { return }
            transaction = id
            try await meet(message.sender, message.content, weRequested: false)
        }
        guard transaction == id, room == nil else { return }
        if machine == nil {
            guard message.sender == askedUser else { return }
            if message.type == "cancel" { return try await refused(message) }
            guard message.type == "ready" || message.type == "start" else { return }
            try await meet(message.sender, message.content, weRequested: true)
            try await tellOthers(.accepted)
        }
        guard machine?.them.user == message.sender else { return }
        try await on(.message(message.type, message.content))
    }

    /// An event of a room, decrypted if need be.
    private func take(_ event: JSONView, in room: RoomID) async throws {
        guard outcome == nil, event["state_key"] == nil,
            let sender = event["sender"]?.string.flatMap({ try? UserID($0) }),
            case .success(let readable) = try await client.read(event, in: room),
            let type = readable.event["type"]?.string, let content = readable.event["content"]
        else { return }
        if type == "m.room.message", content["msgtype"]?.string == "m.key.verification.request" {
            guard transaction == nil, isWaiting, isWanted(sender), sender != client.user,
                content["to"]?.string == client.user.text, isRecent(event["origin_server_ts"]?.integer),
                let id = event["event_id"]?.string
            else { return }
            (transaction, self.room) = (id, room)
            try await meet(sender, content, weRequested: false)
            try await on(.message("request", content))
        } else if type.hasPrefix("m.key.verification."), self.room == room,
            content["m.relates_to", "event_id"]?.string == transaction
        {
            let type = String(type.dropFirst("m.key.verification.".count))
            guard sender != client.user else {
                // Our own echo, or another device of ours that was faster.
                if type == "ready", content["from_device"]?.string != client.device.text, machine != nil {
                    machine = nil
                    try await end(.cancelled(VerificationCancellation(code: "m.accepted", byUs: false)))
                }
                return
            }
            if machine == nil {
                guard sender == askedUser, type == "ready" || type == "start" || type == "cancel" else { return }
                if type == "cancel" {
                    return try await end(
                        .cancelled(
                            VerificationCancellation(
                                code: String((content["code"]?.string ?? "m.unknown").prefix(64)), byUs: false)))
                }
                try await meet(sender, content, weRequested: true)
            }
            guard machine?.them.user == sender else { return }
            try await on(.message(type, content))
        }
    }

    /// Within ten minutes, and not of the future.
    private func isRecent(_ timestamp: Int64?) -> Bool {
        guard let timestamp else { return false }
        let now = client.machine.milliseconds
        return timestamp > now &- 600_000 && timestamp < now &+ 300_000
    }

    /// Fixes the keys of both sides.
    private func meet(_ sender: UserID, _ content: JSONValue, weRequested: Bool) async throws {
        guard let id = transaction, let device = content["from_device"]?.string.flatMap({ try? DeviceID($0) }),
            !(sender == client.user && device == client.device)
        else { return }
        try await client.freshKeys(of: sender)
        try await client.freshKeys(of: client.user)
        let encryption = client.machine
        let (us, them) = try await client.database.read { connection in
            (
                try encryption.ownParty(in: connection),
                try encryption.party(sender, device, in: connection)
            )
        }
        guard let them else { throw ClientError.notFound("the keys of \(sender)'s device \(device)") }
        asked.removeAll { $0 == device }
        // A start without a request names no methods, and means SAS.
        let methods = content["methods"]?.elements.compactMap(\.string) ?? [VerificationMethod.sas.rawValue]
        machine = Verification(
            transaction: id, isInRoom: room != nil, us: us, them: them, weRequested: weRequested, methods: methods,
            random: client.random, at: encryption.milliseconds)
    }

    private func refused(_ message: VerificationMessage) async throws {
        let code = String((message.content["code"]?.string ?? "m.unknown").prefix(64))
        try await tellOthers(.user)
        try await end(.cancelled(VerificationCancellation(code: code, byUs: false)))
    }

    /// Tells the devices that did not answer first.
    private func tellOthers(_ code: VerificationCancellation.Code) async throws {
        guard let owner = askedUser, let id = transaction, !asked.isEmpty else { return }
        let rest = asked
        asked = []
        try await client.sendVerification(
            "cancel",
            ["transaction_id": .string(id), "code": .string(code.rawValue), "reason": .string(code.reason)],
            to: owner, rest)
    }

    // MARK: Steps

    private func on(_ input: Verification.Input) async throws {
        if machine == nil, case .cancel = input, outcome == nil {
            if let room, let id = transaction {
                let code = VerificationCancellation.Code.user
                let content = Verification.content(
                    ["code": .string(code.rawValue), "reason": .string(code.reason)], of: id, isInRoom: true)
                _ = try await client.send("m.key.verification.cancel", content, to: room)
            }
            try await tellOthers(.user)
            return try await end(.cancelled(VerificationCancellation(code: "m.user", byUs: true)))
        }
        guard let actions = machine?.on(input, at: client.machine.milliseconds) else { return }
        for action in actions { try await carryOut(action) }
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

    private func end(_ step: VerificationStep) async throws {
        if case .done = step { outcome = true } else { outcome = false }
        try await emit(step)
    }
}
