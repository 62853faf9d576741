internal import Cryptography
internal import MatrixModel
internal import Ratchet
internal import SQLDatabase

/// `m.room_key`: the keys with which a room's messages are read.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroom_key>
extension EncryptionMachine {
    /// Keeps the session unless a better half of it is known; nil where nothing new can be read.
    func takeRoomKey(_ payload: OlmPayload, in connection: any SQLConnection) throws -> SyncOutcome.RoomKey? {
        let content = payload.content
        guard content["algorithm"]?.string == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String((content["algorithm"]?.string ?? "").prefix(64)))
        }
        guard let room = content["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let name = content["session_id"]?.string,
            let bytes = content["session_key"]?.string.flatMap({ Base64.decode($0) })
        else { throw EncryptionError.malformed(path: "m.room_key") }
        try checkIdentity(payload, in: connection)
        let session = try EncryptionError.wrapping { () throws(RatchetError) in
            try InboundGroupSession(sessionKey: bytes)
        }
        guard session.id == name else { throw EncryptionError.mismatch(rule: "session_id is the session's") }
        let origin = RoomKeyOrigin(
            owner: payload.sender, curve25519: Base64.encode(payload.senderKey.bytes),
            ed25519: Base64.encode(payload.ed25519.bytes), source: .roomKey,
            sharesHistory: content["shared_history"]?.bool ?? false)
        return try keep(session, room: room, origin, in: connection)
            ? SyncOutcome.RoomKey(room: room, session: name) : nil
    }

    /// The claimed fingerprint must be that of the device whose Curve25519 key the message came under.
    func checkIdentity(_ payload: OlmPayload, in connection: any SQLConnection) throws {
        let curve = Base64.encode(payload.senderKey.bytes)
        if let known = try knownDevice(payload.sender, curve25519: curve, in: connection) {
            guard known.ed25519 == Base64.encode(payload.ed25519.bytes) else {
                throw EncryptionError.mismatch(rule: "the claimed ed25519 key is the device's")
            }
            return
        }
        if let keys = payload.deviceKeys, let known = try knownDevice(keys.user, keys.device, in: connection) {
            throw EncryptionError.changedKey(user: known.user, device: known.device)
        }
        // A device that has not been asked for yet: the next query must show it.
        try track([payload.sender], in: connection)
        try noteChangedUsers([payload.sender], in: connection)
    }

    /// Keeps what is best of what is known and what came: the half that reads more, and the word of higher rank. Where two
    /// devices each send the session as their own, both claims are kept: either has its key, and only one has made it.
    /// - Returns: whether more can be read than before.
    func keep(
        _ session: InboundGroupSession, room: RoomID, _ origin: RoomKeyOrigin, in connection: any SQLConnection
    ) throws -> Bool {
        var (best, origin, readsMore) = (session, origin, true)
        if let row = try inboundRow(room, session.id, in: connection) {
            let known = try InboundGroupSession(pickle: row.pickle, key: key.bytes)
            let isOverruled = origin.source.rank > row.origin.source.rank
            switch session.relation(to: known) {
            case .unconnected:
                // Somebody had handed on a key that is none.
                guard isOverruled else { throw EncryptionError.mismatch(rule: "a session has one ratchet") }
            case .better: break
            case .equal, .worse: (best, readsMore) = (known, false)
            }
            if isOverruled {
                // What is told of one and the same key adds up where nobody tells who made it.
                if !origin.source.isSafe, session.relation(to: known) != .unconnected {
                    origin.sharesHistory = origin.sharesHistory || row.origin.sharesHistory
                }
            } else {
                let agrees =
                    (row.origin.owner == nil || origin.owner == nil || row.origin.owner == origin.owner)
                    && row.origin.curve25519 == origin.curve25519
                let isDisputed = !agrees && row.origin.source.rank == origin.source.rank
                if isDisputed { try noteClaim(session.id, room, origin, against: row.origin, in: connection) }
                let sharesHistory = origin.sharesHistory
                origin = row.origin
                // Only who made the session may say that its key is for others, and of a bundle it is true as well.
                if !row.origin.source.isSafe { origin.sharesHistory = origin.sharesHistory || sharesHistory }
                if isDisputed { origin.sharesHistory = origin.sharesHistory && sharesHistory }
            }
        }
        let pickle = try best.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO inbound_group_sessions (room_id, session_id, user_id, curve25519, ed25519, pickle, received_at,
                source, vouched_by, shared_history)
            VALUES (\(room.text), \(session.id), \(origin.owner?.text ?? ""), \(origin.curve25519), \(origin.ed25519),
                \(pickle), \(now()), \(origin.source.rawValue), \(origin.vouchedBy), \(origin.sharesHistory))
            ON CONFLICT (room_id, session_id) DO UPDATE SET user_id = excluded.user_id,
                curve25519 = excluded.curve25519, ed25519 = excluded.ed25519, pickle = excluded.pickle,
                source = excluded.source, vouched_by = excluded.vouched_by, shared_history = excluded.shared_history
            """)
        if readsMore {
            try connection.execute(
                """
                UPDATE inbound_group_sessions SET backed_up_in = NULL
                WHERE room_id = \(room.text) AND session_id = \(session.id)
                """)
        }
        if readsMore, best.firstKnownIndex == 0 {
            // Where it begins later, what comes before stays withheld.
            try connection.execute(
                "DELETE FROM received_withheld WHERE room_id = \(room.text) AND session_id = \(session.id)")
            try cancelKeyRequest(of: room, session.id, in: connection)
        }
        return readsMore
    }

    func inboundRow(_ room: RoomID, _ session: String, in connection: any SQLConnection) throws -> InboundRow? {
        try connection.query(
            """
            SELECT \(InboundRow.columns) FROM inbound_group_sessions
            WHERE room_id = \(room.text) AND session_id = \(session)
            """
        ).first.map(InboundRow.init)
    }

    func inboundSession(
        _ room: RoomID, _ session: String, in connection: any SQLConnection
    ) throws -> InboundGroupSession? {
        try inboundRow(room, session, in: connection).map {
            try InboundGroupSession(pickle: $0.pickle, key: key.bytes)
        }
    }
}
