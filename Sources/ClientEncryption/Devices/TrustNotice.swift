public import MatrixModel

/// What the user is told, once, of a device or an identity that came up after its owner was met: a homeserver could have made
/// it.
public struct TrustNotice: Sendable, Hashable {
    /// What came up.
    public enum Kind: String, Sendable {
        /// A device that its owner has not signed.
        case newDevice = "new_device"
        /// An identity of somebody who had none, or had another.
        case newIdentity = "new_identity"
    }

    public let kind: Kind
    /// Whose it is said to be.
    public let user: UserID
    /// Whether that is our own user.
    public let isOwn: Bool
    /// The device; nil for an identity.
    public let device: DeviceID?
    /// The device's `ed25519` key or the identity's master key, base64.
    public let key: String
    /// Whether the device gets the keys of our messages; false for an identity.
    public let getsKeys: Bool
    /// Whether the server does not show the device any more.
    public let isGone: Bool

    /// For a person: what it is, and what it means. Not what to do about it.
    public var explanation: String {
        let owner = isOwn ? "your account" : "\(user)"
        let maker = isOwn ? "whoever has your password, or your homeserver," : "their homeserver"
        guard kind == .newDevice else {
            return """
                \(owner) has cross-signing keys that were not there before: \(maker) could have made them, to sign devices \
                of its own
                """
        }
        let verb = isGone ? "had" : "has"
        let means =
            switch (getsKeys, isGone) {
            case (true, false): "it gets the keys of what you say"
            case (true, true): "it is gone again, and may have got the keys of what you said meanwhile"
            case (false, _): "it gets no keys of what you say"
            }
        return """
            \(owner) \(verb) a new device, \(device?.text ?? ""), which is not signed by its owner: \(maker) could have made \
            it; \(means)
            """
    }
}
