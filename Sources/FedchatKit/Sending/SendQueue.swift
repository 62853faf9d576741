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
    /// Events of a verification (``RoomKeyPurpose``) go out where messages may not, and to devices that get no messages.
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
        defer {
            expected[transaction] = nil
            outcomes[transaction] = nil
        }
        let expiresAt = life.map { now() + $0.wholeMilliseconds }
        try await database.groupedWrite {
            try store.enqueue(
                type, content, to: room, transactionID: transaction, expiresAt: expiresAt,
                encryptedOnly: summary.isEncrypted, in: $0)
        }
        if draining.insert(room).inserted {
            // Whoever gives up waiting must not take along what others have queued.
            if isSending { drains.continuation.yield(room) } else { await drain(room) }
        } else {
            grown.insert(room)
        }
        if let outcome = outcomes[transaction] { return try outcome.get() }
        guard draining.contains(room) else { throw ClientError.queued("the server cannot be reached") }
        return try await withCheckedThrowingContinuation { waiters[transaction] = $0 }
    }

    /// Sends what is accepted, each room in a task of its own, until the task is cancelled.
    func sendAccepted() async {
        isSending = true
        await withDiscardingTaskGroup { group in
            for await room in drains.stream { group.addTask { await self.drain(room) } }
        }
        isSending = false
        // Rooms that nobody has begun with.
        for room in Set(expected.values) { endDrain(of: room, because: CancellationError()) }
    }

    /// What a crash or an absent server has left.
    func sendLeftOver() async throws {
        let store = store
        for room in try await database.read({ try store.roomsWithQueue(in: $0) })
        where draining.insert(room).inserted {
            await drain(room)
        }
    }

    /// How far a run of messages got.
    private enum Passage {
        /// All of it has left the queue, or as much as one session of the room could take.
        case done
        /// Nobody waits for it, and it may not go out now: it stays, and others may pass.
        case held
        /// The server cannot take it now.
        case stopped(any Error)
    }

    /// Sends all that waits for the room. One task at a time does this per room; whoever else has a message for it waits.
    private func drain(_ room: RoomID) async {
        let store = store
        var failure: (any Error)?
        // What stands before it stays.
        var position: Int64 = 0
        repeat {
            grown.remove(room)
            do {
                while failure == nil {
                    let after = position
                    let batch = try await database.read { try store.queued(for: room, after: after, in: $0) }
                    guard let first = batch.first else { break }
                    // What is refused for some is not for the others.
                    let alike = Array(
                        batch.prefix { $0.encryptedOnly == first.encryptedOnly && $0.purpose == first.purpose })
                    switch try await send(alike, to: room) {
                    case .done: break
                    case .held: position = alike.last?.id ?? position
                    case .stopped(let error): failure = error
                    }
                }
            } catch { failure = error }
            guard let error = failure else { continue }
            logger.warning("sending stops for now", metadata: ["error": "\(error)"])
            // What came meanwhile is not to go out later either.
            repeat {
                grown.remove(room)
                try? await database.groupedWrite { try store.dequeueExpiring(in: room, $0) }
            } while grown.contains(room)
        } while grown.contains(room)
        endDrain(of: room, because: failure)
    }

    /// Tells all who still wait. Nothing is awaited here: whoever comes later begins anew.
    private func endDrain(of room: RoomID, because failure: (any Error)?) {
        draining.remove(room)
        grown.remove(room)
        for (transaction, waiter) in waiters where expected[transaction] == room {
            waiters[transaction] = nil
            // Without a failure nothing is left in the queue: it was taken out as worth nothing any more.
            waiter.resume(throwing: failure.map { ClientError.whileQueued($0) } ?? ClientError.expired)
        }
    }

    private func send(_ run: [QueuedMessage], to room: RoomID) async throws -> Passage {
        let now = now()
        let expired = run.filter { $0.expiresAt ?? .max <= now }
        for message in expired { try await finish(message, .failure(ClientError.expired), forGood: true) }
        guard expired.isEmpty else { return .done }
        let prepared: [QueuedMessage]
        do { prepared = try await encrypted(run, for: room) } catch {
            guard ClientError.isOurRefusal(error) else { return try await stop(run[...], error) }
            // Whoever waits is told, and decides. What nobody waits for was promised to go out some day.
            var isHeld = false
            for message in run {
                if expected[message.transactionID] == nil, message.expiresAt == nil {
                    isHeld = true
                } else {
                    try await finish(message, .failure(error), forGood: true)
                }
            }
            return isHeld ? .held : .done
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
            } catch let error as ClientError where error.isLasting {
                try await finish(message, .failure(error), forGood: true)
            } catch {
                return try await stop(prepared[position...], error)
            }
        }
        return .done
    }

    /// They stay, and go out when the server is back; but not what would be worth nothing then.
    private func stop(_ messages: ArraySlice<QueuedMessage>, _ error: any Error) async throws -> Passage {
        for message in messages {
            try await finish(message, .failure(ClientError.whileQueued(error)), forGood: false)
        }
        return .stopped(error)
    }

    /// One key for all that wait, which are of one purpose, one commit for all ciphertexts; only then does any leave.
    private func encrypted(_ batch: [QueuedMessage], for room: RoomID) async throws -> [QueuedMessage] {
        guard let first = batch.first(where: { $0.wire == nil }) else {
            try await keyTurns.hold { try await self.flushToDevice() }
            return batch
        }
        for _ in 0..<ClientLimits.preparations {
            let summary = try await summary(of: room)
            guard let settings = summary.encryptionSettings else { break }
            try await prepareRoomKey(of: summary, settings, first.purpose)
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
                guard
                    try machine.isPrepared(
                        for: room, recipients: recipients, settings: settings,
                        purpose: batch.first?.purpose ?? .messages,
                        in: connection)
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
}
