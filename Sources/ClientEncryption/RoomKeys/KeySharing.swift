internal import MatrixModel
public import SQLDatabase

/// Which devices of a room's members get its keys.
public enum KeySharing: String, Sendable, CaseIterable {
    /// Every device that the members' servers show.
    case allDevices = "all-devices"
    /// Devices that their owner has cross-signed; every device of users who have no cross-signing keys.
    case crossSignedWherePossible = "cross-signed-where-possible"
    /// Devices that their owner has cross-signed, and no others.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#recommended-client-behaviour>
    case crossSignedDevices = "cross-signed-devices"
    /// Devices cross-signed by users whom we have verified.
    case verifiedUsers = "verified-users"

    /// Until the user says otherwise.
    public static let standard = KeySharing.crossSignedWherePossible
}

/// Why a key is withheld.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroom_keywithheld>
enum WithheldCode: String, Sendable {
    case blacklisted = "m.blacklisted"
    case unverified = "m.unverified"
    case unauthorised = "m.unauthorised"
    case unavailable = "m.unavailable"
    case noOlm = "m.no_olm"
    case historyNotShared = "m.history_not_shared"

    /// For a person.
    var reason: String {
        switch self {
        case .blacklisted: "The sender has blocked this device"
        case .unverified: "The sender sends keys to verified devices only"
        case .unauthorised: "This device may not have the key"
        case .unavailable: "The key is not here"
        case .noOlm: "No secure channel could be made"
        case .historyNotShared: "The sender did not allow the key to be shared with those who come later"
        }
    }
}

extension EncryptionMachine {
    enum Entitlement: Equatable {
        case entitled
        case withheld(WithheldCode)
    }

    /// Which devices get keys, as the user has set it.
    public func sharing(in connection: any SQLConnection) throws -> KeySharing {
        try connection.query("SELECT sharing FROM olm_account").first?.optionalText(0).flatMap(KeySharing.init)
            ?? .standard
    }

    /// From the next message on.
    public func setSharing(_ sharing: KeySharing, in connection: any SQLConnection) throws {
        try connection.execute("UPDATE olm_account SET sharing = \(sharing.rawValue)")
    }

    /// Of one device, under the user's setting.
    func entitlement(of device: KnownDevice, in connection: any SQLConnection) throws -> Entitlement {
        let sharing = try sharing(in: connection)
        return try candidates(
            where: "user_id = \(device.user.text) AND device_id = \(device.device.text)", in: connection
        ).first?.entitlement(under: sharing) ?? .withheld(.unverified)
    }
}
