/// What this target refuses to go beyond.
enum Limits {
    /// One-time encapsulation keys kept; the oldest go first.
    static let oneTimeKeys = 500
    /// One-time encapsulation keys a server should hold: each takes 1.6 KB with its signature.
    static let publishedOneTimeKeys = 20
    /// Bytes of a message to read: as Olm's.
    static let messageBytes = 1 << 20
    /// Bytes of a session's own pickle within ours.
    static let pickleBytes = 1 << 20
}
