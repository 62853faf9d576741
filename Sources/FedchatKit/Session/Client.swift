public import ClientEncryption
public import Cryptography
public import HTTPMessages
public import Logging
internal import MatrixAPI
public import MatrixModel
public import SQLDatabase

/// One device of one user: its session, its keys, its rooms, its messages.
///
/// `run()` keeps it in step with the server; the other methods may be called meanwhile, from many tasks at once. Exactly
/// one process may have a client on a store.
public actor Client {
    /// What a client is made of.
    public struct Parts: Sendable {
        public var database: any Database
        public var key: StoreKey
        public var http: any HTTPClient
        public var clock: any Clock<Duration>
        /// Milliseconds since 1970.
        public var now: @Sendable () -> Int64
        public var random: any RandomSource
        public var logger: Logger

        /// The database must have been migrated to ``ClientSchema``.
        public init(
            database: any Database, key: StoreKey, http: any HTTPClient, clock: any Clock<Duration>,
            now: @escaping @Sendable () -> Int64, random: any RandomSource, logger: Logger
        ) {
            self.database = database
            self.key = key
            self.http = http
            self.clock = clock
            self.now = now
            self.random = random
            self.logger = logger
        }
    }

    /// Whose device this is.
    public nonisolated let user: UserID
    /// This device.
    public nonisolated let device: DeviceID
    nonisolated let connection: HomeserverConnection
    nonisolated let database: any Database
    nonisolated let store: ClientStore
    nonisolated let machine: EncryptionMachine
    nonisolated let clock: any Clock<Duration>
    /// Milliseconds since 1970.
    nonisolated let now: @Sendable () -> Int64
    nonisolated let random: any RandomSource
    nonisolated let logger: Logger
    /// Queries, claims, shares and their to-device messages: one at a time.
    nonisolated let keyTurns = Turns()
    nonisolated let refreshTurns = Turns()
    nonisolated let ledgerTurns = Turns()
    nonisolated let interruptionTurns = Turns()

    var credentials: Credentials
    var isLoggedOut = false
    var hasSynced = false
    /// Room keys that came since they were counted; at the start as many as may be.
    var uncountedRoomKeys = ClientLimits.uncountedRoomKeys
    /// Sessions for which the backup was asked.
    var askedOfBackup = Patience<SyncOutcome.RoomKey>()
    /// Whether signatures that are due were refused.
    var refusedSignatures = Patience<String>()
    var listeners: [Int: AsyncStream<ClientUpdate>.Continuation] = [:]
    var nextListener = 0
    /// When this object began, in milliseconds since 1970.
    nonisolated let started: Int64
    var recent = RecentEvents()
    /// Woken when keys may have to be uploaded, or messages to be sent again.
    nonisolated let upkeep = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    /// Rooms with new messages, and whether a task takes them from there.
    nonisolated let drains = AsyncStream<RoomID>.makeStream()
    var isSending = false
    var draining: Set<RoomID> = []
    var grown: Set<RoomID> = []
    /// Messages whose senders wait, by transaction id.
    var expected: [String: RoomID] = [:]
    var waiters: [String: CheckedContinuation<EventID, any Error>] = [:]
    var outcomes: [String: Result<EventID, any Error>] = [:]
    /// What is known of verifications.
    var ledger: VerificationLedger
    /// When the server was last asked for the backup in use; nil for not yet.
    var backupCheckedAt: Int64?

    private init(
        _ parts: Parts, _ homeserver: Homeserver, _ credentials: Credentials, _ ledger: VerificationLedger
    ) {
        self.ledger = ledger
        user = credentials.user
        device = credentials.device
        self.credentials = credentials
        connection = HomeserverConnection(homeserver, http: parts.http, clock: parts.clock)
        database = parts.database
        store = ClientStore(key: parts.key, random: parts.random)
        machine = EncryptionMachine(
            user: credentials.user, device: credentials.device, key: parts.key, random: parts.random, now: parts.now)
        clock = parts.clock
        now = parts.now
        started = parts.now()
        random = parts.random
        logger = parts.logger
    }

    /// Opens the client of a store that has a session. Throws `notLoggedIn`, `encryption(.wrongStoreKey)`, and what the
    /// database throws.
    public static func open(_ parts: Parts, homeserver: Homeserver) async throws -> Client {
        let store = ClientStore(key: parts.key, random: parts.random)
        let stored = try await parts.database.read { connection in
            (try store.credentials(in: connection), try store.value("verifications", in: connection))
        }
        guard let credentials = stored.0 else { throw ClientError.notLoggedIn }
        let client = Client(parts, homeserver, credentials, VerificationLedger(stored: stored.1))
        try await parts.database.write { connection in
            try client.machine.begin(in: connection)
            try store.dequeueExpiring(in: connection)
        }
        return client
    }

    /// A call with the session's token, which is refreshed when it has expired. Throws ``ClientError``.
    func call(
        _ call: APICall, attempts: Int = ClientLimits.attempts, timeout: Duration = ClientLimits.callTimeout,
        maximumBytes: Int = ClientLimits.answerBytes
    ) async throws -> JSONView {
        try await withToken { token in
            try await self.send(call, token, attempts, timeout, maximumBytes)
        }
    }

    /// Runs `work` with the session's token, once more if it has expired. Throws ``ClientError``.
    func withToken<R: Sendable>(
        _ work: @Sendable (String) async throws -> R
    ) async throws -> R {
        guard !isLoggedOut else { throw ClientError.notLoggedIn }
        let token = credentials.accessToken
        do {
            return try await work(token)
        } catch ClientError.server(let refusal) where refusal.code == .unknownToken || refusal.code == .missingToken {
            guard refusal.fields["soft_logout"]?.bool == true, credentials.refreshToken != nil else {
                isLoggedOut = true
                throw ClientError.notLoggedIn
            }
            try await refresh(token)
            return try await work(credentials.accessToken)
        }
    }

    private nonisolated func send(
        _ call: APICall, _ token: String, _ attempts: Int, _ timeout: Duration, _ maximumBytes: Int
    ) async throws(ClientError) -> JSONView {
        if attempts == 1 {
            return try await connection.send(call, token: token, timeout: timeout, maximumBytes: maximumBytes)
        }
        return try await connection.sendRepeating(call, token: token, attempts: attempts)
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens>
    private func refresh(_ expired: String) async throws {
        try await refreshTurns.hold { try await self.refreshInTurn(expired) }
    }

    private func refreshInTurn(_ expired: String) async throws {
        guard credentials.accessToken == expired, let refreshToken = credentials.refreshToken else { return }
        let answer = try await renewal(refreshToken)
        var renewed = credentials
        renewed.accessToken = try answer.requiredString("access_token")
        if let next = try answer.optionalString("refresh_token") { renewed.refreshToken = next }
        let (store, kept) = (store, renewed)
        try await database.write { try store.setCredentials(kept, in: $0) }
        credentials = renewed
    }

    private func renewal(_ refreshToken: String) async throws -> JSONView {
        do {
            return try await connection.sendRepeating(
                APICall(.refresh, body: ["refresh_token": .string(refreshToken)]))
        } catch {
            guard case .server(let refusal) = error, refusal.code == .unknownToken else { throw error }
            isLoggedOut = true
            throw ClientError.notLoggedIn
        }
    }

    /// Ends the session on the server, where it can be reached, and for this object. The store is the caller's to delete.
    public func logout() async throws {
        do {
            _ = try await call(APICall(.logout))
        } catch ClientError.notLoggedIn {
            // It had ended already.
        }
        isLoggedOut = true
    }

    /// Runs `work` for at most `limit`. Throws `timedOut`.
    nonisolated func within<R: Sendable>(
        _ limit: Duration, _ what: String, _ work: @escaping @Sendable () async throws -> R
    ) async throws -> R {
        let clock = clock
        return try await withThrowingTaskGroup(of: R.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await clock.sleep(for: limit)
                throw ClientError.timedOut(what)
            }
            let first = await group.nextResult()
            group.cancelAll()
            guard let first else { throw ClientError.timedOut(what) }
            return try first.get()
        }
    }
}
