/// The limits of keys, device lists and messages to devices.
enum DeviceLimits {
    /// Bytes of one key object.
    static let keyBytes = 10_000
    /// Bytes of the name of a key, a device or an algorithm.
    static let nameBytes = 255
    /// Users of one server whose lists are fetched one by one, to be kept; those beyond are asked for all at once.
    static let listsPerQuery = 100
    /// Lists fetched from one server at a time.
    static let listsAtOnce = 8
    /// Devices of one user of another server.
    static let devicesPerUser = 1_000
    /// Bytes of an answer with keys.
    static let answerBytes = 16 << 20
    /// Signatures by one user on one key.
    static let signaturesPerKey = 16
    /// Keys read at a time while a backup is given out.
    static let backupKeysPerPage = 500
    /// Bytes of what a backup says of itself.
    static let backupAuthDataBytes = 65_536
    /// Bytes of what a dehydrated device is kept as.
    static let dehydratedBytes = 65_536
    /// Messages to a dehydrated device in one answer.
    static let dehydratedEventsPerPage = 1_000
    /// Devices addressed by one request.
    static let recipients = 10_000
    /// Bytes of one message to a device; as much as an event.
    static let messageBytes = 65_536
    /// Bytes of messages in one EDU: servers refuse large ones.
    static let eduBytes = 48_000

    /// Whether a text can name a key, a device or an algorithm: bounded, and without the NUL that PostgreSQL cannot hold.
    static func isName(_ text: String) -> Bool {
        (1...nameBytes).contains(text.utf8.count) && !text.utf8.contains(0)
    }
}
