internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

extension EncryptionMachine {
    /// Why `decrypt` refused the event.
    public func explain(
        _ error: EncryptionError, _ event: JSONView, in room: RoomID, in connection: any SQLConnection
    ) throws -> Undecryptable {
        let session = event["content", "session_id"]?.string.map { String($0.prefix(64)) }
        let sender = event["sender"]?.string ?? ""
        let answer = try ownAnswer(room, session ?? "", sender: sender, in: connection)
        func because(
            _ cause: Undecryptable.Cause, code: String? = nil, reason: String? = nil,
            _ remedies: [Undecryptable.Remedy] = []
        ) -> Undecryptable {
            Undecryptable(
                cause: cause, code: code, reason: reason, session: session,
                remedies: ((answer == WithheldCode.unverified.rawValue ? [.verifyThisDevice] : []) + remedies).reduced,
                ownAnswer: answer)
        }
        func withheld(_ others: [Undecryptable.Remedy]) throws -> Undecryptable? {
            guard
                let (code, reason) = try withheldCode(
                    room, session ?? "", sender: sender, at: event["origin_server_ts"]?.integer ?? 0, in: connection)
            else { return nil }
            let own: [Undecryptable.Remedy] =
                switch WithheldCode(rawValue: code) {
                case .unverified: [.verifyThisDevice]
                // A session of our making has been begun.
                case .noOlm: [.wait]
                default: []
                }
            return because(.withheld, code: code, reason: reason, (own + others).reduced)
        }
        switch error {
        case .noRoomKey:
            let others = try otherSources(room, session ?? "", in: connection)
            if let why = try withheld(others) { return why }
            let cause = try causeOfMissingKey(event, sender, in: connection)
            let own: [Undecryptable.Remedy] =
                switch cause {
                case .noRoomKey, .senderDeviceUnknown: [.wait]
                case .sessionReplaced: [.askSender]
                default: []
                }
            return because(cause, own + others)
        case .ratchet(.indexTooOld):
            // It may have been withheld up to there.
            let others = try otherSources(room, session ?? "", in: connection)
            return try withheld(others) ?? because(.unknownIndex, others)
        case .ratchet(.malformed), .ratchet(.unsupportedVersion), .malformed: return because(.malformed)
        case .ratchet: return because(.badSignature)
        case .replayed: return because(.replayed)
        case .mismatch, .changedKey, .changedIdentity: return because(.wrongSender)
        case .unknownAlgorithm(let name): return because(.unsupportedAlgorithm, code: name)
        case .wrongStoreKey, .damagedStore, .notPrepared, .cannotSign, .wrongRecoveryKey: throw error
        }
    }

    private func causeOfMissingKey(
        _ event: JSONView, _ sender: String, in connection: any SQLConnection
    ) throws -> Undecryptable.Cause {
        let sentAt = event["origin_server_ts"]?.integer ?? 0
        let began = try connection.query("SELECT began_at FROM olm_account").first?.integer(0) ?? 0
        if sentAt < began { return .historical }
        if let membership = event["unsigned", "membership"]?.string, !["join", "invite"].contains(membership) {
            return .notMember
        }
        if let failed = try lastWedged(sender, in: connection), failed >= sentAt - Limits.recentMilliseconds {
            return .sessionReplaced
        }
        // A hint only: anybody can write anything there.
        if let curve = event["content", "sender_key"]?.string, let user = try? UserID(sender),
            try knownDevice(user, curve25519: curve, in: connection) == nil, user != self.user,
            try isCurrent(user, in: connection)
        {
            return .senderDeviceUnknown
        }
        return .noRoomKey
    }

    /// Where else the key may be had.
    private func otherSources(
        _ room: RoomID, _ session: String, in connection: any SQLConnection
    ) throws -> [Undecryptable.Remedy] {
        var remedies: [Undecryptable.Remedy] = []
        remedies.append(try canReadBackup(in: connection) ? .backupAsked : .openBackup)
        if try isRequested(room, session, in: connection) { remedies.append(.otherDevicesAsked) }
        let others = try devices(of: user, in: connection).filter { $0.device != device }
        if !others.isEmpty, try !isVerified(user, in: connection) { remedies.append(.verifyThisDevice) }
        return remedies
    }

    // MARK: What could not be read

    /// Remembers an event that could not be read, so that its key is looked for.
    public func noteUnread(
        _ event: JSONView, in room: RoomID, _ why: Undecryptable, in connection: any SQLConnection
    ) throws {
        guard let id = event["event_id"]?.string, (try? EventID(id)) != nil,
            let sender = event["sender"]?.string.flatMap({ try? UserID($0) })
        else { return }
        let curve = event["content", "sender_key"]?.string.map { String($0.prefix(64)) }
        // Whether their device is known may be the question.
        try track([sender], in: connection)
        try connection.execute(
            """
            INSERT INTO unread_events VALUES (\(id), \(room.text), \(why.session ?? ""), \(why.cause.rawValue),
                \(now()), \(sender.text), \(curve))
            ON CONFLICT (event_id) DO UPDATE SET cause = excluded.cause
            """)
        try keepNewest(Limits.unreadEvents, of: "unread_events", by: "failed_at", in: connection)
    }

    /// The event has been read after all.
    public func noteNowRead(_ event: EventID, in connection: any SQLConnection) throws {
        try connection.execute("DELETE FROM unread_events WHERE event_id = \(event.text)")
    }

    /// The room of an event that could not be read.
    public func room(ofUnread event: EventID, in connection: any SQLConnection) throws -> RoomID? {
        try connection.query("SELECT room_id FROM unread_events WHERE event_id = \(event.text)").first.map {
            try RoomID(try $0.text(0))
        }
    }

    /// Replaces the channels to devices whose key has not come for half a minute: a device that hears of it gives us again
    /// what it had given.
    public func mendChannels(in connection: any SQLConnection) throws {
        for row in try channelsToMend(in: connection) {
            try connection.execute(
                """
                UPDATE devices SET unwedge_wanted = 1
                WHERE user_id = \(try row.text(0)) AND curve25519 = \(try row.text(1))
                """)
        }
    }

    /// Whether ``mendChannels(in:)`` has something to do.
    public func hasChannelsToMend(in connection: any SQLConnection) throws -> Bool {
        try !channelsToMend(in: connection).isEmpty
    }

    /// `sender_key` is but a hint: whoever is asked shows who they are.
    private func channelsToMend(in connection: any SQLConnection) throws -> [SQLRow] {
        // The other cause: the channel broke within an hour of its last replacement.
        let causes = [Undecryptable.Cause.noRoomKey, .sessionReplaced].map(\.rawValue)
        return try connection.query(
            """
            SELECT DISTINCT unread_events.user_id, unread_events.curve25519 FROM unread_events
            JOIN devices ON devices.user_id = unread_events.user_id AND devices.curve25519 = unread_events.curve25519
            WHERE cause IN \(list: causes) AND failed_at <= \(now() - Limits.patienceMilliseconds)
                AND failed_at >= \(now() - Limits.shareMilliseconds)
                AND gone = 0 AND unwedge_wanted = 0
                AND \(Period.isOver(Limits.unwedgeMilliseconds, since: "unwedged_at", at: now())) LIMIT 100
            """)
    }

    /// Sessions that messages are waiting for and that nobody has been asked for yet: up to a hundred, the newest first.
    public func missingSessions(in connection: any SQLConnection) throws -> [SyncOutcome.RoomKey] {
        let causes = Undecryptable.Cause.allCases.filter {
            [.noRoomKey, .withheld, .historical, .notMember, .unknownIndex, .sessionReplaced, .senderDeviceUnknown]
                .contains($0)
        }.map(\.rawValue)
        return try connection.query(
            """
            SELECT room_id, session_id, MAX(failed_at) FROM unread_events
            WHERE session_id <> '' AND cause IN \(list: causes) AND NOT EXISTS (
                SELECT 1 FROM key_requests WHERE key_requests.room_id = unread_events.room_id
                    AND key_requests.session_id = unread_events.session_id
                    AND NOT \(Period.isOver(Limits.keyRequestMilliseconds, since: "created_at", at: now())))
            GROUP BY room_id, session_id ORDER BY 3 DESC LIMIT 100
            """
        ).map { SyncOutcome.RoomKey(room: try RoomID(try $0.text(0)), session: try $0.text(1)) }
    }
}

extension [Undecryptable.Remedy] {
    /// Each once.
    fileprivate var reduced: Self {
        var seen: Set<Undecryptable.Remedy> = []
        return filter { seen.insert($0).inserted }
    }
}
