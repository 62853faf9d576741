internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// A room key as it stands in backups, key files and bundles: what somebody else has kept.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#definition-exportedsessiondata>
struct ImportedRoomKey: Sendable {
    let room: RoomID
    let session: InboundGroupSession
    /// Whose it is, is only said.
    let origin: RoomKeyOrigin

    /// Reads it. Throws `unknownAlgorithm`, `malformed`, `ratchet`, or `mismatch` for a key under another session's name.
    init(_ view: JSONView, from source: RoomKeySource, vouchedBy: String?) throws(EncryptionError) {
        guard view["algorithm"]?.string == Algorithm.megolm else {
            throw .unknownAlgorithm(String((view["algorithm"]?.string ?? "").prefix(64)))
        }
        guard let room = view["room_id"]?.string.flatMap({ try? RoomID($0) }),
            let bytes = view["session_key"]?.string.flatMap({ Base64.decode($0) }),
            let curve = view["sender_key"]?.string, let curveBytes = Base64.decode(curve), curveBytes.count == 32
        else { throw .malformed(path: "room key") }
        let session = try EncryptionError.wrapping { () throws(RatchetError) in
            try InboundGroupSession(exportedKey: bytes)
        }
        guard view["session_id"]?.string == session.id else { throw .mismatch(rule: "session_id is the session's") }
        let claimed = view["sender_claimed_keys", "ed25519"]?.string ?? view["sender_claimed_ed25519_key"]?.string
        self.room = room
        self.session = session
        origin = RoomKeyOrigin(
            owner: nil, curve25519: Base64.encode(curveBytes), ed25519: String((claimed ?? "").prefix(64)),
            source: source, vouchedBy: vouchedBy,
            sharesHistory: source == .bundle || view["shared_history"]?.bool ?? false)
    }
}
