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
    /// Statuses that may be about what was sent. Any other is about the server: that it is not there, or has too much to do.
    private static let refusingStatuses: Set<Int> = [400, 413, 422, 500]
    /// Where all that waits was refused, nothing is looked for before so long.
    private static let idleTime = Duration.seconds(30)
    /// Destinations whose refusals are remembered.
    private static let destinationsRefusing = 1_000
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
        /// Whether something is tried out of its turn.
        var isOutOfTurn = false
        var failures = 0
        /// How often something was taken out of the destination's way before.
        var deliveries: Int64 = 0
        /// PDUs that would be next, but were refused.
        var setAside: [Outbox.PendingPDU] = []

        var isEmpty: Bool { pdus.isEmpty && edus.isEmpty && passing.isEmpty }

        /// What must not be lost.
        var items: [Refusals.Item] { pdus.map(\.item) + edus.map(\.item) }
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
    private let refusals = Mutex<[String: Refusals]>([:])
    /// Destinations for which nothing waits but what they refused, until they are looked at again.
    private let idle = Mutex<[String: Duration]>([:])
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
            let idle = idleDestinations()
            let due = try? await environment.database.read { try Outbox($0).due(now: now, limit: limit, without: idle) }
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
        if await hasOnlySetAside(name) { return }
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
        guard !batch.isEmpty else { return try await nothingLeft(name, batch) }
        let failure: FederationError
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
            note(name) { $0.passed(batch.items, most: Self.pdusPerTransaction) }
            let passed = batch.pdus.map(\.position).max() ?? 0
            let refused = batch.isCatchingUp ? batch.setAside.filter { $0.position < passed } : []
            try await environment.database.groupedWrite { connection in
                try Outbox(connection).keepRefused(name, refused)
                try Outbox(connection).delivered(
                    name, pdus: batch.pdus, edus: batch.edus, isInOrder: !batch.isOutOfTurn)
            }
            return true
        } catch let error as FederationError {
            failure = error
        }
        switch refused(name, batch, failure) {
        case .goOn: return true
        case .drop(let item):
            environment.logger.warning(
                "dropped what a server refuses while it takes others",
                metadata: ["destination": "\(name)", "item": "\(item)"])
            if case .pdu(let position, let eventNID) = item {
                try await environment.database.groupedWrite {
                    try Outbox($0).delivered(
                        name, pdus: [.init(position: position, eventNID: eventNID)], edus: [], isInOrder: false)
                }
            }
            return true
        case .pause:
            try await pause(name, batch, failure)
            return false
        }
    }

    /// What is next for a destination. While it catches up, the newest event of each room it lacks events of.
    private func next(_ name: String) async throws -> Batch {
        let sealer = environment.sealer
        let now = environment.clock.monotonic()
        let refusals = standing(of: name)
        let (aside, retried) = (Set(refusals.setAside), refusals.due(at: now))
        var batch = try await environment.database.read { connection in
            let outbox = Outbox(connection)
            var batch = Batch()
            let state = try outbox.destination(name)
            batch.isCatchingUp = state?.isCatchingUp ?? false
            batch.failures = state?.failures ?? 0
            batch.deliveries = state?.deliveries ?? 0
            switch retried {
            case .pdu(let position, let eventNID):
                batch.pdus = [Outbox.PendingPDU(position: position, eventNID: eventNID)]
            case .edu(let nid): batch.edus = try outbox.pendingEDU(nid, for: name, sealer: sealer).map { [$0] } ?? []
            case nil: break
            }
            if batch.isEmpty, refusals.wantsProbe {
                batch.edus = Array(
                    try outbox.pendingEDUs(for: name, limit: 1 + aside.count, sealer: sealer)
                        .filter { !aside.contains($0.item) }.prefix(1))
                if batch.edus.isEmpty, let newest = try outbox.newestPDU(for: name), !aside.contains(newest.item) {
                    batch.pdus = [newest]
                }
            }
            batch.isOutOfTurn = !batch.isEmpty
            if batch.isEmpty {
                let limit = min(refusals.width ?? Self.pdusPerTransaction, Self.pdusPerTransaction)
                let found =
                    batch.isCatchingUp
                    ? try outbox.missed(
                        by: name, after: state?.sentPosition ?? 0, limit: limit + aside.count, sealer: sealer)
                    : try outbox.pendingPDUs(for: name, limit: limit + aside.count)
                batch.pdus = Array(found.filter { !aside.contains($0.item) }.prefix(limit))
                batch.setAside = found.filter { aside.contains($0.item) }
                // One by one, an EDU follows when no PDU is left.
                if refusals.width == nil || batch.pdus.isEmpty {
                    let limit = min(refusals.width ?? Self.edusPerTransaction, Self.edusPerTransaction)
                    let found = try outbox.pendingEDUs(for: name, limit: limit + aside.count, sealer: sealer)
                    batch.edus = Array(found.filter { !aside.contains($0.item) }.prefix(limit))
                }
            }
            let events = try EventLog(connection, sealer).events(nids: batch.pdus.map(\.eventNID))
            batch.bodies = batch.pdus.compactMap { events[$0.eventNID]?.pdu.canonicalJSON }
            return batch
        }
        if let retried {
            // A newer EDU may have taken its place.
            if batch.items != [retried] { note(name) { $0.forget(retried) } }
        } else if !refusals.takesPassing(at: now) {
            ephemeral.drop(name)
        } else if batch.isEmpty || (batch.failures == 0 && refusals.width == nil) {
            // After a failure they might be what is at fault: first goes what must arrive.
            batch.passing = ephemeral.take(name, limit: Self.edusPerTransaction - batch.edus.count, at: now)
        }
        return batch
    }

    /// Nothing is left to be sent to a destination, but what was set aside. Returns whether there may be more.
    private func nothingLeft(_ name: String, _ batch: Batch) async throws -> Bool {
        let (refusals, left) = (standing(of: name), batch.setAside)
        guard batch.isCatchingUp ? refusals.areConfirmed(left.map(\.item)) : !refusals.pausesWhenIdle else {
            try await pause(name, batch, nil)
            return false
        }
        guard batch.isCatchingUp else { return false }
        // It has caught up with what it takes. Either way there may be more: rooms that got something meanwhile, or what
        // waits as usual.
        if let last = left.map(\.position).max() {
            try await environment.database.groupedWrite { connection in
                try Outbox(connection).keepRefused(name, left)
                try Outbox(connection).passOver(name, upTo: last)
            }
        }
        _ = try await environment.database.write { try Outbox($0).caughtUp(name) }
        return true
    }

    // MARK: Refusals

    private func standing(of name: String) -> Refusals { refusals.withLock { $0[name] } ?? Refusals() }

    private func note<R: Sendable>(_ name: String, _ change: (inout Refusals) -> R) -> R {
        refusals.withLock { all in
            var one = all[name] ?? Refusals()
            let result = change(&one)
            // Without what was forgotten, all is looked for anew.
            if all[name] == nil, all.count >= Self.destinationsRefusing { all.removeAll() }
            all[name] = one.isEmpty ? nil : one
            return result
        }
    }

    /// What to do after a failure.
    private func refused(_ name: String, _ batch: Batch, _ error: FederationError) -> Refusals.Step {
        guard case .refused(let status, let answer) = error, Self.refusingStatuses.contains(status) else {
            return .pause
        }
        let isLasting =
            status == 413 || (status == 400 && answer.map { Self.lastingRefusals.contains($0.code.text) } == true)
        let now = environment.clock.monotonic()
        let step = note(name) {
            $0.refused(batch.items, withPassing: !batch.passing.isEmpty, isLasting: isLasting, at: now)
        }
        environment.logger.info(
            "a server refused a transaction",
            metadata: ["destination": "\(name)", "items": "\(batch.items.count)", "cause": "\(error)"])
        return step
    }

    /// Whether all that waits for a destination was refused, and its time has not come.
    private func hasOnlySetAside(_ name: String) async -> Bool {
        let refusals = standing(of: name)
        let aside = Set(refusals.setAside)
        guard !aside.isEmpty, refusals.due(at: environment.clock.monotonic()) == nil, !ephemeral.waits(for: name) else {
            return false
        }
        let sealer = environment.sealer
        let isAll = try? await environment.database.read { connection in
            let outbox = Outbox(connection)
            if try outbox.destination(name)?.isCatchingUp == true { return false }
            return try outbox.pendingPDUs(for: name, limit: aside.count + 1).allSatisfy { aside.contains($0.item) }
                && outbox.pendingEDUs(for: name, limit: aside.count + 1, sealer: sealer)
                    .allSatisfy { aside.contains($0.item) }
        }
        guard isAll == true else { return false }
        let until = environment.clock.monotonic() + Self.idleTime
        idle.withLock { idle in
            if idle.count >= Self.destinationsRefusing { idle.removeAll() }
            idle[name] = until
        }
        return true
    }

    /// The destinations that need not be looked at now.
    private func idleDestinations() -> [String] {
        let now = environment.clock.monotonic()
        return idle.withLock { idle in
            idle = idle.filter { $0.value > now }
            return idle.keys.sorted()
        }
    }

    /// - Parameter error: why; nil where all that waits was refused before.
    private func pause(_ name: String, _ batch: Batch, _ error: FederationError?) async throws {
        let cause = error.map { "\($0)" } ?? "all was refused"
        environment.logger.debug("not sent", metadata: ["destination": "\(name)", "cause": "\(cause)"])
        ephemeral.drop(name)
        note(name) { $0.interrupted() }
        turns.note(name, isSlow: true)
        var pause = backoff.pause(failures: batch.failures, chance: environment.random.bytes(1).first ?? 128)
        if case .refused(429, let answer?)? = error, let asked = answer.retryAfterMilliseconds {
            pause = max(pause, min(asked, environment.configuration.timeouts.federationBackoffMaximum))
        }
        let retryAt = environment.clock.now() + pause
        let keep = environment.configuration.limits.outboxPerDestination
        try await environment.database.write { connection in
            try Outbox(connection).failed(name, retryAt: retryAt, keep: keep, keepEDUs: Self.keptEDUs)
        }
    }

    /// A transaction, named by what it holds and how much went before it: tried again at once, it has the same name; but what is
    /// sent once more after it arrived has another, or it would be answered as it was, and not looked at. EDUs that may be lost
    /// are never sent again, and the same one may be said twice (typing, and again), so with these the name is new.
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
        for number in [batch.deliveries] + batch.edus.map(\.nid) + batch.pdus.map(\.position) {
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

extension Outbox.PendingPDU {
    fileprivate var item: Refusals.Item { .pdu(position: position, eventNID: eventNID) }
}

extension Outbox.PendingEDU {
    fileprivate var item: Refusals.Item { .edu(nid: nid) }
}
