/// The limits of push notifications. Those that an operator may set are `limits.push_…` and `timeouts.push_…`.
enum PushLimits {
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset>
    static let pushkeyBytes = 512
    static let appIDCharacters = 64
    /// Bytes of a display name or profile tag.
    static let nameBytes = 1_024
    /// Bytes of a language.
    static let languageBytes = 64
    /// Bytes of `data`, which travels with every notification.
    static let optionsBytes = 16 << 10
    /// Bytes of a gateway's URL.
    static let urlBytes = 2_048
    /// Notifications made ready for one pusher at once.
    static let notificationsAtOnce = 20
    /// Events of one room looked at for them at once.
    static let eventsPerRoom = 200
    /// Pushers that wait to be looked at; beyond them all are looked through again.
    static let hints = 200_000
    /// Rooms remembered for one pusher; beyond them all its rooms are looked at.
    static let roomsPerHint = 100
    /// Pushers named in one page when all are looked through.
    static let page = 500
    /// Notes of the database that wait to be worked on.
    static let notes = 10_000
    /// Bytes of unread counts kept in memory.
    static let badgeBytes = 8 << 20
    /// Bytes of push rules kept in memory.
    static let rulesetBytes = 8 << 20
    /// Bytes of a gateway's answer.
    static let answerBytes = 64 << 10
    /// A node that dies leaves its pushers to others after so many milliseconds; one that lives renews in time.
    static let lease: Int64 = 10_000
    /// How often leases, times that have come and lost notifications are looked after.
    static let poll = Duration.seconds(3)
    /// After so many polls, what was looked at without sending is written down.
    static let pollsPerSaving = 10
    /// Gateways and pushers that wait for them.
    static let gatewaysKept = 10_000
    /// Notifications of one page of `/notifications`, and when the client does not say how many.
    static let notificationsPage = 100
    static let notificationsDefault = 20
    /// Events looked at for one page.
    static let eventsPerListing = 1_000
    /// Events read of one room at a time for it.
    static let eventsPerListingStep = 50
}
