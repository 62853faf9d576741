internal import Cryptography
internal import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Sends what waits for other servers: to each destination in order, to many at once, again after failures.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#transactions>
final class FederationSender: Sendable {
    /// Spec: a transaction holds at most so many.
    private static let pdusPerTransaction = 50
    private static let edusPerTransaction = 100
    /// How often the database is asked what is due, when nobody says so.
    private static let poll = Duration.seconds(2)
    /// EDUs kept for a destination that does not answer.
    private static let keptEDUs = 20_000
    /// A server that speaks to us is looked up among those that failed at most this often.
    private static let heardAgain = Duration.seconds(60)
    private static let serversHeard = 10_000
    /// Refusals that are about what was sent, and would be the same again.
    private static let lastingRefusals: Set<String> = [
        "M_BAD_JSON", "M_NOT_JSON", "M_TOO_LARGE", "M_INVALID_PARAM", "M_MISSING_PARAM",
    ]

    /// What goes into the next transaction.
    private struct Batch: Sendable {
        var pdus: [Outbox.PendingPDU] = []
        var edus: [Outbox.PendingEDU] = []
        var passing: [EphemeralEDUs.Waiting] = []
        var bodies: [[UInt8]] = []
        var isCatchingUp = false
        var failures = 0

        var isEmpty: Bool { pdus.isEmpty && edus.isEmpty && passing.isEmpty }
    }

    private enum Lease: Sendable {
        case taken
        /// It failed, and its time has not come.
        case paused
        /// Another node sends to it.
        case elsewhere
    }

    private let environment: Environment
    private let client: FederationClient
    private let ephemeral = EphemeralEDUs()
    private let backoff: Backoff
    private let node: String
    private let turns: WorkTurns
    private let heard = Mutex<[ServerName: Duration]>([:])
    /// How many PDUs or EDUs a destination gets at once after it refused more.
    private let narrowed = Mutex<[String: Int]>([:])
    private let wakes: AsyncStream<String>
    private let wake: AsyncStream<String>.Continuation

    init(_ environment: Environment, client: FederationClient) {
        self.environment = environment
        self.client = client
        backoff = Backoff(
            maximum: environment.configuration.timeouts.federationBackoffMaximum,
            grows: environment.configuration.federation.retryBackoff)
        node = Hex.encode(environment.random.bytes(8))
        turns = WorkTurns(limit: environment.configuration.limits.federationConcurrentDestinations)
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    /// A node that dies leaves its destinations to others after so many milliseconds; one that lives renews in time.
    private static let lease: Int64 = 8_000

    /// Something waits for these destinations.
    func notify(_ destinations: some Sequence<String>) {
        for destination in destinations { wake.yield(destination) }
    }

    /// Sends an EDU that may be lost. A newer one of the same key takes its place.
    func sendEphemeral(type: String, key: String, content: JSONValue, to destinations: some Sequence<ServerName>) {
        let body = Self.edu(type, content)
        let now = environment.clock.monotonic()
        for destination in destinations where destination != environment.serverName {
            ephemeral.add(body, key: key, to: destination.text, at: now)
            wake.yield(destination.text)
        }
    }

    /// The JSON object of an EDU.
    static func edu(_ type: String, _ content: JSONValue) -> [UInt8] {
        JSONValue.object(["edu_type": .string(type), "content": content]).serialized()
    }

    /// A server spoke to us, so it is there again. One that speaks but never listens gets no more than a try a minute of this.
    func heardFrom(_ server: ServerName) async {
        let now = environment.clock.monotonic()
        let isNews = heard.withLock { heard in
            if let last = heard[server], now - last < Self.heardAgain { return false }
            if heard.count >= Self.serversHeard { heard.removeAll(keepingCapacity: true) }
            heard[server] = now
            return true
        }
        guard isNews else { return }
        let waits = try? await environment.database.read { connection in
            try Outbox(connection).destination(server.text).map { $0.retryAt > 0 } ?? false
        }
        guard waits == true else { return }
        _ = try? await environment.database.write { try Outbox($0).wake(server.text) }
        wake.yield(server.text)
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in await look() }
            for await destination in wakes where turns.begin(destination) {
                group.addTask { [self] in
                    await serve(destination)
                    for next in turns.end(destination) { wake.yield(next) }
                }
            }
        }
    }

    /// Looks for what is due: after a start, after a pause, or where another node wrote it.
    private func look() async {
        await environment.releaseLeases { try Outbox($0).releaseAll() }
        let node = node
        await environment.clock.every(Self.poll) {
            let now = environment.clock.now()
            let held = turns.active
            if !held.isEmpty {
                try? await environment.database.write {
                    try Outbox($0).renew(held, holder: node, until: now + Self.lease)
                }
            }
            let limit = 2 * environment.configuration.limits.federationConcurrentDestinations
            let due = try? await environment.database.read { try Outbox($0).due(now: now, limit: limit) }
            for destination in due ?? [] {
                if destination.isFailing { turns.note(destination.name, isSlow: true) }
                wake.yield(destination.name)
            }
            for destination in ephemeral.destinations { wake.yield(destination) }
        }
        wake.finish()
    }

    /// Sends to one destination until nothing waits or it fails.
    private func serve(_ name: String) async {
        guard let server = try? ServerName(name), server != environment.serverName else {
            ephemeral.drop(name)
            return
        }
        do {
            sending: while !Task.isCancelled {
                switch try await takeLease(name) {
                case .taken: guard try await sendNext(name, server) else { break sending }
                case .paused:
                    ephemeral.drop(name)
                    return
                case .elsewhere: return
                }
            }
        } catch {
            environment.logger.warning("outbox", metadata: ["destination": "\(name)", "cause": "\(error)"])
        }
        let node = node
        _ = try? await environment.database.write { try Outbox($0).release(name, holder: node) }
    }

    private func takeLease(_ name: String) async throws -> Lease {
        let node = node
        let now = environment.clock.now()
        return try await environment.database.write { connection in
            let outbox = Outbox(connection)
            if let state = try outbox.destination(name), state.retryAt > now { return .paused }
            return try outbox.lease(name, holder: node, now: now, until: now + Self.lease) ? .taken : .elsewhere
        }
    }

    /// Sends one transaction. Returns whether there may be more.
    private func sendNext(_ name: String, _ server: ServerName) async throws -> Bool {
        let batch = try await next(name)
        guard !batch.isEmpty else {
            guard batch.isCatchingUp else { return false }
            // Either way there may be more: rooms that got something meanwhile, or what waits as usual.
            _ = try await environment.database.write { try Outbox($0).caughtUp(name) }
            return true
        }
        let refused: FederationError
        do {
            let answer = try await client.json(
                transaction(batch), at: server,
                timeout: .milliseconds(environment.configuration.timeouts.federationTransaction),
                maximumBytes: 8 << 20)
            for (id, result) in (answer["pdus"]?.members ?? []).prefix(Self.pdusPerTransaction)
            where result["error"] != nil {
                environment.logger.info(
                    "a server refused an event", metadata: ["destination": "\(name)", "event": "\(id)"])
            }
            turns.note(name, isSlow: false)
            narrowed.withLock { narrowed in
                guard let width = narrowed[name] else { return }
                narrowed[name] = width >= Self.pdusPerTransaction ? nil : width * 2
            }
            try await environment.database.groupedWrite {
                try Outbox($0).delivered(name, pdus: batch.pdus, edus: batch.edus)
            }
            return true
        } catch let error as FederationError {
            refused = error
        }
        if try await narrow(name, batch, refused) { return true }
        try await pause(name, batch, refused)
        return false
    }

    /// What is next for a destination. While it catches up, the newest event of each room it lacks events of.
    private func next(_ name: String) async throws -> Batch {
        let sealer = environment.sealer
        let width = narrowed.withLock { $0[name] }
        var batch = try await environment.database.read { connection in
            let outbox = Outbox(connection)
            var batch = Batch()
            let state = try outbox.destination(name)
            batch.isCatchingUp = state?.isCatchingUp ?? false
            batch.failures = state?.failures ?? 0
            let limit = min(width ?? Self.pdusPerTransaction, Self.pdusPerTransaction)
            batch.pdus =
                batch.isCatchingUp
                ? try outbox.roomsToCatchUp(name, after: state?.sentPosition ?? 0, limit: limit)
                : try outbox.pendingPDUs(for: name, limit: limit)
            // One by one, an EDU follows when no PDU is left.
            if width == nil || batch.pdus.isEmpty {
                batch.edus = try outbox.pendingEDUs(for: name, limit: width ?? Self.edusPerTransaction, sealer: sealer)
            }
            let events = try EventLog(connection, sealer).events(nids: batch.pdus.map(\.eventNID))
            batch.bodies = batch.pdus.compactMap { events[$0.eventNID]?.pdu.canonicalJSON }
            return batch
        }
        if width == nil {
            batch.passing = ephemeral.take(
                name, limit: Self.edusPerTransaction - batch.edus.count, at: environment.clock.monotonic())
        }
        return batch
    }

    /// After a refusal that is about what was sent: sends less at once, until what is at fault is alone, and drops it. One
    /// event that a server cannot read must not keep all others from it. Returns whether this was such a refusal.
    private func narrow(_ name: String, _ batch: Batch, _ error: FederationError) async throws -> Bool {
        guard case .refused(let status, let answer) = error, status == 400 || status == 413,
            status == 413 || answer.map({ Self.lastingRefusals.contains($0.code.text) }) == true
        else { return false }
        let count = batch.pdus.count + batch.edus.count
        guard count <= 1 else {
            narrowed.withLock { narrowed in
                if narrowed.count >= 1_000 { narrowed.removeAll() }
                narrowed[name] = max(1, min(count, Self.pdusPerTransaction) / 2)
            }
            return true
        }
        environment.logger.warning(
            "dropped what a server refuses",
            metadata: ["destination": "\(name)", "position": "\(batch.pdus.first?.position ?? 0)"])
        try await environment.database.groupedWrite {
            try Outbox($0).delivered(name, pdus: batch.pdus, edus: batch.edus)
        }
        return true
    }

    private func pause(_ name: String, _ batch: Batch, _ error: FederationError) async throws {
        environment.logger.debug("not sent", metadata: ["destination": "\(name)", "cause": "\(error)"])
        ephemeral.drop(name)
        turns.note(name, isSlow: true)
        var pause = backoff.pause(failures: batch.failures, chance: environment.random.bytes(1).first ?? 128)
        if case .refused(429, let answer?) = error, let asked = answer.retryAfterMilliseconds {
            pause = max(pause, min(asked, environment.configuration.timeouts.federationBackoffMaximum))
        }
        let retryAt = environment.clock.now() + pause
        let keep = environment.configuration.limits.outboxPerDestination
        try await environment.database.write { connection in
            try Outbox(connection).failed(name, retryAt: retryAt, keep: keep, keepEDUs: Self.keptEDUs)
        }
    }

    /// A transaction, named by what it holds: sent again, it has the same name. EDUs that may be lost are never sent again,
    /// and the same one may be said twice (typing, and again), so with these the name is new.
    private func transaction(_ batch: Batch) -> APICall {
        var writer = JSONWriter(reserving: batch.bodies.reduce(1024) { $0 + $1.count })
        writer.beginObject()
        writer.key("edus")
        writer.beginArray()
        for edu in batch.edus { writer.raw(edu.body) }
        for edu in batch.passing { writer.raw(edu.body) }
        writer.endArray()
        writer.key("origin")
        writer.string(environment.serverName.text)
        writer.key("pdus")
        writer.beginArray()
        for body in batch.bodies { writer.raw(body) }
        writer.endArray()
        var named = writer.bytes
        for number in batch.edus.map(\.nid) + batch.pdus.map(\.position) {
            withUnsafeBytes(of: number.littleEndian) { named += $0 }
        }
        if !batch.passing.isEmpty { named += environment.random.bytes(16) }
        let name = Base64.encode(SHA256.hash(named), .urlSafeUnpadded)
        writer.key("origin_server_ts")
        writer.integer(environment.clock.now())
        writer.endObject()
        var call = APICall(.sendTransaction, ["txnId": String(name.prefix(32))])
        call.body = writer.bytes
        return call
    }
}
