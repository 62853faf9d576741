/// The limits of logging in and of accounts' own things.
enum AuthenticationLimits {
    /// Passwords that wait to be hashed: some ten seconds of work.
    static let passwordsWaiting = 256
    /// How long the meaning of a token is believed, should a notification be lost.
    static let tokenMemory = Duration.seconds(3)
    /// Tokens whose meaning is remembered.
    static let tokensRemembered = 50_000
    /// Milliseconds between two notes of when a device was seen.
    static let lastSeenInterval: Int64 = 120_000
    /// Bytes of a password: what the hash takes.
    static let passwordBytes = 4_096
    /// Bytes of a display name, of a user or a device.
    static let displayNameBytes = 1_024
    /// Devices one request may delete.
    static let devicesPerRequest = 1_000
    /// Bytes of a filter.
    static let filterBytes = 65_536
    /// Bytes of another server's answer about a profile: the profile, generously.
    static let profileAnswerBytes = 128 << 10
}
