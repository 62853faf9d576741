internal import Cryptography
public import MatrixModel
internal import SQLDatabase

/// A device as it was first seen.
public struct KnownDevice: Sendable, Hashable {
    /// Whose it is.
    public let user: UserID
    /// Its id.
    public let device: DeviceID
    /// Its `curve25519` identity key, base64.
    public let curve25519: String
    /// Its `ed25519` fingerprint, base64.
    public let ed25519: String
    /// Whether the server has shown other keys under its id since; they are refused.
    public let hasChanged: Bool
    /// What its owner calls it.
    public let displayName: String?

    /// Whether the user wants nothing sent to it.
    public let isBlocked: Bool

    let offer: HybridOffer

    static let columns: SQL = "user_id, device_id, curve25519, ed25519, changed, display_name, blocked, hybrid_offer"

    init(_ row: SQLRow) throws {
        user = try UserID(try row.text(0))
        device = try DeviceID(try row.text(1))
        curve25519 = try row.text(2)
        ed25519 = try row.text(3)
        hasChanged = try row.bool(4)
        displayName = try row.optionalText(5)
        isBlocked = try row.bool(6)
        offer = HybridOffer(rawValue: try row.integer(7)) ?? .never
    }
}
