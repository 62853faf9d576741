/// What the client takes and keeps. Counts unless said otherwise.
public enum ClientLimits {
    /// Bytes of an ordinary answer.
    public static let answerBytes = 64 << 20
    /// Bytes of a sync response.
    public static let syncBytes = 256 << 20
    /// Events per room in one sync response; more make a gap, which is filled from `/messages`.
    public static let timelineEvents = 50
    /// Pages read of our own messages in a gap, to see whether a room's key can still be used.
    static let doubtPages = 5
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
    /// Room keys that may come until they are counted again.
    static let uncountedRoomKeys = 1_000
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
    /// How long such a message is worth something, and a verification may last, in milliseconds.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#error-and-exception-handling>
    static let verificationMilliseconds: Int64 = 600_000
    /// Verifications under way at once.
    static let openVerifications = 16
    /// Verifications that are over whose late messages are known as such.
    static let closedVerifications = 1_024
    /// Cancellations of what belongs to no verification, after one sync.
    static let verificationRefusals = 32
    /// Milliseconds after which an interrupted verification is not cancelled any more.
    static let interruptionMilliseconds: Int64 = 86_400_000
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

    // MARK: Calls

    /// How long an invite of ours is valid. The specification's least.
    public static let inviteLifetime = Duration.seconds(90)
    /// The longest that another's invite rings, whatever it says.
    public static let longestRinging = Duration.seconds(600)
    /// An invite that is valid for less does not ring: nobody could take it in time.
    public static let leastRinging = Duration.seconds(3)
    /// How long an offer within a call waits for its answer.
    public static let negotiateLifetime = Duration.seconds(60)
    /// Attempts to bring a change of the call about.
    public static let negotiationAttempts = 3
    /// How long the media program may take for a description: it may have to ask for a camera.
    public static let mediaPatience = Duration.seconds(30)
    /// How long a connection may take to come about once there is an answer.
    public static let connectPatience = Duration.seconds(40)
    /// How long a connection that is lost may take to come back.
    public static let reconnectPatience = Duration.seconds(30)
    /// How long a caller may take to confirm our answer, once media flows.
    public static let confirmPatience = Duration.seconds(15)
    /// How long candidates are gathered after the invite, before they are sent in one event.
    public static let callerBatching = Duration.seconds(2)
    /// The same after the answer, and later in a call.
    public static let calleeBatching = Duration.milliseconds(500)
    /// Clocks may differ by so much before an event counts as held back.
    public static let clockSkew = Duration.seconds(300)
    /// Calls that ring at once.
    public static let ringingCalls = 8
    /// Clients whose events are kept until one of them is chosen.
    public static let waitingParties = 8
    /// Events of one client that are kept until it is chosen, or of a call until its invite comes.
    public static let waitingCallEvents = 32
    /// Calls of which events are kept until their invites come.
    public static let earlyCalls = 16
    /// Candidates of one side in one call.
    public static let candidatesOfOneSide = 512
    /// Candidates in one event of ours.
    public static let candidatesPerEvent = 48
    /// Ids of events and of calls that are over, which a machine remembers.
    public static let rememberedCallEvents = 4_096
    /// Ids of calls that are kept in the store, so that none rings again.
    public static let rememberedCalls = 256
    /// Notices that calls give in a minute.
    public static let noticesPerMinute = 60
    /// What a call says and nobody has read yet; then it is hung up.
    public static let waitingCallOutput = 4_096
    /// How long a call waits for the homeserver's ICE servers before it begins without.
    public static let iceServersPatience = Duration.seconds(5)
    /// Bytes of the candidates in one event of ours.
    public static let candidateBytesPerEvent = 24_000
    /// URLs of ICE servers.
    public static let iceServerURLs = 16
    /// Events of a room's last minutes that are kept for a call's sake.
    public static let recentEventsOfRoom = 64
    /// The same of all rooms together.
    public static let recentEvents = 1_024
    /// Their bytes.
    public static let recentEventBytes = 8 << 20
    /// Rooms that are read back for calls when the client has just started.
    public static let callRoomsReadBack = 20
    /// How many of them are asked for at once.
    static let callRoomsReadAtOnce = 4
    /// Events that are read back in one of them.
    public static let callEventsReadBack = 30
    /// How long the last events of a call may take to go out.
    public static let callFarewell = Duration.seconds(10)
    /// How often a call looks at the time.
    public static let callTick = Duration.milliseconds(100)
    /// Bytes of a line of the media program.
    public static let mediaLineBytes = 262_144
}
