internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// Room keys as they stand in backups, key files and bundles.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#definition-exportedsessiondata>
extension EncryptionMachine {
    /// Takes in keys that somebody else has kept. They are marked as what they are: whose a session is, is only said.
    ///
    /// What is malformed, or of another room than `room` where one is given, is passed over.
    /// - Parameter vouchedBy: the user or device of whom the keys were had.
    /// - Returns: the sessions of which more can be read than before.
    public func importRoomKeys(
        _ keys: some Sequence<JSONView>, from source: RoomKeySource, vouchedBy: String? = nil, only room: RoomID? = nil,
        in connection: any SQLConnection
    ) throws -> [SyncOutcome.RoomKey] {
        var taken: [SyncOutcome.RoomKey] = []
        for view in keys {
            guard let key = try? importable(view, from: source, vouchedBy: vouchedBy), room == nil || key.room == room
            else { continue }
            do {
                if try keep(key.session, room: key.room, key.origin, in: connection) {
                    taken.append(.init(room: key.room, session: key.session.id))
                }
            } catch let error as EncryptionError {
                // A key that contradicts a better one says nothing about the others.
                guard case .mismatch = error else { throw error }
            }
        }
        return taken
    }

    private func importable(
        _ view: JSONView, from source: RoomKeySource, vouchedBy: String?
    ) throws -> (room: RoomID, session: InboundGroupSession, origin: RoomKeyOrigin) {
        guard view["algorithm"]?.string == Algorithm.megolm else {
            throw EncryptionError.unknownAlgorithm(String((view["algorithm"]?.string ?? "").prefix(64)))
        }
        guard let room = view["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let bytes = view["session_key"]?.string.flatMap({ Base64.decode($0) }),
            let curve = view["sender_key"]?.string, let curveBytes = Base64.decode(curve), curveBytes.count == 32
        else { throw EncryptionError.malformed(path: "room key") }
        let session = try EncryptionError.wrapping { () throws(RatchetError) in
            try InboundGroupSession(exportedKey: bytes)
        }
        guard view["session_id"]?.string == session.id else {
            throw EncryptionError.mismatch(rule: "session_id is the session's")
        }
        let claimed = view["sender_claimed_keys", "ed25519"]?.string ?? view["sender_claimed_ed25519_key"]?.string
        let origin = RoomKeyOrigin(
            owner: nil, curve25519: Base64.encode(curveBytes), ed25519: String((claimed ?? "").prefix(64)),
            source: source, vouchedBy: vouchedBy,
            sharesHistory: source == .bundle || view["shared_history"]?.bool ?? false)
        return (room, session, origin)
    }

    /// A session as it is handed on.
    func exported(_ row: InboundRow, of room: RoomID) throws -> JSONValue {
        let session = try InboundGroupSession(pickle: row.pickle, key: key.bytes)
        return [
            "algorithm": .string(Algorithm.megolm), "room_id": .string(room.text),
            "session_id": .string(row.session), "session_key": .string(Base64.encode(session.exportedKey)),
            "sender_key": .string(row.origin.curve25519),
            "sender_claimed_keys": ["ed25519": .string(row.origin.ed25519)],
            "shared_history": .bool(row.sharesHistory),
        ]
    }
}
