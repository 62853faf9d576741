public import MatrixModel

/// What an operator may set, with its defaults; `fedchatd` fills it from YAML. Names follow the configuration file.
public struct HomeserverConfiguration: Sendable {
    public struct Rooms: Sendable {
        public var defaultVersion: RoomVersion = .v12
        public var encryptByDefault = true
        public var requireMembershipForAliases = true
        /// Days after which a room goes that all users here have left and forgotten; 0: never.
        public var forgottenKeptDays: Int64 = 28
        public init() {}
    }

    /// How long messages are kept; days, nil for no bound.
    public struct Retention: Sendable {
        /// Where a room says nothing.
        public var defaultDays: Int64?
        /// What rooms say counts between these.
        public var minimumDays: Int64?
        public var maximumDays: Int64?
        public init() {}
    }

    public struct FederationSettings: Sendable {
        public var isEnabled = true
        /// Patterns of server names; empty: all.
        public var allow: [String] = []
        public var deny: [String] = []
        public var allowPrivateAddresses = false
        public var wellKnownLookup = true
        public var retryBackoff = true
        public var publicRooms = false
        public var notaryServe = true
        public var notaryTrustedServers: [ServerName] = []
        public init() {}
    }

    /// How push gateways and the like are reached.
    public struct Outbound: Sendable {
        public var verifyTLS = true
        public var allowPrivateAddresses = false
        public init() {}
    }

    public struct Email: Sendable {
        /// The mail server; nil: no mail is sent.
        public var host: String?
        public var port = 587
        /// `address` or `Name <address>`.
        public var from: String?
        public var username: String?
        public var password: String?
        /// `none`, `starttls` or `tls`.
        public var tls = "starttls"
        public init() {}
    }

    public struct Registration: Sendable {
        public var isOpen = false
        public var guests = false
        public var requireVerification = false
        public var requireToken = false
        /// Documents that new users must agree to.
        public var terms: [Policy] = []
        /// Enables the shared-secret endpoint.
        public var sharedSecret: [UInt8]?
        /// `minimum`, `interactive`, `moderate` or `sensitive`.
        public var passwordHashCost = "interactive"
        public init() {}
    }

    public struct Clients: Sendable {
        public var accessTokenInQuery = false
        public var legacyMedia = false
        public var publicRoomsWithoutAuthentication = false
        public init() {}
    }

    public struct Media: Sendable {
        public var maxUploadBytes: Int64 = 100 << 20
        /// The folder of the files.
        public var directory = "media"
        /// Where files lie; nil: in the folder.
        public var s3: S3?
        /// Copies of other servers' files and pictures of previews; those unused for longest go.
        public var remoteCacheBytes: Int64 = 10 << 30
        /// Files that nobody has asked for in so many days go, ours too; nil: they stay.
        public var retentionDays: Int64?
        public init() {}
    }

    /// A store that speaks as S3 does.
    public struct S3: Sendable {
        /// A URL.
        public var endpoint = ""
        public var bucket = ""
        public var region = "us-east-1"
        public var accessKeyID = ""
        public var secretAccessKey: [UInt8]?
        /// The bucket stands in the path instead of in the name of the host.
        public var isPathStyle = false
        public init() {}
    }

    /// Requests to what users and operators name: push gateways, previews.
    public struct URLPreviews: Sendable {
        public var isEnabled = false
        /// Patterns of hosts that are never asked.
        public var deny: [String] = []
        public init() {}
    }

    public struct Turn: Sendable {
        public var uris: [String] = []
        public var sharedSecret: [UInt8]?
        public var ttlMilliseconds: Int64 = 86_400_000
        public init() {}
    }

    public struct RTC: Sendable {
        /// The media servers that calls may use, as clients are told them.
        public var transports: [JSONValue] = []
        public init() {}
    }

    public struct Search: Sendable {
        /// Whether the words of unencrypted messages are kept for searching; never where content is sealed at rest.
        public var indexPlaintext = true
        public init() {}
    }

    public struct Presence: Sendable {
        public var isEnabled = true
        public var federate = false
        public init() {}
    }

    /// A token bucket: so many at once, so many a second after that.
    public struct RateLimit: Sendable, Hashable {
        public var burst: Double
        public var perSecond: Double
        public init(burst: Double, perSecond: Double) {
            self.burst = burst
            self.perSecond = perSecond
        }
    }

    public struct RateLimits: Sendable {
        public var isEnabled = true
        public var messages = RateLimit(burst: 50, perSecond: 10)
        public var logins = RateLimit(burst: 5, perSecond: 0.17)
        public var registrations = RateLimit(burst: 5, perSecond: 0.17)
        public var joins = RateLimit(burst: 20, perSecond: 0.5)
        public var invites = RateLimit(burst: 20, perSecond: 0.5)
        public var keyClaims = RateLimit(burst: 100, perSecond: 10)
        /// Servers that are asked for their keys since an address named them.
        public var keyFetches = RateLimit(burst: 100, perSecond: 5)
        public var federation = RateLimit(burst: 500, perSecond: 100)
        public var previews = RateLimit(burst: 20, perSecond: 0.5)
        /// Events of one sender in one room that this server signs as its policy server.
        public var policyEvents = RateLimit(burst: 60, perSecond: 1)
        /// What the spec limits and nothing above names.
        public var other = RateLimit(burst: 200, perSecond: 50)
        public init() {}
    }

    /// Counts and bytes; the file's `limits.*`.
    public struct Limits: Sendable {
        public var devicesPerUser = 500
        public var oneTimeKeysPerDevice = 1_000
        public var toDeviceMessagesPerDevice = 10_000
        public var toDevicePerSync = 100
        public var filtersPerUser = 1_000
        public var slidingConnectionsPerDevice = 10
        public var accountDataBytes = 1 << 20
        public var syncTimelineDefault = 20
        public var syncTimelineMaximum = 100
        public var messagesPageMaximum = 1_000
        public var eventCacheBytes = 128 << 20
        public var stateCacheBytes = 64 << 20
        public var roomHeadsCached = 10_000
        public var outboxPerDestination = 10_000
        public var stagedPerOrigin = 5_000
        public var stagedPerRoom = 5_000
        public var stagedPerOriginInRoom = 1_000
        public var waitingSyncs = 50_000
        public var aliasesPerRoom = 1_000
        public var federationConcurrentDestinations = 64
        public var keysPerUpload = 1_000
        public var usersPerKeyQuery = 5_000
        public var devicesPerKeyClaim = 1_000
        public var signaturesPerUpload = 1_000
        public var keyBackupsPerUser = 20
        public var keysPerBackup: Int64 = 1_000_000
        public var tagsPerRoom = 100
        public var pushRulesBytes = 512 << 10
        public var directoryResults = 50
        public var initialInvites = 100
        public var initialStateEvents = 100
        public var forwardExtremities = 5_000
        public var authEventsFetched = 20_000
        public var stateEventsFetched = 400_000
        public var stateEventsLeftOut = 50_000
        public var pendingUploads = 50
        public var pushersPerUser = 100
        public var pushConcurrentPushers = 64
        public var pushConcurrentPerGateway = 16
        public var remoteMediaFetches = 4
        public var delayedEventsPerUser = 100
        public var invitesPerUser = 1_000
        public var previewsCached = 10_000
        public var previewPageBytes = 2 << 20
        public var previewImageBytes = 10 << 20
        public var previewFetches = 8
        public init() {}
    }

    /// Milliseconds; the file's `timeouts.*`.
    public struct Timeouts: Sendable {
        public var syncMaximum: Int64 = 60_000
        public var federationRequest: Int64 = 60_000
        public var federationTransaction: Int64 = 60_000
        public var federationJoin: Int64 = 120_000
        public var joinHeld: Int64 = 20_000
        public var keyFetch: Int64 = 10_000
        public var uiaSession: Int64 = 15 * 60_000
        public var accessTokenLifetime: Int64 = 60 * 60_000
        public var typingMaximum: Int64 = 120_000
        public var federationBackoffMaximum: Int64 = 24 * 3_600_000
        public var thumbnail: Int64 = 20_000
        public var keyQueryDefault: Int64 = 10_000
        public var keyQueryMaximum: Int64 = 30_000
        public var missingEvents: Int64 = 60_000
        public var backfill: Int64 = 10_000
        public var policyServer: Int64 = 10_000
        public var identityServer: Int64 = 10_000
        public var spaceHierarchy: Int64 = 20_000
        public var mediaWaitDefault: Int64 = 20_000
        public var mediaWaitMaximum: Int64 = 60_000
        public var remoteMedia: Int64 = 10 * 60_000
        public var preview: Int64 = 10_000
        public var previewFresh: Int64 = 3_600_000
        public var previewKept: Int64 = 24 * 3_600_000
        public var readiness: Int64 = 5_000
        public var loginToken: Int64 = 120_000
        public var openIDToken: Int64 = 3_600_000
        public var pendingUpload: Int64 = 24 * 3_600_000
        public var serverKeyValidity: Int64 = 24 * 3_600_000
        public var repliesKept: Int64 = 7 * 86_400_000
        public var federationAnswersKept: Int64 = 86_400_000
        public var messageIDsKept: Int64 = 7 * 86_400_000
        public var presenceKept: Int64 = 7 * 86_400_000
        public var edusKept: Int64 = 30 * 86_400_000
        public var delayedEventMaximum: Int64 = 86_400_000
        public var slidingConnectionsKept: Int64 = 14 * 86_400_000
        public var pushGateway: Int64 = 15_000
        public var pushBackoffMaximum: Int64 = 3_600_000
        public var pushGiveUp: Int64 = 24 * 3_600_000
        public var mail: Int64 = 60_000
        public var mailDelay: Int64 = 10 * 60_000
        public var guestsKept: Int64 = 30 * 86_400_000
        public var retentionInterval: Int64 = 3_600_000
        public var withheldKept: Int64 = 30 * 86_400_000
        public init() {}
    }

    public var publicBaseURL: String
    public var rooms = Rooms()
    public var retention = Retention()
    public var federation = FederationSettings()
    public var policyServer = PolicyServer()
    public var outbound = Outbound()
    public var email = Email()
    public var registration = Registration()
    public var profiles = Profiles()
    public var support = Support()
    public var clients = Clients()
    public var media = Media()
    public var urlPreviews = URLPreviews()
    public var turn = Turn()
    public var rtc = RTC()
    public var search = Search()
    public var presence = Presence()
    public var rateLimits = RateLimits()
    public var limits = Limits()
    public var timeouts = Timeouts()
    public var metricsEnabled = true

    public init(publicBaseURL: String) { self.publicBaseURL = publicBaseURL }
}
