/// How a device that offers the post-quantum key agreement is written to.
public enum HybridStanding: String, Sendable, CaseIterable {
    /// Over a session that was begun with it.
    case used
    /// It is used with the next session.
    case offered
    /// Its server gives no encapsulation key of it: by Olm, or not at all if the policy is `kept`.
    case withheld
    /// It offered it before, and its keys as the server shows them do no more: by Olm, or not at all if the policy is `kept`.
    case withdrawn

    /// Whether somebody should look into it.
    public var isSuspicious: Bool { self == .withheld || self == .withdrawn }
}
