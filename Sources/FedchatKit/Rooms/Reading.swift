public import ClientEncryption
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

extension Client {
    /// The event in the clear. What could not be read is remembered, and its key is looked for. Throws what the database
    /// throws.
    func read(_ event: JSONView, in room: RoomID) async throws -> Result<TimelineEvent, Undecryptable> {
        guard event["type"]?.string == "m.room.encrypted", event["state_key"] == nil,
            event["content", "algorithm"] != nil
        else {
            return .success(TimelineEvent(event: event.value, encryption: .none, room: room))
        }
        let machine = machine
        let id = event["event_id"]?.string.flatMap { try? EventID($0) }
        do {
            let decrypted = try await database.groupedWrite { connection in
                let decrypted = try machine.decrypt(event, in: room, in: connection)
                if let id { try machine.noteNowRead(id, in: connection) }
                return decrypted
            }
            var value = event.value
            value["type"] = .string(decrypted.type)
            var content = decrypted.content
            if let relation = event["content", "m.relates_to"]?.value { content["m.relates_to"] = relation }
            value["content"] = content
            return .success(TimelineEvent(event: value, encryption: .decrypted(by: decrypted), room: room))
        } catch let error as EncryptionError {
            return .failure(
                try await database.groupedWrite { connection in
                    let why = try machine.explain(error, event, in: room, in: connection)
                    try machine.noteUnread(event, in: room, why, in: connection)
                    return why
                })
        }
    }

    /// An event, in the clear, or why it cannot be read and what would heal it. `room` may be left out for one that could
    /// not be read before. Throws ``ClientError``: `notFound`.
    public func why(_ event: EventID, in room: RoomID?) async throws -> Result<TimelineEvent, Undecryptable> {
        try await caughtUp()
        let machine = machine
        let known = try await database.read { try machine.room(ofUnread: event, in: $0) }
        guard let room = room ?? known else {
            throw ClientError.notFound("\(event): no such event could not be read; name its room with --room")
        }
        let answer = try await call(APICall(.getOneRoomEvent, ["roomId": room.text, "eventId": event.text]))
        guard answer["event_id"]?.string == event.text else { throw ClientError.malformedAnswer(path: "event_id") }
        let first = try await read(answer, in: room)
        guard case .failure(let why) = first, why.canCome else { return first }
        try await heal(urgent: why.session.map { SyncOutcome.RoomKey(room: room, session: $0) })
        return try await read(answer, in: room)
    }

    /// Looks for the keys of what could not be read: in bundles, in the backup, and with our other devices.
    /// The backup is asked for `urgent` whenever it was asked before.
    func heal(urgent: SyncOutcome.RoomKey? = nil) async throws {
        let machine = machine
        try await takeKeyBundles()
        // The backup first: it answers at once, and nobody need be awake.
        for key in try await database.read({ try machine.missingSessions(in: $0) })
        where key == urgent || askedOfBackup.allows(key) {
            if try await restoreFromBackup(key.session, of: key.room) { askedOfBackup.forget(key) }
        }
        // Most syncs have nothing to be asked for, and nothing is written then.
        let isWanted = try await database.read { connection in
            let isMissing = try !machine.missingSessions(in: connection).isEmpty
            return try machine.hasChannelsToMend(in: connection)
                || (isMissing && machine.canRequestKeys(in: connection))
        }
        guard isWanted else { return }
        let hasAsked = try await database.write { connection in
            var hasAsked = false
            try machine.mendChannels(in: connection)
            guard try machine.canRequestKeys(in: connection) else { return false }
            for key in try machine.missingSessions(in: connection) {
                if try machine.requestKey(of: key.room, key.session, in: connection) { hasAsked = true }
            }
            return hasAsked
        }
        if hasAsked { try await keyTurns.hold { try await self.flushToDevice() } }
    }

    /// Tells those who listen of keys that came otherwise than by a sync.
    func announce(_ keys: [SyncOutcome.RoomKey]) {
        guard !keys.isEmpty else { return }
        uncountedRoomKeys += keys.count
        var update = ClientUpdate()
        update.roomKeys = keys
        announce(update)
    }
}
