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
    /// Milliseconds a login token lives. Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token>
    static let loginTokenLifetime: Int64 = 120_000
    /// Milliseconds an OpenID token lives.
    static let openIDTokenLifetime: Int64 = 3_600_000
    /// Devices one request may delete.
    static let devicesPerRequest = 1_000
    /// Bytes of a filter.
    static let filterBytes = 65_536
    /// Bytes of another server's answer about a profile: the profile, generously.
    static let profileAnswerBytes = 128 << 10
    /// Tags of one room.
    static let tagsPerRoom = 100
    /// Bytes of the push rules of a user.
    static let pushRulesBytes = 512 << 10
    /// Users one search of the directory gives at most.
    static let directoryResults = 50
}
