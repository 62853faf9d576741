/// What this target takes and keeps. Counts unless said otherwise.
enum Limits {
    /// Devices taken of one user; a server that names more is lying.
    static let devicesPerUser = 512
    /// Bytes of a user's master key or of a device's keys, with their signatures.
    static let identityBytes = 64 << 10
    /// Signatures in one upload.
    static let signaturesPerUpload = 100
    /// PBKDF2 rounds of a new secret storage key's passphrase: about half a second.
    static let passphraseRounds = 500_000
    /// The fewest rounds of a passphrase under which a secret is sealed.
    static let leastPassphraseRounds = 100_000
    /// Bytes of a secret in account data or between devices; ours have 43.
    static let secretBytes = 4_096
    /// Milliseconds for which a secret is asked for, or a request is remembered.
    static let secretRequestMilliseconds: Int64 = 900_000
    /// Requests of secrets that are remembered.
    static let secretReplies = 64
    /// Sessions in one upload to the online backup: each makes about 700 bytes.
    static let sessionsPerBackupUpload = 100
    /// Keys that one MAC message of a verification may name.
    static let verifiedKeys = 16
    /// Bytes of a scanned QR code.
    static let qrBytes = 2_953
    /// Milliseconds after which a verification is given up.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#error-and-exception-handling>
    static let verificationMilliseconds: Int64 = 600_000
    /// Milliseconds after which a request that nobody has accepted is dropped.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
    static let promptMilliseconds: Int64 = 120_000
    /// Users asked about in one statement of the store: it binds 32,766 values at most, and is kept prepared by their number.
    static let usersPerStatement = 500
    /// Users asked for in one `/keys/query`.
    static let usersPerQuery = 250
    /// Devices whose one-time keys are claimed at once.
    static let devicesPerClaim = 250
    /// Milliseconds between refills of one-time encapsulation keys, should a server not count them; and until a server is
    /// offered again what it refused, or shown again what it does not show.
    static let hybridUploadMilliseconds: Int64 = 3_600_000
    /// Refusals of encapsulation keys in a row until then: each time others are made.
    static let hybridRefusals: Int64 = 8
    /// Milliseconds for which an encapsulation key that was claimed is used: its owner may forget a fallback key an hour
    /// after the next.
    static let claimedKeyMilliseconds: Int64 = 600_000
    /// Devices named that are written to without the post-quantum key agreement that they offer.
    static let suspiciousDevices = 100
    /// Characters of an encapsulation key in base64: 1,579, or with padding 1,580.
    static let encapsulationKeyCharacters = 1_580
    /// Messages in one `/sendToDevice`: about 1,500 bytes each, 3,100 where ML-KEM-768 begins a session, under a server's
    /// limit of a request.
    static let messagesPerToDevice = 100
    /// Olm sessions kept per peer device: the oldest unused go.
    static let olmSessionsPerDevice = 6
    /// Notices of new devices and identities told at once; the rest follows.
    static let noticesAtOnce = 20
    /// Warnings of what was refused in one sync.
    static let warningsPerSync = 100
    /// Devices of a user that are gone and whose pinned keys are kept: the oldest are forgotten first.
    static let goneDevicesPerUser = 1_024
    /// Milliseconds after which a device without one-time keys, or a server that did not answer, is asked again; it
    /// doubles with each failure.
    static let claimRetryMilliseconds: Int64 = 15_000
    /// The longest such pause.
    static let longestRetryMilliseconds: Int64 = 3_600_000
    /// Milliseconds after which a fallback key that nobody used is renewed.
    static let fallbackMilliseconds: Int64 = 604_800_000
    /// Milliseconds that the fallback key before the present one still opens messages.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys>
    static let previousFallbackMilliseconds: Int64 = 3_600_000
    /// Milliseconds between questions of how many one-time keys there are, to a server that does not say.
    static let countMilliseconds: Int64 = 600_000
    /// Milliseconds during which a message may still be on its way when a device is added: that device gets its key.
    static let recentMilliseconds: Int64 = 60_000
    /// Milliseconds after which a key that has not come by itself is asked for by replacing the channel to its sender.
    static let patienceMilliseconds: Int64 = 30_000
    /// Milliseconds that it is kept who was given which key, so that it can be given again to a device that lost it.
    static let shareMilliseconds: Int64 = 86_400_000
    /// Devices that may say that one session is theirs, beside the first.
    static let claimsPerSession = 64
    /// The same of one user.
    static let claimsPerSessionAndUser = 4
    /// Recent messages kept of a session.
    static let recentMessages = 128
    /// Withheld codes kept, of all rooms.
    static let receivedWithheld: Int64 = 10_000
    /// Olm messages whose hashes are kept, so that one that comes again is told from one under a key used twice.
    static let readOlmMessages: Int64 = 10_000
    /// Senders whose Olm messages could not be read, and devices that say they have no session with us.
    static let wedgedSenders: Int64 = 1_000
    /// Requests for room keys that wait for an answer.
    static let keyRequests = 1_000
    /// Milliseconds after which a request for a key is given up; it may then be made anew.
    static let keyRequestMilliseconds: Int64 = 86_400_000
    /// Requests of other devices kept until a session with them is there.
    static let incomingKeyRequests: Int64 = 1_000
    /// Key bundles kept until their room is joined.
    static let keyBundles: Int64 = 200
    /// Milliseconds after joining during which the inviter's bundle is taken.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-a-key-bundle-event>
    static let bundleMilliseconds: Int64 = 86_400_000
    /// Attempts at fetching a bundle.
    static let bundleAttempts: Int64 = 5
    /// Sessions in a bundle.
    static let sessionsPerBundle = 10_000
    /// Bytes of a bundle: about 500 a session.
    static let bundleBytes = 8 << 20
    /// Megolm sessions that are kept for reading, of all rooms and devices: about 700 bytes each.
    static let inboundSessions = 200_000
    /// Indexes of a Megolm session whose events are kept in one row: about 50 bytes each.
    static let indexesPerBlock: Int64 = 32
    /// Such rows of one session: 100,000 messages, the newest; a thousand times what a client sends with one session.
    static let blocksPerSession = 3_125
    /// Events remembered that could not be read.
    static let unreadEvents: Int64 = 10_000
    /// Milliseconds that our server may wait for others when keys are asked for: who does not answer is asked again
    /// later, and gets the room key then.
    static let remoteKeysMilliseconds: Int64 = 3_000
    /// Users to whom room keys are owed: the oldest debts are forgotten first.
    static let owedRoomKeys = 10_000
    /// Milliseconds between new Olm sessions made because a message of a device could not be read.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#recovering-from-undecryptable-messages>
    static let unwedgeMilliseconds: Int64 = 3_600_000
    /// Milliseconds that a Megolm session lives, unless the room says otherwise.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomencryption>
    static let rotationMilliseconds: Int64 = 604_800_000
    /// Milliseconds by which our clock and a server's may differ.
    static let clockSkewMilliseconds: Int64 = 86_400_000
    /// Messages of a Megolm session, unless the room says otherwise.
    static let rotationMessages: Int64 = 100
    /// The shortest life of a Megolm session that a room may ask for, in milliseconds.
    static let leastRotationMilliseconds: Int64 = 3_600_000
    /// The longest, four weeks: one key for ever would open all that is ever said to whoever gets hold of it.
    static let mostRotationMilliseconds: Int64 = 2_419_200_000
    /// The most messages that a room may ask for.
    static let mostRotationMessages: Int64 = 10_000
    /// Bytes of a decrypted payload: an event's 65,536 with room to spare.
    static let payloadBytes = 128 << 10
    /// Bytes of a passphrase.
    static let passphraseBytes = 4_096
}
