/// What the client takes and keeps. Counts unless said otherwise.
public enum ClientLimits {
    /// Bytes of an ordinary answer.
    public static let answerBytes = 64 << 20
    /// Bytes of a sync response.
    public static let syncBytes = 256 << 20
    /// Events per room in one sync response; more make a gap, which is filled from `/messages`.
    public static let timelineEvents = 50
    /// Events in one page of `/messages`.
    public static let pageEvents = 100
    /// Pages fetched to fill a gap.
    public static let gapPages = 50
    /// Event ids that a listener remembers, so that it shows none twice.
    public static let rememberedEvents = 20_000
    /// Events held back by a listener because the key of one has not come.
    public static let heldEvents = 10_000
    /// How long a listener waits for the key of a message before it shows it undecrypted.
    public static let keyPatience = Duration.seconds(3)
    /// Updates that wait for a slow listener.
    public static let waitingUpdates = 4_096
    /// Messages of a room encrypted in one transaction.
    public static let messagesPerBatch = 64
    /// Uploads of keys in a row that a server may refuse because it has others under their names.
    public static let keyUploads = 64
    /// Keys of which it is remembered that the backup did not have them.
    public static let triedKeys = 10_000
    /// The first pause before the backup is asked for a key again; it doubles.
    public static let keyPause = Duration.seconds(15)
    /// The longest such pause.
    public static let longestKeyPause = Duration.seconds(3_600)
    /// Redirects followed to media.
    public static let mediaRedirects = 3
    /// Bundles of keys fetched in a row.
    public static let bundlesAtOnce = 16
    /// Bytes of an encrypted bundle of keys.
    public static let bundleBytes = 8 << 20
    /// How often a room's key is prepared again because members or devices changed meanwhile.
    public static let preparations = 5
    /// Messages that wait in the queue, all rooms together.
    public static let queuedMessages = 10_000
    /// Bytes of a message's content before encryption: an event of 65,536 bytes must hold it in base64.
    public static let contentBytes = 40_000
    /// How long the server may hold a sync, in milliseconds.
    public static let longPollMilliseconds: Int64 = 30_000
    /// How long an ordinary call may take.
    public static let callTimeout = Duration.seconds(60)
    /// Attempts of a call that the network or an overloaded server fails.
    public static let attempts = 6
    /// The first pause between attempts; it doubles.
    public static let firstPause = Duration.milliseconds(250)
    /// The longest pause between attempts, and between syncs while the server is away.
    public static let longestPause = Duration.seconds(10)
    /// The longest wait that a server's `retry_after_ms` is honored for.
    public static let longestRetryAfter = Duration.seconds(30)
    /// How long a command waits for the first sync.
    public static let firstSync = Duration.seconds(30)
    /// How long `create` and `join` wait for the room to come in a sync.
    public static let roomArrival = Duration.seconds(15)
    /// Messages of verifications that are remembered for one that begins later.
    static let verificationMessages = 100
    /// Bytes of a file to be sent: it is held in memory, twice while it is encrypted.
    public static let attachmentBytes = 64 << 20
    /// Bytes of a file to be fetched, which is written as it comes.
    public static let downloadBytes = 4 << 30
    /// How long fetching a file may take.
    public static let downloadTimeout = Duration.seconds(3_600)
    /// Pages of messages to a dehydrated device, of a hundred each.
    static let dehydratedPages = 1_000
    /// Backups deleted at once.
    static let oldBackups = 64
    /// Events looked at for a request of verification that waits for an answer.
    static let recentRequests = 50
    /// Bytes of a whole backup of room keys, about 700 a session.
    public static let backupBytes = 512 << 20
    /// How long reading a whole backup may take.
    public static let backupTimeout = Duration.seconds(600)
    /// Aliases and ids that a person may type, in bytes.
    public static let argumentBytes = 512
}
