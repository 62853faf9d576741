internal import ClientEncryption
internal import Cryptography
internal import Logging
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

extension Client {
    /// Sends a message, encrypted where the room is. It is in the store before anything else happens, keeps its
    /// transaction id, and survives a crash; messages of a room go out in the order in which they were accepted.
    ///
    /// One that is worth nothing after a time, `within`, is sent within it or never: it does not wait for a server that
    /// cannot be reached, nor for the next start.
    ///
    /// One that is `encryptedOnly` is sent encrypted or not at all. So is what was accepted while the room was encrypted.
    ///
    /// Throws ``ClientError``: `queued` if the server cannot be reached now, `encryption(.changedKey)` if a device shows
    /// other keys than before, `notFound` for a room we are not in, `expired` for what was not sent within its time,
    /// `notEncrypted` for what may only be sent encrypted.
    public func send(
        _ type: String, _ content: JSONValue, to room: RoomID, within life: Duration? = nil,
        encryptedOnly: Bool = false
    ) async throws -> EventID {
        guard content.serialized().count <= ClientLimits.contentBytes else {
            throw ClientError.usage("the message is too long: at most \(ClientLimits.contentBytes) bytes")
        }
        try await caughtUp()
        let (store, transaction) = (store, random.token(24))
        guard let summary = try await database.read({ try store.room(room, in: $0) }), summary.membership == "join"
        else { throw ClientError.notFound("\(room): you are not in this room") }
        guard summary.isEncrypted || !encryptedOnly else { throw ClientError.notEncrypted(room) }
        expected[transaction] = room
        defer { expected[transaction] = nil }
        let expiresAt = life.map { now() + $0.wholeMilliseconds }
        try await database.groupedWrite {
            try store.enqueue(
                type, content, to: room, transactionID: transaction, expiresAt: expiresAt,
                encryptedOnly: summary.isEncrypted, in: $0)
        }
        if draining.insert(room).inserted { await drain(room) } else { grown.insert(room) }
        if let outcome = outcomes.removeValue(forKey: transaction) { return try outcome.get() }
        guard draining.contains(room) else { throw ClientError.queued("the server cannot be reached") }
        return try await withCheckedThrowingContinuation { waiters[transaction] = $0 }
    }

    /// What a crash or an absent server has left.
    func sendLeftOver() async throws {
        let store = store
        for room in try await database.read({ try store.roomsWithQueue(in: $0) })
        where draining.insert(room).inserted {
            await drain(room)
        }
    }

    /// Sends all that waits for the room. One task at a time does this per room; whoever else has a message for it waits.
    private func drain(_ room: RoomID) async {
        let store = store
        var isStopped = false
        repeat {
            grown.remove(room)
            do {
                while !isStopped {
                    let batch = try await database.read { try store.queued(for: room, in: $0) }
                    guard let first = batch.first else { break }
                    // What is refused for some is not for the others.
                    let alike = Array(batch.prefix { $0.encryptedOnly == first.encryptedOnly })
                    isStopped = try await !send(alike, to: room)
                }
            } catch {
                logger.warning("sending failed", metadata: ["error": "\(error)"])
                isStopped = true
            }
            if isStopped {
                failWaiting(in: room)
                try? await database.groupedWrite { try store.dequeueExpiring(in: room, $0) }
            }
        } while grown.contains(room) && !isStopped
        draining.remove(room)
    }

    /// - Returns: whether to go on.
    private func send(_ batch: [QueuedMessage], to room: RoomID) async throws -> Bool {
        let now = now()
        let expired = batch.filter { $0.expiresAt ?? .max <= now }
        for message in expired { try await finish(message, .failure(ClientError.expired), forGood: true) }
        guard expired.isEmpty else { return true }
        let prepared: [QueuedMessage]
        do {
            prepared = try await encrypted(batch, for: room)
        } catch {
            let isLasting = !((error as? ClientError)?.isTransient ?? false)
            for message in batch { try await finish(message, .failure(error), forGood: isLasting) }
            return isLasting
        }
        for (position, message) in prepared.enumerated() {
            guard let wire = message.wire else { continue }
            do {
                var call = APICall(
                    .sendMessage,
                    ["roomId": room.text, "eventType": wire.type, "txnId": message.transactionID])
                call.body = wire.content
                let answer = try await self.call(call)
                try await finish(message, .success(try answer.requiredIdentifier("event_id")), forGood: true)
            } catch let error as ClientError where error.isTransient {
                for rest in prepared[position...] {
                    try await finish(rest, .failure(error.whileQueued), forGood: false)
                }
                return false
            } catch ClientError.notLoggedIn {
                for rest in prepared[position...] {
                    try await finish(rest, .failure(ClientError.notLoggedIn), forGood: false)
                }
                return false
            } catch {
                try await finish(message, .failure(error), forGood: true)
            }
        }
        return true
    }

    /// One key for all that wait, one commit for all ciphertexts; only then does any leave.
    private func encrypted(_ batch: [QueuedMessage], for room: RoomID) async throws -> [QueuedMessage] {
        guard batch.contains(where: { $0.wire == nil }) else {
            try await keyTurns.hold { try await self.flushToDevice() }
            return batch
        }
        for _ in 0..<ClientLimits.preparations {
            let summary = try await summary(of: room)
            guard let settings = summary.encryptionSettings else { break }
            try await prepareRoomKey(of: summary, settings)
            if let result = try await encryptedOnce(batch, for: room, checking: true) { return result }
        }
        // Members come and go faster than they can be asked for; who came last gets the key with the next message.
        return try await encryptedOnce(batch, for: room, checking: false) ?? []
    }

    private func summary(of room: RoomID) async throws -> RoomSummary {
        let store = store
        guard let summary = try await database.read({ try store.room(room, in: $0) }) else {
            throw ClientError.notFound("\(room)")
        }
        return summary
    }

    /// nil if members or devices have changed since the key was prepared, and `checking`.
    private func encryptedOnce(
        _ batch: [QueuedMessage], for room: RoomID, checking: Bool
    ) async throws -> [QueuedMessage]? {
        let (store, machine) = (store, machine)
        return try await database.write { connection in
            guard let summary = try store.room(room, in: connection) else { throw ClientError.notFound("\(room)") }
            let settings = summary.encryptionSettings
            guard settings != nil || !batch.contains(where: { $0.encryptedOnly && $0.wire == nil }) else {
                throw ClientError.notEncrypted(room)
            }
            if checking, let settings {
                let recipients = try store.recipients(in: summary, connection)
                guard try machine.isPrepared(for: room, recipients: recipients, settings: settings, in: connection)
                else { return nil }
            }
            var result = batch
            for index in batch.indices where batch[index].wire == nil {
                let message = batch[index]
                var wire = (type: message.type, content: message.content.serialized())
                if let settings {
                    guard try machine.canEncrypt(1, for: room, settings: settings, in: connection) else {
                        // The session is spent; the rest goes with the next.
                        return Array(result[..<index])
                    }
                    var content = try machine.encrypt(message.type, message.content, for: room, in: connection)
                    // Relations stay readable: servers need them.
                    if let relation = message.content["m.relates_to"] { content["m.relates_to"] = relation }
                    wire = ("m.room.encrypted", content.serialized())
                }
                try store.setWire(wire.type, wire.content, of: message, in: connection)
                result[index].wire = wire
            }
            return result
        }
    }

    /// Tells who waits. What is done for good leaves the queue.
    private func finish(
        _ message: QueuedMessage, _ outcome: Result<EventID, any Error>, forGood: Bool
    ) async throws {
        if forGood || message.expiresAt != nil {
            let store = store
            try await database.groupedWrite { try store.dequeue(message.id, in: $0) }
        }
        let transaction = message.transactionID
        if let waiter = waiters.removeValue(forKey: transaction) {
            waiter.resume(with: outcome)
        } else if expected[transaction] != nil {
            outcomes[transaction] = outcome
        }
    }

    /// Those accepted meanwhile stay in the queue and go out when the server is back.
    private func failWaiting(in room: RoomID) {
        for (transaction, waiter) in waiters where expected[transaction] == room {
            waiters[transaction] = nil
            waiter.resume(throwing: ClientError.queued("the server cannot be reached"))
        }
    }
}
