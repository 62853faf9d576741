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
    /// A node that dies leaves its destinations to others after so many milliseconds.
    private static let lease: Int64 = 180_000
    /// EDUs kept for a destination that does not answer.
    private static let keptEDUs = 20_000

    private let environment: Environment
    private let client: FederationClient
    private let ephemeral = EphemeralEDUs()
    private let backoff: Backoff
    private let node: String
    private let active = Mutex<Set<String>>([])
    private let wakes: AsyncStream<String>
    private let wake: AsyncStream<String>.Continuation

    init(_ environment: Environment, client: FederationClient) {
        self.environment = environment
        self.client = client
        backoff = Backoff(
            maximum: environment.configuration.timeouts.federationBackoffMaximum,
            grows: environment.configuration.federation.retryBackoff)
        node = Hex.encode(environment.random.bytes(8))
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

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

    /// A server spoke to us, so it is there again.
    func heardFrom(_ server: ServerName) async {
        // Most are not waiting: the read costs little, and the write happens once.
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
            for await destination in wakes {
                let limit = environment.configuration.limits.federationConcurrentDestinations
                let starts = active.withLock { active in
                    guard active.count < limit else { return false }
                    return active.insert(destination).inserted
                }
                guard starts else { continue }
                group.addTask { [self] in
                    await serve(destination)
                    active.withLock { _ = $0.remove(destination) }
                    if !ephemeral.isEmpty(destination) { wake.yield(destination) }
                }
            }
        }
    }

    /// Looks for what is due: after a start, after a pause, or where another node wrote it.
    private func look() async {
        while !Task.isCancelled {
            let now = environment.clock.now()
            let limit = environment.configuration.limits.federationConcurrentDestinations
            let due = try? await environment.database.read { try Outbox($0).due(now: now, limit: limit) }
            for destination in due ?? [] { wake.yield(destination) }
            do { try await environment.clock.sleep(for: Self.poll) } catch { break }
        }
        wake.finish()
    }

    /// Sends to one destination until nothing waits or it fails.
    private func serve(_ name: String) async {
        guard let server = try? ServerName(name), server != environment.serverName else { return }
        do {
            while !Task.isCancelled {
                let now = environment.clock.now()
                guard try await takeLease(name, now) else { return }
                guard try await sendNext(name, server) else { break }
            }
            let node = node
            try await environment.database.write { try Outbox($0).release(name, holder: node) }
        } catch {
            environment.logger.warning("outbox", metadata: ["destination": "\(name)", "cause": "\(error)"])
        }
    }

    private func takeLease(_ name: String, _ now: Int64) async throws -> Bool {
        let node = node
        return try await environment.database.write { connection in
            let outbox = Outbox(connection)
            // The row may not exist when only ephemeral EDUs wait.
            guard let state = try outbox.destination(name) else { return true }
            guard state.retryAt <= now else { return false }
            return try outbox.lease(name, holder: node, now: now, until: now + Self.lease)
        }
    }

    /// Sends one transaction. Returns whether there may be more.
    private func sendNext(_ name: String, _ server: ServerName) async throws -> Bool {
        let sealer = environment.sealer
        let (pdus, edus, events, catchingUp, failures) = try await environment.database.read { connection in
            let outbox = Outbox(connection)
            let state = try outbox.destination(name)
            let catchingUp = state?.isCatchingUp ?? false
            let pdus =
                catchingUp
                ? try outbox.roomsToCatchUp(
                    name, after: state?.sentPosition ?? 0, limit: Self.pdusPerTransaction)
                : try outbox.pendingPDUs(for: name, limit: Self.pdusPerTransaction)
            let edus = try outbox.pendingEDUs(for: name, limit: Self.edusPerTransaction)
            let events = try EventLog(connection, sealer).events(nids: pdus.map(\.eventNID))
            return (pdus, edus, events, catchingUp, state?.failures ?? 0)
        }
        let passing = ephemeral.take(
            name, limit: Self.edusPerTransaction - edus.count, at: environment.clock.monotonic())
        if pdus.isEmpty, edus.isEmpty, passing.isEmpty {
            guard catchingUp else { return false }
            return try await environment.database.write { connection in
                let outbox = Outbox(connection)
                let sent = try outbox.destination(name)?.sentPosition ?? 0
                return try !outbox.caughtUp(name, position: sent)
            }
        }
        let bodies = pdus.compactMap { events[$0.eventNID]?.pdu.canonicalJSON }
        let call = transaction(pdus: bodies, edus: edus.map(\.body) + passing.map(\.body))
        do {
            let answer = try await client.json(
                call, at: server,
                timeout: .milliseconds(environment.configuration.timeouts.federationTransaction),
                maximumBytes: 8 << 20)
            for (id, result) in (answer["pdus"]?.members ?? []).prefix(Self.pdusPerTransaction)
            where result["error"] != nil {
                environment.logger.info(
                    "a server refused an event", metadata: ["destination": "\(name)", "event": "\(id)"])
            }
        } catch {
            environment.logger.debug("not sent", metadata: ["destination": "\(name)", "cause": "\(error)"])
            ephemeral.drop(name)
            let pause = backoff.pause(failures: failures, chance: environment.random.bytes(1).first ?? 128)
            let retryAt = environment.clock.now() + pause
            let keep = environment.configuration.limits.outboxPerDestination
            try await environment.database.write { connection in
                try Outbox(connection).failed(name, retryAt: retryAt, keep: keep, keepEDUs: Self.keptEDUs)
            }
            return false
        }
        try await environment.database.groupedWrite { try Outbox($0).delivered(name, pdus: pdus, edus: edus) }
        return true
    }

    /// A transaction, named by what it holds: sent again, it has the same name.
    private func transaction(pdus: [[UInt8]], edus: [[UInt8]]) -> APICall {
        var writer = JSONWriter(reserving: pdus.reduce(1024) { $0 + $1.count })
        writer.beginObject()
        writer.key("edus")
        writer.beginArray()
        for edu in edus { writer.raw(edu) }
        writer.endArray()
        writer.key("origin")
        writer.string(environment.serverName.text)
        writer.key("pdus")
        writer.beginArray()
        for pdu in pdus { writer.raw(pdu) }
        writer.endArray()
        let name = Base64.encode(SHA256.hash(writer.bytes), .urlSafeUnpadded)
        writer.key("origin_server_ts")
        writer.integer(environment.clock.now())
        writer.endObject()
        var call = APICall(.sendTransaction, ["txnId": String(name.prefix(32))])
        call.body = writer.bytes
        return call
    }
}
