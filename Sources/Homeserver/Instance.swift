internal import Cryptography
public import Federation
public import HTTPMessages
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
public import SQLDatabase

/// A homeserver: all its parts, assembled from an environment. Listeners hand requests to `handler(for:)`, while `run` does
/// what is done in the background.
public struct Instance: Sendable {
    public let environment: Environment
    private let limiter: RateLimiter
    private let router: Router
    private let authenticator: TokenAuthenticator
    private let servers: ServerAuthentication
    private let watcher: StreamWatcher
    private let sender: FederationSender
    private let staged: StagedEvents
    private let completion: StateCompletion
    private let housekeeping: Housekeeping
    private let retention: RetentionKeeper
    private let gauges: TableGauges?
    private let ephemeral: EphemeralIntake
    private let indexing: SearchIndexing
    private let delayed: DelayedSending
    private let pushes: PushSender
    private let guests: GuestDeparture

    /// Brings a database to the newest schema. Throws `DatabaseError` when it is newer than this program.
    public static func migrate(_ database: any Database) async throws {
        try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
    }

    /// Assembles a homeserver. Nothing runs yet.
    /// - Parameters:
    ///   - resolver: looks SRV records up for discovery.
    ///   - version: this program's, told to other servers.
    ///   - metrics: what `/metrics` shows; nil shows none.
    public init(
        _ environment: Environment, resolver: any SRVResolving, version: String = "0", metrics: PrometheusMetrics? = nil
    ) {
        let configuration = environment.configuration
        self.environment = environment
        limiter = RateLimiter(
            configuration.rateLimits, clock: environment.clock, database: environment.database)
        authenticator = TokenAuthenticator(environment: environment, applicationServices: nil)

        // Towards other servers.
        let (clock, settings) = (environment.clock, environment.settings)
        let discovery = ServerDiscovery(
            httpClient: environment.httpClient, resolver: resolver,
            asksWellKnown: configuration.federation.wellKnownLookup,
            allowsPrivateAddresses: configuration.federation.allowPrivateAddresses, now: { clock.monotonic() })
        let client = FederationClient(
            serverName: environment.serverName, keyID: environment.signingKeys.keyID,
            key: environment.signingKeys.current, httpClient: environment.httpClient, discovery: discovery,
            allowsPrivateAddresses: configuration.federation.allowPrivateAddresses,
            mayReach: { settings.allows($0) })
        let keyRing = KeyRing(environment, client: client)
        let sender = FederationSender(environment, client: client)
        self.sender = sender
        servers = ServerAuthentication(
            environment: environment, keyRing: keyRing, limiter: limiter, heardFrom: { await sender.heardFrom($0) })
        let verification = PDUVerification(environment: environment, keyRing: keyRing)

        // Rooms.
        let reader = RoomReader(environment: environment)
        let ownPolicyServer = OwnPolicyServer(environment: environment, reader: reader, limiter: limiter)
        let writer = RoomWriter(
            environment: environment, reader: reader,
            policyServers: PolicyServers(
                client: client, timeout: .milliseconds(configuration.timeouts.policyServer),
                serverName: environment.serverName, own: ownPolicyServer))
        let missing = MissingEvents(environment: environment, client: client, verification: verification)
        let judgement = PDUJudgement(environment: environment, reader: reader, writer: writer, missing: missing)
        staged = StagedEvents(environment, judgement: judgement)
        let completion = StateCompletion(environment, judgement: judgement)
        self.completion = completion
        let remote = RemoteMembership(
            environment: environment, client: client, verification: verification,
            imports: RoomImport(environment: environment, verification: verification, writer: writer),
            judgement: judgement, joinedInPart: { completion.notify() })
        let collaborators = RoomCollaborators(remoteJoining: remote, inviteSending: remote)
        let memberships = MembershipEditing(writer: writer, collaborators: collaborators)
        retention = RetentionKeeper(environment: environment, reader: reader, memberships: memberships)
        gauges = metrics == nil ? nil : TableGauges(environment: environment)

        let delivery = EventDelivery(writer: writer, memberships: memberships)
        let delayed = DelayedSending(delivery: delivery)
        self.delayed = delayed

        // Devices and accounts.
        let deviceLists = DeviceLists(environment: environment)
        let remoteDevices = RemoteDevices(environment: environment, client: client)
        let accounts = AccountRoutes(
            environment: environment, authenticator: authenticator,
            passwords: PasswordThreads(
                cost: configuration.registration.passwordHashCost, random: environment.random,
                environment.blockingWork),
            limiter: limiter,
            collaborators: AccountCollaborators(
                deviceLists: deviceLists, profiles: memberships,
                remoteProfiles: FederatedProfiles(
                    client: client, timeout: .milliseconds(configuration.timeouts.federationRequest)),
                departure: memberships))

        let guests = GuestDeparture(memberships: memberships, ending: accounts.ending)
        self.guests = guests

        // What is new, and who waits for it.
        let authenticator = authenticator
        let staged = staged
        let indexing = SearchIndexing(environment: environment, rooms: reader)
        self.indexing = indexing
        let summaries = RoomSummaries(rooms: reader)
        let pushReading = PushReading(rooms: reader, evaluation: PushEvaluation(rooms: reader, summaries: summaries))
        let pushes = PushSender(
            environment, reading: pushReading, unread: UnreadCounts(rooms: reader, summaries: summaries))
        self.pushes = pushes
        let texts = EventTexts(events: reader.events, sealer: environment.sealer, erased: ErasedUsers(clock: clock))
        let watcher = StreamWatcher(
            environment: environment,
            hooks: [
                .init(prefix: "events") { _ in indexing.notify() },
                .init(prefix: "tokens") { authenticator.received($0) },
                .init(prefix: "redacted") {
                    reader.received($0)
                    texts.received($0)
                },
                .init(prefix: "events ") { pushes.received($0) },
                .init(prefix: "receipts ") { pushes.received($0) },
                .init(prefix: "pushers ") { pushes.received($0) },
                .init(prefix: "guest_access") { guests.received($0) },
                .init(prefix: "erased") { texts.erased?.received($0) },
                .init(prefix: "state_keys") { reader.received($0) },
                .init(prefix: "outbox") { sender.notify($0.split(separator: " ").dropFirst().map(String.init)) },
            ])
        self.watcher = watcher
        let presence = PresenceKeeper(environment: environment, sender: sender)
        let receipts = ReceiptKeeper(environment: environment, rooms: reader, sender: sender)
        let ephemeral = EphemeralIntake(environment: environment, receipts: receipts, presence: presence)
        self.ephemeral = ephemeral
        let media = MediaRoutes(environment: environment, federation: client, limiter: limiter)
        housekeeping = Housekeeping(environment: environment, media: media)

        let history = RemoteHistory(environment: environment, judgement: judgement, missing: missing)
        let reading = RoomReading(environment: environment, rooms: reader, texts: texts, backfill: history)
        let descriptions = RoomDescriptions(rooms: reader)
        let listed = PublicRooms(descriptions: descriptions)

        let syncing = Syncing(
            environment: environment, rooms: reader, texts: texts, watcher: watcher, presence: presence)

        // Who answers what.
        let serving = RoomServing(environment: environment, reader: reader, erased: texts.erased)
        let database = environment.database
        let addresses = ThirdPartyInviting(
            environment: environment, reader: reader, memberships: memberships, client: client, limiter: limiter)
        let groups: [any RouteGroup] = [
            accounts,
            RoomCreating(writer: writer, memberships: memberships, limiter: limiter),
            RoomSending(delivery: delivery, delayed: delayed, limiter: limiter),
            DelayedEventManaging(delayed: delayed),
            MembershipChanging(memberships: memberships, limiter: limiter, addresses: addresses),
            AliasEditing(writer: writer, collaborators: collaborators),
            RoomUpgrading(writer: writer),
            Reporting(environment: environment, rooms: reader, limiter: limiter),
            reading, RelationReading(reading: reading), RoomSearching(reading: reading),
            PublicRoomListing(
                environment: environment, rooms: reader, listed: listed,
                remote: RemoteDirectory(environment: environment, client: client)),
            syncing,
            SlidingSyncing(
                environment: environment, sync: syncing.reader, watcher: watcher, presence: presence),
            OldSyncing(reading: reading, watcher: watcher, presence: presence),
            ThreadSubscribing(environment: environment, rooms: reader), MutualRooms(environment: environment),
            ReceiptSending(receipts: receipts),
            TypingSending(environment: environment, receipts: receipts),
            PusherEditing(environment: environment, mail: pushes.mail), MailConsenting(environment: environment),
            NotificationListing(environment: environment, reading: pushReading, texts: texts),
            PresenceKeeping(environment: environment, presence: presence),
            KeyPublishing(environment: environment, keyRing: keyRing, limiter: limiter),
            KeyUploading(environment: environment, deviceLists: deviceLists),
            KeyQuerying(environment: environment, client: client, remote: remoteDevices, limiter: limiter),
            CrossSigning(
                environment: environment, deviceLists: deviceLists, interactive: accounts.confirmation,
                remote: remoteDevices),
            ToDeviceSending(environment: environment),
            KeyBackup(environment: environment),
            DehydratedDevices(environment: environment, deviceLists: deviceLists),
            serving,
            JoinAnswering(
                environment: environment, reader: reader, writer: writer, serving: serving, verification: verification),
            InviteReceiving(
                environment: environment, reader: reader, writer: writer, verification: verification,
                accountExists: { user in try await database.read { try AccountStore($0).account(user) != nil } }),
            QueryAnswering(environment: environment, reader: reader),
            addresses,
            SpaceExploring(
                environment: environment, descriptions: descriptions,
                remote: RemoteHierarchies(environment: environment, client: client), aliases: remote),
            HierarchyServing(environment: environment, descriptions: descriptions),
            PublicRoomServing(environment: environment, listed: listed),
            TimestampServing(serving: serving),
            media,
            PolicyServing(
                environment: environment, reader: reader, verification: verification, own: ownPolicyServer),
            WellKnownRoutes(environment: environment, version: version),
            HealthRoutes(environment: environment),
            TurnServerRoutes(environment: environment), RTCTransportTelling(environment: environment),
            TransactionReceiving(
                environment: environment, reader: reader, verification: verification, staged: staged,
                edus: EDUIntake(
                    environment: environment, reader: reader, remoteDevices: remoteDevices, ephemeral: ephemeral)),
        ]
        var router = Router()
        if let metrics { MetricsRoutes(metrics: metrics).register(on: &router) }
        for group in groups { group.register(on: &router) }
        self.router = router
    }

    /// What answers the requests of a listener that serves these resources.
    public func handler(for resources: Set<Resource>) -> any HTTPHandler {
        APIHandler(
            router: router, resources: resources, clients: authenticator, servers: servers, limiter: limiter,
            environment: environment)
    }

    /// Takes some of a configuration that was read again: rate limits, registration, the lists of servers, what a
    /// policy server refuses.
    public func reload(_ configuration: HomeserverConfiguration) {
        limiter.replace(configuration.rateLimits)
        environment.settings.replace(with: configuration)
    }

    /// Runs what is done in the background, until the task is cancelled.
    public func run() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await watcher.run() }
            if environment.configuration.federation.isEnabled {
                group.addTask { await sender.run() }
                group.addTask { await staged.run() }
                group.addTask { await completion.run() }
            }
            group.addTask { await housekeeping.run() }
            group.addTask { await indexing.run() }
            group.addTask { await delayed.run() }
            group.addTask { await guests.run() }
            group.addTask { await retention.run() }
            if let gauges { group.addTask { await gauges.run() } }
            group.addTask { await ephemeral.run() }
            group.addTask { await pushes.run() }
            await group.waitForAll()
        }
    }
}
