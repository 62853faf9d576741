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
            guard let key = try? ImportedRoomKey(view, from: source, vouchedBy: vouchedBy),
                room == nil || key.room == room
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
