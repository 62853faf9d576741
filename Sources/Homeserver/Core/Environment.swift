public import Cryptography
public import HTTPMessages
public import HomeserverStorage
public import Logging
public import MatrixModel
public import SQLDatabase

/// What a homeserver stands in: its name, settings, database, network, clock and chance. Handed to handlers as a value.
public struct Environment: Sendable {
    public let serverName: ServerName
    public let configuration: HomeserverConfiguration
    public let database: any Database
    public let sealer: StorageSealer
    public let clock: any ServerClock
    public let random: any RandomSource
    public let signingKeys: SigningKeys
    /// What this server signs with as a policy server; nil where it is none.
    public let policyServerKey: Ed25519.SigningKey?
    public let httpClient: any HTTPClient
    /// Sends mail; nil where no mail server is named.
    public let mailSender: (any MailSender)?
    public let logger: Logger
    /// Where work that blocks is done: files, password hashes.
    public let blockingWork: BlockingWork
    /// What of the configuration may change while the server runs.
    let settings: ReloadedSettings

    public init(
        serverName: ServerName, configuration: HomeserverConfiguration, database: any Database, sealer: StorageSealer,
        clock: any ServerClock, random: any RandomSource, signingKeys: SigningKeys, httpClient: any HTTPClient,
        logger: Logger, blockingWork: BlockingWork = .ownThreads, mailSender: (any MailSender)? = nil,
        policyServerKey: Ed25519.SigningKey? = nil
    ) {
        self.serverName = serverName
        self.configuration = configuration
        self.database = database
        self.sealer = sealer
        self.clock = clock
        self.random = random
        self.signingKeys = signingKeys
        self.httpClient = httpClient
        self.logger = logger
        self.blockingWork = blockingWork
        self.mailSender = mailSender
        self.policyServerKey = policyServerKey
        settings = ReloadedSettings(configuration)
    }

    /// Whether a name of this server's.
    public func isLocal(_ user: UserID) -> Bool { user.serverName == serverName }

    /// Ends the leases that this node held when it was killed, so that it need not wait for their end. On PostgreSQL they
    /// may be another node's.
    func releaseLeases(_ release: @escaping @Sendable (any SQLConnection) throws -> Void) async {
        if database.dialect == .sqlite { try? await database.write(release) }
    }
}
