public import MatrixModel

/// One side of a verification, with the keys that are fixed at its beginning, base64.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
public struct VerificationParty: Sendable, Hashable {
    /// Whose device it is.
    public let user: UserID
    /// The device.
    public let device: DeviceID
    /// Its `ed25519` fingerprint.
    public let ed25519: String
    /// The user's master key; nil where there is none.
    public let master: String?
    /// Of ourselves: whether this device trusts the master key, and may tell others so.
    public let trustsMaster: Bool

    /// Fixes the keys of a side.
    public init(user: UserID, device: DeviceID, ed25519: String, master: String?, trustsMaster: Bool = false) {
        self.user = user
        self.device = device
        self.ed25519 = ed25519
        self.master = master
        self.trustsMaster = trustsMaster
    }
}

/// Why a verification ended without success.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mkeyverificationcancel>
public struct VerificationCancellation: Sendable, Hashable {
    /// The codes of the specification.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        case user = "m.user"
        case timeout = "m.timeout"
        case unknownTransaction = "m.unknown_transaction"
        case unknownMethod = "m.unknown_method"
        case unexpectedMessage = "m.unexpected_message"
        case keyMismatch = "m.key_mismatch"
        case userMismatch = "m.user_mismatch"
        case invalidMessage = "m.invalid_message"
        case accepted = "m.accepted"
        case mismatchedCommitment = "m.mismatched_commitment"
        case mismatchedSAS = "m.mismatched_sas"

        /// For a person.
        public var reason: String {
            switch self {
            case .user: "cancelled by the user"
            case .timeout: "it took too long"
            case .unknownTransaction: "no such verification"
            case .unknownMethod: "the devices have no method in common"
            case .unexpectedMessage: "a message came that was not expected"
            case .keyMismatch: "the keys do not match"
            case .userMismatch: "another user than expected"
            case .invalidMessage: "a message is malformed"
            case .accepted: "accepted on another device"
            case .mismatchedCommitment: "the commitment does not match"
            case .mismatchedSAS: "the codes do not match"
            }
        }
    }

    /// The code as it came, of those of the specification or another.
    public let code: String
    /// Whether this device cancelled.
    public let byUs: Bool
}

/// A method of verifying, as `methods` lists it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
public enum VerificationMethod: String, Sendable, Hashable, CaseIterable {
    /// Emoji or numbers are compared.
    case sas = "m.sas.v1"
    /// Can show a QR code.
    case showQR = "m.qr_code.show.v1"
    /// Can scan one.
    case scanQR = "m.qr_code.scan.v1"
    /// What follows a scan.
    case reciprocate = "m.reciprocate.v1"
}

/// The other side's keys that a verification has shown to be right.
public struct VerifiedKeys: Sendable, Hashable {
    /// The other device's fingerprint, base64.
    public var ed25519: String?
    /// The other user's master key, base64; our own where both devices are ours.
    public var master: String?
}
