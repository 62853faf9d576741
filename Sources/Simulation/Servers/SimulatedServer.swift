internal import Cryptography
internal import FedchatTesting
internal import Federation
internal import HTTPMessages
internal import HTTPTypes
internal import Homeserver
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import SQLiteEngine
internal import Synchronization

/// A homeserver as it runs in the world: the real one, over a disk that survives its crashes.
final class SimulatedServer: RequestTaking {
    private struct State {
        var disk = SimulatedDisk()
        var life: Life?
        var engine: SQLiteDatabase?
        /// A database that is kept in memory on purpose.
        var kept: SimulatedDatabase?
        var isOver = false
        /// Milliseconds until it starts again after a crash.
        var downtime = 1_000...60_000
        /// Whether it keeps what is bounded by time for a moment only.
        var isTidy = false
    }

    /// PDUs that may wait for one destination.
    static let outboxPerDestination = 30

    /// What should be gone with a life.
    private struct Remains: Sendable {
        weak let database: SimulatedDatabase?
    }

    let name: ServerName
    private let world: World
    private let state = Mutex(State())
    private let chance: Chance
    private let random: SeededRandomSource
    private let key: Ed25519.SigningKey
    private let skew: Int64

    init(_ name: ServerName, in world: World, chance: Chance) throws {
        self.name = name
        self.world = world
        self.chance = chance
        random = SeededRandomSource(seed: chance.next())
        key = try Ed25519.SigningKey(seed: random.bytes(32))
        skew = world.plan.hasFaults ? Int64(chance.within(-2_000...2_000)) : 0
        world.network.connect(name.text, self)
    }

    /// Whether it runs now.
    var isUp: Bool { state.withLock { $0.life != nil } }

    /// Its database while it runs, as the simulation looks at it: at once, behind the server's back. Who looks may do so for
    /// longer than the server lives, so it is not the server's own.
    var database: (any Database)? { state.withLock { $0.engine } }

    func take(_ request: IncomingRequest) async -> OutgoingResponse? {
        guard let life = state.withLock({ $0.life }) else { return nil }
        let mendable = await mendable(by: request)
        var response = await life.take(request)
        if response?.status == .ok { for event in mendable { world.records.mend(event, at: name) } }
        if let response, response.status.code == 500, !life.hasEnded {
            let path = request.target.path
            world.records.find("\(name) answered 500 to \(request.method.rawValue) \(path)")
        }
        if let tampering = SyncTampering(world.plan.sabotage, path: request.target.path),
            let body = try? await response?.body.collect(upTo: 64 << 20)
        {
            response?.body = HTTPBody(tampering.changed(body))
        }
        return response
    }

    /// The events of a transaction that are whole in it, and here of a copy that was tampered with, in rooms that this server
    /// is in: once it has taken the transaction, it must have them whole.
    private func mendable(by request: IncomingRequest) async -> [EventID] {
        let tampered = world.records.tampered
        guard !tampered.isEmpty, request.target.path.hasPrefix("/_matrix/federation/v1/send/"), let database,
            let bytes = try? await request.body.collect(upTo: 16 << 20), let document = try? JSONDocument(bytes)
        else { return [] }
        let versions = Dictionary(tampered.values.map { ($0.hash, $0.version) }) { first, _ in first }
        let whole = (document.root["pdus"]?.elements ?? []).compactMap { entry -> PDU? in
            guard let version = entry["hashes"]?["sha256"]?.string.flatMap({ versions[$0] }),
                let pdu = try? PDU(parsing: entry, version: version), tampered[pdu.id] != nil
            else { return nil }
            return ContentHash.matches(pdu) ? pdu : nil
        }
        guard !whole.isEmpty else { return [] }
        let name = name
        return
            (try? await database.read { connection in
                try EventLog(connection, .plain).events(ids: whole.map(\.id)).values.filter { event in
                    guard event.redactedBy == nil, !ContentHash.matches(event.pdu) else { return false }
                    return try !RoomStore(connection).joinedMembers(room: event.roomNID, of: name).isEmpty
                }.map(\.id).sorted()
            }) ?? []
    }

    /// Lets the power fail: at once, or in the middle of the next transactions that are written.
    func crash(after writes: Int = 0) {
        let (life, disk) = state.withLock { ($0.life, $0.disk) }
        guard let life, !life.hasEnded else { return }
        world.records.count { $0.crashes += 1 }
        world.trace.note("crash \(name) after \(writes)")
        disk.cutPower(after: writes)
        if writes == 0 { life.crash() }
    }

    /// From now on it starts again at once, and stays.
    func calm() { state.withLock { $0.downtime = 100...500 } }

    /// Starts it again, with short bounds of time for what it keeps.
    func tidy() {
        let life = state.withLock { state in
            state.isTidy = true
            return state.life
        }
        life?.crash()
    }

    /// Ends it for good.
    func stop() {
        let life = state.withLock { state in
            state.isOver = true
            return state.life
        }
        life?.crash()
    }

    /// Lives from crash to crash, until it is stopped.
    func run() async {
        while !state.withLock({ $0.isOver }) {
            let remains: Remains
            do { remains = try await liveOnce() } catch {
                world.records.find("\(name) cannot start: \(error)")
                return
            }
            // Whatever ran of it has ended; its memory must be gone, too.
            if remains.database != nil { world.records.find("\(name): a server that crashed is still in memory") }
            let disk = state.withLock { $0.disk }
            if disk.hasUnsynced, !state.withLock({ $0.isOver || $0.isTidy }) {
                world.records.count { $0.tornWrites += 1 }
            }
            let left = disk.afterPowerCut { chance.happens(500) }
            let downtime = state.withLock { state in
                state.disk = left
                return state.downtime
            }
            if state.withLock({ $0.isOver }) { break }
            try? await world.clock.sleep(until: world.clock.now.advanced(by: chance.milliseconds(downtime)))
        }
    }

    private func liveOnce() async throws -> Remains {
        let life = Life()
        let disk = state.withLock { $0.disk }
        let database = try await SimulatedDatabase(
            on: disk, life, world.clock, chance.fork(), isDurable: world.plan.sabotage != .unsyncedWrites)
        do {
            try await Instance.migrate(database)
        } catch  where life.hasEnded {
            // The power failed while it started.
            await database.close()
            return Remains(database: nil)
        }
        let isEnded = await run(Instance(environment(database, life), resolver: NoSRVRecords()), life, database)
        state.withLock { state in
            state.life = nil
            state.engine = nil
        }
        if !isEnded { world.records.find("\(name) stopped by itself") }
        life.crash()
        await database.close()
        return Remains(database: database)
    }

    private func run(_ instance: Instance, _ life: Life, _ database: SimulatedDatabase) async -> Bool {
        state.withLock { state in
            state.life = life
            state.engine = database.engine
            if world.plan.sabotage == .keptServer { state.kept = database }
        }
        world.trace.note("up \(name)")
        if state.withLock({ $0.isOver }) { life.crash() }
        return await life.run(instance)
    }

    private func environment(_ database: SimulatedDatabase, _ life: Life) -> Environment {
        var configuration = HomeserverConfiguration(publicBaseURL: "https://\(name)")
        configuration.registration.isOpen = true
        configuration.registration.passwordHashCost = "minimum"
        configuration.rateLimits.isEnabled = false
        configuration.metricsEnabled = false
        configuration.federation.wellKnownLookup = false
        configuration.media.directory = "/nowhere/media"
        configuration.timeouts.federationBackoffMaximum = 5 * 60_000
        configuration.rooms.encryptByDefault = false
        // Small, so that falling behind, full caches and pages come up in a short run.
        configuration.limits.outboxPerDestination = Self.outboxPerDestination
        configuration.limits.eventCacheBytes = 256 << 10
        configuration.limits.stateCacheBytes = 64 << 10
        configuration.limits.roomHeadsCached = 4
        if state.withLock({ $0.isTidy }) {
            configuration.timeouts.repliesKept = 1_000
            configuration.timeouts.federationAnswersKept = 1_000
            configuration.timeouts.messageIDsKept = 1_000
            configuration.timeouts.presenceKept = 1_000
            configuration.timeouts.edusKept = 1_000
            configuration.timeouts.withheldKept = 1_000
            configuration.timeouts.retentionInterval = 60_000
        }
        let records = world.records
        let name = name
        var logger = Logger(label: name.text) { _ in
            FindingLogHandler { if !life.hasEnded { records.find("\(name) logged: \($0)") } }
        }
        logger.logLevel = .error
        return Environment(
            serverName: name, configuration: configuration, database: database, sealer: .plain,
            clock: LifeClock(clock: world.clock, life: life, skew: skew), random: random,
            signingKeys: SigningKeys(keyID: "ed25519:s", current: key),
            httpClient: LifeHTTPClient(network: world.network, life: life, host: name.text), logger: logger,
            blockingWork: .inline)
    }
}

/// An error that a server logs is a finding: nothing is wrong with the machine it runs on.
private struct FindingLogHandler: LogHandler {
    var logLevel = Logger.Level.error
    var metadata: Logger.Metadata = [:]
    let found: @Sendable (String) -> Void

    init(_ found: @escaping @Sendable (String) -> Void) { self.found = found }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let more = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        found("\(event.message) \(more.joined(separator: " "))")
    }
}
