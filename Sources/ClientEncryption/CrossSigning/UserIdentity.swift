public import MatrixModel
internal import SQLDatabase

/// A user's cross-signing keys as the server shows them now, all base64, and what is known of them.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>
public struct UserIdentity: Sendable, Hashable {
    /// Whose it is.
    public let user: UserID
    /// The master key: the identity itself.
    public let master: String
    /// Signs the user's devices; nil where the server shows none that the master key signed.
    public let selfSigning: String?
    /// Signs other users; known of ourselves only.
    public let userSigning: String?
    /// The master key of first sight, or as accepted last.
    public let pinned: String
    /// The master key that was verified last; nil if none was, or a change was accepted since.
    public let verified: String?
    /// Our user-signing key that has signed this master key.
    let vouchedBy: String?

    /// What became of the identity since it was pinned or verified.
    public var change: IdentityChange? {
        if let verified, verified != master { return .afterVerification }
        return pinned == master ? nil : .afterPinning
    }

    static let columns: SQL = "user_id, master, self_signing, user_signing, pinned, verified, vouched_by"

    init(_ row: SQLRow) throws {
        user = try UserID(try row.text(0))
        master = try row.text(1)
        selfSigning = try row.optionalText(2)
        userSigning = try row.optionalText(3)
        pinned = try row.text(4)
        verified = try row.optionalText(5)
        vouchedBy = try row.optionalText(6)
    }
}

/// How an identity has changed.
public enum IdentityChange: String, Sendable, Hashable {
    /// It had been seen, not verified: a notice, and sending goes on.
    case afterPinning = "pinned"
    /// It had been verified: nothing is sent until the change is accepted, or the new identity verified.
    case afterVerification = "verified"
}

/// An identity that the server shows since a moment ago, in place of another.
public struct ChangedIdentity: Sendable, Hashable {
    /// Whose.
    public let user: UserID
    /// What the one before was to us.
    public let change: IdentityChange

    /// Names a user.
    public init(user: UserID, change: IdentityChange) {
        self.user = user
        self.change = change
    }
}
