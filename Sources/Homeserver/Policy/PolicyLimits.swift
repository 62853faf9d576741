/// The limits of being a policy server.
public enum PolicyLimits {
    /// Patterns in one of `policy_server.refused_servers`, `.refused_users` and `.refused_event_types`.
    public static let patterns = 1_000
    /// Entries of `policy_server.refused_words`.
    public static let phrases = 10_000
    /// Words of one such entry.
    public static let wordsPerPhrase = 8
    /// Words of one text that are looked at: an event holds no more.
    static let wordsPerText = 65_536
    /// Verdicts kept in memory, in bytes, and what one counts for: some ten thousand events.
    static let verdictCacheBytes = 8 << 20
    static let verdictBytes = 512
}
