internal import ClientEncryption
internal import Cryptography
internal import MatrixModel
internal import SQLDatabase

/// How a verification begins: somebody has asked already, or we ask.
extension VerificationSession {
    func begin() async throws {
        let now = client.machine.milliseconds
        switch target {
        case .user(let other):
            guard other != client.user else { throw ClientError.usage("to verify your own devices, name no user") }
            if try await takesWaiting(of: other, at: now) { return }
            try await askInRoom(other, at: now)
        case .device(let owner, let device):
            if try await takesWaiting(of: nil, at: now) { return }
            try await ask(owner, [device], at: now)
        case .ownDevices:
            if try await takesWaiting(of: nil, at: now) { return }
            try await ask(client.user, nil, at: now)
        case .incoming(let other):
            _ = try await takesWaiting(of: other == client.user ? nil : other, at: now)
        }
    }

    /// Whether somebody with whom we want to verify has asked already, and waits: then that is taken.
    /// - Parameter other: whose requests in rooms are looked for.
    private func takesWaiting(of other: UserID?, at now: Int64) async throws -> Bool {
        for message in await client.waitingVerifications(at: now) { try await take(message) }
        if transaction == nil, let other, let (event, room) = try await client.waitingRequest(of: other) {
            try await take(event, in: room)
        }
        return transaction != nil
    }

    private func askInRoom(_ other: UserID, at now: Int64) async throws {
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
        self.room = room
        try await asks(event.text, other, [], at: now)
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
        try await asks(id, owner, wanted, at: now)
        try await client.sendVerification(
            "request",
            [
                "from_device": .string(client.device.text), "transaction_id": .string(id),
                "methods": .array(Verification.methods.map { .string($0) }), "timestamp": .integer(now),
            ], to: owner, wanted)
    }

    private func asks(_ id: String, _ owner: UserID, _ devices: [DeviceID], at now: Int64) async throws {
        (transaction, askedUser, asked, isOurs, askedAt) = (id, owner, devices, true, now)
        _ = try await client.begin(
            OpenVerification(
                transaction: id, room: room, user: owner, devices: devices, isOurs: true, isMet: false, startedAt: now))
        try await emit(.asked(owner))
    }
}
