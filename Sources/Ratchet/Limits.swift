/// What this target refuses to go beyond. Both published libraries keep the first three.
enum Limits {
    /// Messages that may be missing in one Olm chain: each costs two HMACs before the message is known to be genuine.
    static let messageGap = 2_000
    /// Keys kept per chain for messages that may still come.
    static let skippedMessageKeys = 40
    /// Receiving chains kept per Olm session, so that late messages of older chains can be read.
    static let receivingChains = 5
    /// Private one-time keys kept; the oldest go first. A server holds far fewer.
    static let oneTimeKeys = 5_000
    /// One-time keys a server should hold, `maximumOneTimeKeys`.
    static let publishedOneTimeKeys = 50
    /// Bytes of a message to read: more than any event or to-device message can carry.
    static let messageBytes = 1 << 20
    /// Bytes of a pickle: an account with all its one-time keys takes a quarter.
    static let pickleBytes = 1 << 20
    /// Bytes of a pickle of another library, whose form is wordier: all of an account's keys as JSON, in base64.
    static let foreignPickleBytes = 8 << 20
    /// Objects and arrays within each other in a pickle of vodozemac; it writes seven.
    static let pickleDepth = 12
    /// Bytes of a key file: a client with a million sessions exports less.
    static let keyFileBytes = 1 << 30
    /// PBKDF2 rounds taken from a foreign file or account data.
    static let passphraseRounds = 10_000_000
}
