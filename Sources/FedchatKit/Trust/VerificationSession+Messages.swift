internal import ClientEncryption
internal import Logging
internal import MatrixModel
internal import SQLDatabase

/// What the other side says.
extension VerificationSession {
    func take(_ update: ClientUpdate) async throws {
        for message in update.outcome.verification { try await take(message) }
        for (room, timeline) in update.timelines where self.room == room || isWaiting {
            for event in timeline.events { try await take(event, in: room) }
        }
    }

    private var isWaiting: Bool { if case .incoming = target { transaction == nil } else { false } }

    private func wants(_ sender: UserID, _ device: DeviceID) -> Bool {
        switch target {
        case .incoming(let only): only == nil || only == sender
        case .user(let other): other == sender
        case .device(let owner, let wanted): owner == sender && wanted == device
        case .ownDevices: sender == client.user
        }
    }

    /// Of two who ask each other at once the smaller's request counts, as of two starts.
    private func yields(to sender: UserID, _ device: DeviceID) -> Bool {
        sender == client.user
            ? device.text.utf8.lexicographicallyPrecedes(client.device.text.utf8)
            : sender.text.utf8.lexicographicallyPrecedes(client.user.text.utf8)
    }

    /// A message to this device.
    func take(_ message: VerificationMessage) async throws {
        guard outcome == nil, let id = message.content["transaction_id"]?.string, id.utf8.count <= 255 else { return }
        guard id == transaction else { return try await takeOther(message, id) }
        guard room == nil else { return }
        if let machine, message.type == "ready", machine.them.user == message.sender, let device = message.device,
            device != machine.them.device
        {
            // It was slower; our word that another one was faster has perhaps not come yet.
            return try await client.cancelVerification(id, .accepted, with: message.sender, [device])
        }
        if machine == nil {
            guard message.sender == askedUser else { return }
            if message.type == "cancel" { return try await refused(message) }
            guard message.type == "ready" || message.type == "start" else { return }
            try await meet(message.sender, message.content)
            try await tellOthers(.accepted)
        }
        guard machine?.them.user == message.sender else { return }
        try await on(.message(message.type, message.content))
    }

    /// A message that names another verification than ours: a request, or a start without one.
    private func takeOther(_ message: VerificationMessage, _ id: String) async throws {
        guard let device = message.device, message.type == "request" || message.type == "start" else { return }
        let sender = message.sender
        if let machine {
            // Who tries more than once is refused altogether; the new attempt is refused where it came in.
            guard machine.them.user == sender, machine.them.device == device, room == nil, !isOurs else { return }
            return try await on(.fail(.unexpectedMessage))
        }
        guard wants(sender, device), message.type == "start" || isRecent(message.content["timestamp"]?.integer) else {
            return
        }
        if transaction != nil {
            guard room == nil, asked.contains(device), yields(to: sender, device) else { return }
            try await withdraw()
        }
        guard try await claim(id, sender, device),
            try await canMeet(sender, message.content, requestedAt: message.content["timestamp"]?.integer)
        else { return }
        try await on(.message(message.type, message.content))
    }

    /// An event of a room, decrypted if need be.
    func take(_ event: JSONView, in room: RoomID) async throws {
        guard outcome == nil, event["state_key"] == nil,
            let sender = event["sender"]?.string.flatMap({ try? UserID($0) }),
            case .success(let readable) = try await client.read(event, in: room),
            let type = readable.event["type"]?.string, let content = readable.event["content"]
        else { return }
        if type == "m.room.message", content["msgtype"]?.string == "m.key.verification.request" {
            guard sender != client.user, content["to"]?.string == client.user.text,
                isRecent(event["origin_server_ts"]?.integer), let id = event["event_id"]?.string, id != transaction,
                let device = content["from_device"]?.string.flatMap({ try? DeviceID($0) })
            else { return }
            try await takeRequest(id, content, of: sender, device, in: room, at: event["origin_server_ts"]?.integer)
        } else if type.hasPrefix("m.key.verification."), self.room == room,
            content["m.relates_to", "event_id"]?.string == transaction
        {
            let type = String(type.dropFirst("m.key.verification.".count))
            try await take(type, content, of: sender, readable)
        }
    }

    private func takeRequest(
        _ id: String, _ content: JSONValue, of sender: UserID, _ device: DeviceID, in room: RoomID, at time: Int64?
    ) async throws {
        if let machine {
            guard self.room == room, machine.them.user == sender, machine.them.device == device else { return }
            let refusal = Verification.cancellation(.unexpectedMessage, of: id, isInRoom: true)
            try await client.close(id)
            _ = try await client.send("m.key.verification.cancel", refusal, to: room)
            if !isOurs { try await on(.fail(.unexpectedMessage)) }
            return
        }
        guard wants(sender, device) else { return }
        if transaction != nil {
            guard self.room == room, yields(to: sender, device) else { return }
            try await withdraw()
        }
        self.room = room
        guard try await claim(id, sender, device) else {
            self.room = nil
            return
        }
        guard try await canMeet(sender, content, requestedAt: time) else { return }
        try await on(.message("request", content))
    }

    /// A message of our verification, in its room.
    private func take(
        _ type: String, _ content: JSONValue, of sender: UserID, _ event: TimelineEvent
    ) async throws {
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
            try await meet(sender, content)
        }
        guard let machine, machine.them.user == sender else { return }
        // Another device of theirs that answered, too, and has not seen yet that it was slower.
        if case .decrypted(let origin) = event.encryption, let device = origin.device, device != machine.them.device,
            type != "cancel"
        {
            return
        }
        try await on(.message(type, content))
    }

    /// Within ten minutes, and not of the future.
    private func isRecent(_ timestamp: Int64?) -> Bool {
        guard let timestamp else { return false }
        let now = client.machine.milliseconds
        return timestamp > now &- ClientLimits.verificationMilliseconds && timestamp < now &+ 300_000
    }

    /// Takes a request, unless another session has.
    private func claim(_ id: String, _ sender: UserID, _ device: DeviceID) async throws -> Bool {
        let isNew = try await client.begin(
            OpenVerification(
                transaction: id, room: room, user: sender, devices: [device], isOurs: false, isMet: true,
                startedAt: client.machine.milliseconds))
        if isNew { (transaction, isOurs) = (id, false) }
        return isNew
    }

    /// Takes our request back: theirs counts.
    private func withdraw() async throws {
        guard let id = transaction else { return }
        if let room {
            _ = try await client.send(
                "m.key.verification.cancel", Verification.cancellation(.user, of: id, isInRoom: true), to: room)
        }
        try await tellOthers(.user)
        try await client.close(id)
        (transaction, room, askedUser, askedAt) = (nil, nil, nil, nil)
    }

    /// Meets whoever asks. Anybody can ask as a device that is on no list: that ends nothing for who waits for somebody else.
    private func canMeet(_ sender: UserID, _ content: JSONValue, requestedAt: Int64?) async throws -> Bool {
        do {
            try await meet(sender, content, requestedAt: requestedAt)
            if machine != nil { return true }
        } catch ClientError.notFound(let what) {
            client.logger.notice("a request to verify is passed over: not found: \(what)")
        } catch EncryptionError.mismatch(let rule) {
            client.logger.notice("a request to verify is passed over: \(rule)")
        }
        if let id = transaction { try await client.close(id) }
        (transaction, room) = (nil, nil)
        return false
    }

    /// Fixes the keys of both sides.
    private func meet(_ sender: UserID, _ content: JSONValue, requestedAt: Int64? = nil) async throws {
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
        try await client.noteMet(device, in: id)
        // A start without a request names no methods, and means SAS.
        let methods = content["methods"]?.elements.compactMap(\.string) ?? [VerificationMethod.sas.rawValue]
        machine = Verification(
            transaction: id, isInRoom: room != nil, us: us, them: them, weRequested: isOurs, methods: methods,
            random: client.random, requestedAt: requestedAt, at: encryption.milliseconds)
    }

    private func refused(_ message: VerificationMessage) async throws {
        let code = String((message.content["code"]?.string ?? "m.unknown").prefix(64))
        try await tellOthers(.user)
        try await end(.cancelled(VerificationCancellation(code: code, byUs: false)))
    }

    /// Tells the devices that did not answer first.
    func tellOthers(_ code: VerificationCancellation.Code) async throws {
        guard let owner = askedUser, let id = transaction, !asked.isEmpty else { return }
        let rest = asked
        asked = []
        try await client.cancelVerification(id, code, with: owner, rest)
    }
}
