public import ClientEncryption
public import MatrixModel
internal import Ratchet

/// What a verification shows its user.
public enum VerificationStep: Sendable {
    /// We asked, and wait for the other side.
    case asked(UserID)
    /// Somebody asks us.
    case requested(UserID, DeviceID)
    /// Both sides are ready, with these methods.
    case ready(UserID, DeviceID, [VerificationMethod])
    /// Compare these.
    case compare(ComparedCode)
    /// Show these bytes as a QR code.
    case showQR([UInt8])
    /// Does the other side show success?
    case confirmScan
    /// What was verified led to this.
    case verified(Set<VerificationEffect>)
    /// All is done.
    case done
    /// It is over.
    case cancelled(VerificationCancellation)
}

/// With whom to verify, and who begins.
public enum VerificationTarget: Sendable {
    /// Asks a user, in the direct room with them.
    case user(UserID)
    /// Asks a device of ours or of another user.
    case device(UserID, DeviceID)
    /// Asks all other devices of ours.
    case ownDevices
    /// Waits for somebody to ask; nil for anybody.
    case incoming(UserID?)
}

/// What two users compare.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sas-method-emoji>
public struct ComparedCode: Sendable, Hashable {
    /// One of seven emoji, with its English name.
    public struct Emoji: Sendable, Hashable {
        /// The emoji itself.
        public let symbol: String
        /// Its English name.
        public let name: String
    }

    /// Seven emoji.
    public let emoji: [Emoji]
    /// The same as three numbers, for those who cannot see them.
    public let decimals: [Int]

    init(_ code: SASCode) {
        emoji = code.emoji.map { Emoji(symbol: $0.symbol, name: $0.name) }
        decimals = code.decimals
    }
}
