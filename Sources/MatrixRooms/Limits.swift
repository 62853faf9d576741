// What this target owns is in ARCHITECTURE.md.

/// How many push rules a user may have, and how long one is looked for.
public enum PushRuleLimits {
    /// Rules that a user made, of all kinds.
    public static let rules = 1_000
    /// Conditions of a rule.
    public static let conditions = 50
    /// Actions of a rule.
    public static let actions = 50
    /// A rule's ID, in bytes; the longest identifier fits.
    public static let idBytes = 255
    /// Steps of comparing patterns for one user and one event, about five milliseconds. Rules that would need more do not
    /// match: else one user's rules could occupy a server.
    public static let patternSteps = 4_000_000
}

/// What state resolution refuses to go beyond, rather than to stop a server.
enum ResolutionLimits {
    /// The states to merge: one for each `prev_event`, of which there are at most 20, and the forward extremities.
    static let forks = 1_000
    /// The full conflicted set.
    static let conflictedEvents = 500_000
    /// Events that a walk along auth chains may see.
    static let visitedEvents = 2_000_000
}

/// What authorization looks at of one event.
enum AuthorizationLimits {
    /// Public keys of a third-party invite that are tried. Real ones have one or two.
    static let inviteKeys = 16
    /// Signatures of a third-party invite that are tried against each key. Real ones have one.
    static let inviteSignatures = 16
}
