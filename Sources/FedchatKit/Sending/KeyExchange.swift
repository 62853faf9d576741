internal import ClientEncryption
internal import Logging
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// The calls that encryption needs. Each is made within `keyTurns`.
extension Client {
    /// Uploads keys that are due; nothing else needs to wait for it.
    func uploadKeys() async throws {
        let machine = machine
        // Read first: an upload is seldom due.
        if try await database.read({ try machine.owesKeys(in: $0) }) {
            _ = try await upload { try machine.keyUpload(in: $0) }
        }
        // The second tells of the keys that were in the first.
        for _ in 0..<2 {
            guard try await database.read({ try machine.owesHybridKeys(in: $0) }),
                try await upload({ try machine.hybridKeyUpload(in: $0) })
            else { return }
        }
    }

    /// Where the server has other keys under the same names, since this store was put back to an earlier state, names are
    /// skipped until it takes them. Returns whether there was something to upload.
    private func upload(_ due: @escaping @Sendable (any SQLConnection) throws -> KeyUpload?) async throws -> Bool {
        let machine = machine
        for _ in 0..<ClientLimits.keyUploads {
            guard let upload = try await database.write({ try due($0) }) else { return false }
            do {
                let answer = try await call(upload.call)
                try await database.write { try machine.uploaded(upload, response: answer, in: $0) }
                return true
            } catch ClientError.server(let refusal) where refusal.isOfContent(isOptional: upload.isOptional) {
                guard try await database.write({ try machine.refused(upload, in: $0) }) else {
                    guard upload.isOptional else { throw ClientError.server(refusal) }
                    logger.warning("the server does not take post-quantum keys: \(refusal.code.text)")
                    return true
                }
                logger.warning("the server has other keys under our names: \(refusal.code.text)")
            }
        }
        return true
    }

    /// Asks for devices until all are known that can be.
    func queryKeys(for users: [UserID]?) async throws {
        let machine = machine
        for _ in 0..<64 {
            guard let query = try await database.read({ try machine.keyQuery(for: users, in: $0) }) else { return }
            let answer = try await call(query.call)
            report(try await database.write { try machine.queried(query, response: answer, in: $0) })
            // Whoever waits for something looks again: there may be notices.
            announce(ClientUpdate())
        }
    }

    /// Makes the Olm sessions that are missing.
    func claimKeys(for users: [UserID], _ purpose: RoomKeyPurpose = .messages) async throws {
        let machine = machine
        for _ in 0..<64 {
            guard
                let claim = try await database.read({ try machine.keyClaim(for: users, purpose: purpose, in: $0) })
            else { return }
            let answer = try await self.answer(to: claim)
            report(try await database.write { try machine.claimed(claim, response: answer, in: $0) })
        }
    }

    /// A server that does not know encapsulation keys gives none.
    private func answer(to claim: KeyClaim) async throws -> JSONView {
        do { return try await call(claim.call) } catch ClientError.server(let refusal)
            where claim.isForEncapsulationKeys && refusal.isOfContent(isOptional: true)
        {
            logger.warning("the server gives no post-quantum keys: \(refusal.code.text)")
            return try JSONDocument(Array("{}".utf8)).root
        }
    }

    /// Sends what waits for devices, in order.
    func flushToDevice() async throws {
        let machine = machine
        while let messages = try await database.read({ try machine.waitingToDevice(in: $0) }) {
            do { _ = try await call(messages.call) } catch let error as ClientError where error.isLasting {
                // It would be refused for ever, and keep all others back. Who misses a key asks for it.
                logger.warning("to-device messages were refused", metadata: ["error": "\(error)"])
            }
            try await database.write { try machine.sent(messages, in: $0) }
        }
    }

    /// Those in the room none of whose devices could be given the key of our last messages yet.
    public func unreachedUsers(in room: RoomID) async throws -> [UserID] {
        let machine = machine
        return try await database.read { try machine.unreachedUsers(of: room, in: $0) }
    }

    /// Gives the keys of past messages to those whose devices could not be reached then.
    func payOwedKeys() async throws {
        let (store, machine) = (store, machine)
        var failure: (any Error)?
        for room in try await database.read({ try machine.roomsWithOwedKeys(in: $0) }) {
            guard let summary = try await database.read({ try store.room(room, in: $0) }),
                summary.membership == "join", let settings = summary.encryptionSettings
            else { continue }
            do { try await prepareRoomKey(of: summary, settings) } catch let error as EncryptionError {
                // Another room may have nobody whose keys have changed.
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Sees to it that all who should read the next messages of the room can.
    func prepareRoomKey(
        of summary: RoomSummary, _ settings: RoomEncryptionSettings, _ purpose: RoomKeyPurpose = .messages
    ) async throws {
        let (store, machine) = (store, machine)
        let room = summary.room
        try await settleDoubt(about: room)
        try await keyTurns.hold {
            let recipients = try await self.database.write { connection in
                let users = try store.recipients(in: summary, connection)
                try machine.track(users, in: connection)
                return users
            }
            try await self.queryKeys(for: recipients)
            try await self.claimKeys(for: recipients, purpose)
            try await self.database.write {
                try machine.prepareRoomKey(
                    for: room, recipients: recipients, settings: settings, purpose: purpose, in: $0)
            }
            try await self.flushToDevice()
        }
    }
}

extension MatrixError {
    /// Whether the server will not have it, however often it is asked.
    fileprivate func isOfContent(isOptional: Bool) -> Bool {
        status == 400 || (isOptional && [403, 404, 405, 413].contains(status))
    }
}

extension Client {
    /// Publishes this device's keys, so that others can write to it. Part of a login.
    public func publishKeys() async throws {
        try await keyTurns.hold { try await self.uploadKeys() }
    }
}
