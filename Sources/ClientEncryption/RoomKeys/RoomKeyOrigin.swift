internal import MatrixModel
internal import SQLDatabase

/// Where a room key came from, and so how far what it says of its sender can be believed.
public enum RoomKeySource: String, Sendable, Hashable {
    /// This device made it.
    case own
    /// Its owner sent it, over Olm.
    case roomKey = "room_key"
    /// Another verified device of ours sent it.
    case forwarded
    /// From the online backup.
    case backup
    /// From a file of exported keys.
    case keyFile = "key_file"
    /// Somebody who invited us shared it (MSC4268).
    case bundle

    /// Whether the owner itself vouches for it: whoever hands on another's key can say that it is anybody's.
    public var isSafe: Bool { self == .own || self == .roomKey }

    /// Of two keys that contradict each other the one of higher rank counts. Anybody can add to the backup, whose key is
    /// public, and whoever invites us can put anything into a bundle; a verified device of ours was asked, and a file is our
    /// user's own.
    var rank: Int {
        switch self {
        case .own, .roomKey: 2
        case .forwarded, .keyFile: 1
        case .backup, .bundle: 0
        }
    }
}

/// Whose a room key is, as is said.
struct RoomKeyOrigin: Sendable {
    /// nil where only the keys of the device are known.
    var owner: UserID?
    /// The `curve25519` key of the device that made the session, base64.
    var curve25519: String
    /// Its `ed25519` key.
    var ed25519: String
    var source: RoomKeySource
    /// The user or device of whom an unsafe one was had.
    var vouchedBy: String?
    /// Whether it may be given to those who join later.
    var sharesHistory: Bool
}

/// A row of `inbound_group_sessions`.
struct InboundRow {
    static let columns: SQL =
        "session_id, pickle, user_id, curve25519, ed25519, source, vouched_by, shared_history"

    let session: String
    let pickle: [UInt8]
    let origin: RoomKeyOrigin

    init(_ row: SQLRow) throws {
        session = try row.text(0)
        pickle = try row.bytes(1)
        origin = RoomKeyOrigin(
            owner: try? UserID(try row.text(2)), curve25519: try row.text(3), ed25519: try row.text(4),
            source: RoomKeySource(rawValue: try row.text(5)) ?? .keyFile, vouchedBy: try row.optionalText(6),
            sharesHistory: try row.bool(7))
    }

    var sharesHistory: Bool { origin.sharesHistory }
}
