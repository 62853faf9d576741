internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Events that are sent later (MSC4140): kept in the database and sent in time by whichever node sees to it first, each once.
final class DelayedSending: Sendable {
    /// Between two looks for what other nodes were to send.
    private static let poll = Duration.seconds(5)
    private static let pollMilliseconds: Int64 = 5_000
    /// A node that dies while it sends leaves the event to others after so many milliseconds. Sent twice it is still one
    /// event, by its transaction id.
    private static let lease: Int64 = 60_000
    /// What cannot be sent for so many milliseconds, through no fault of its own, is given up.
    private static let longestLateness: Int64 = 3_600_000
    private static let sentAtOnce = 50

    /// Begins the transaction id of events that were delayed; the delay's id follows.
    static let transactionPrefix = "org.matrix.msc4140.delay_id "

    private let delivery: EventDelivery
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    private var environment: Environment { delivery.writer.environment }

    init(delivery: EventDelivery) {
        self.delivery = delivery
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: What clients ask

    /// Keeps an event that is to be sent after `delay` milliseconds. Returns the answer.
    /// - Throws: `M_FORBIDDEN` for a longer delay than allowed or a room that the user is not in, `M_LIMIT_EXCEEDED`;
    ///   `DatabaseError`.
    func schedule(
        _ wish: EventWish, delay: Int64, device: DeviceID?, origin: SendOrigin?, timestamp: Int64?
    ) async throws -> [UInt8] {
        let maximum = environment.configuration.timeouts.delayedEventMaximum
        guard delay > 0 else { throw MatrixError(.invalidParameter, "The delay is not positive") }
        guard delay <= maximum else {
            throw MatrixError(
                .forbidden, "The delay is longer than \(maximum) ms",
                fields: [
                    "org.matrix.msc4140.errcode": "M_MAX_DELAY_EXCEEDED",
                    "org.matrix.msc4140.max_delay": .integer(maximum),
                ])
        }
        if wish.type != .member || wish.stateKey == nil {
            guard try await delivery.writer.reader.isJoined(wish.sender, in: wish.room) else {
                throw MatrixError(.forbidden, "You are not in this room")
            }
        }
        let content = wish.content.serialized()
        guard content.count <= EventLimits.bytes else {
            throw MatrixError(.tooLarge, "The event is too large")
        }
        let now = environment.clock.now()
        let event = DelayedEventStore.Event(
            id: environment.random.token(24), user: wish.sender, device: device, room: wish.room, type: wish.type,
            stateKey: wish.stateKey, content: content, delay: delay, sendAt: now + delay, timestamp: timestamp,
            sticky: wish.sticky)
        let sealer = environment.sealer
        let limit = environment.configuration.limits.delayedEventsPerUser
        let answer = JSONValue.object(["delay_id": .string(event.id)]).serialized()
        let given = try await environment.database.groupedWrite { connection -> [UInt8] in
            if var origin {
                origin.scope = "delayed " + origin.scope
                let log = ReplyLog(connection)
                if try !log.record(answer, to: origin, now: now) { return try log.response(to: origin) ?? answer }
            }
            if let free = try DelayedEventStore(connection, sealer).add(event, limit: limit) {
                throw MatrixError.limitExceeded(retryAfterMilliseconds: free - now)
            }
            return answer
        }
        wake.yield()
        return given
    }

    /// Takes an event back.
    /// - Throws: `M_NOT_FOUND`, `DatabaseError`.
    func cancel(_ id: String) async throws {
        let (now, sealer) = (environment.clock.now(), environment.sealer)
        let isDone = try await environment.database.groupedWrite {
            try DelayedEventStore($0, sealer).cancel(id, now: now)
        }
        guard isDone else { throw Self.notFound }
    }

    /// Lets an event wait anew.
    /// - Throws: `M_NOT_FOUND`, `DatabaseError`.
    func restart(_ id: String) async throws {
        let (now, sealer) = (environment.clock.now(), environment.sealer)
        let time = try await environment.database.groupedWrite {
            try DelayedEventStore($0, sealer).restart(id, now: now)
        }
        guard time != nil else { throw Self.notFound }
        wake.yield()
    }

    /// Sends an event now.
    /// - Throws: `M_NOT_FOUND`, what sending throws, `DatabaseError`.
    func send(_ id: String) async throws {
        let (now, sealer) = (environment.clock.now(), environment.sealer)
        let event = try await environment.database.write {
            try DelayedEventStore($0, sealer).claim(id, now: now, until: now + Self.lease)
        }
        guard let event else { throw Self.notFound }
        _ = try await deliver(event)
    }

    /// A user's events that wait.
    /// - Throws: `DatabaseError`.
    func list(of user: UserID) async throws -> [DelayedEventStore.Event] {
        let (now, sealer) = (environment.clock.now(), environment.sealer)
        return try await environment.database.read { try DelayedEventStore($0, sealer).list(of: user, now: now) }
    }

    static let notFound = MatrixError(.notFound, "There is no such delayed event")

    // MARK: In time

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await environment.clock.every(Self.poll) { wake.yield() }
                wake.finish()
            }
            var alarm = Int64.max
            for await _ in wakes {
                let next = await sendDue()
                let now = environment.clock.now()
                if alarm <= now { alarm = .max }
                guard let next, next < alarm, next - now < Self.pollMilliseconds else { continue }
                alarm = next
                group.addTask { [self] in
                    try? await environment.clock.sleep(for: .milliseconds(max(1, next - now)))
                    wake.yield()
                }
            }
        }
    }

    /// Sends what is due. Returns when the next is.
    func sendDue() async -> Int64? {
        do {
            while true {
                let (now, sealer) = (environment.clock.now(), environment.sealer)
                // Most of the time there is nothing, and that costs no write.
                let next = try await environment.database.read { try DelayedEventStore($0, sealer).nextDue() }
                guard let next, next <= now else { return next }
                let due = try await environment.database.write {
                    try DelayedEventStore($0, sealer).claimDue(
                        now: now, until: now + Self.lease, limit: Self.sentAtOnce)
                }
                guard !due.isEmpty else { return now + 1_000 }
                await withDiscardingTaskGroup { group in
                    for events in Dictionary(grouping: due, by: \.room).values {
                        group.addTask { [self] in
                            for event in events { await deliverQuietly(event) }
                        }
                    }
                }
            }
        } catch {
            environment.logger.warning("delayed events", metadata: ["cause": "\(error)"])
            return nil
        }
    }

    private func deliverQuietly(_ event: DelayedEventStore.Event) async {
        do {
            _ = try await deliver(event)
        } catch {
            environment.logger.info(
                "a delayed event was not sent", metadata: ["room": "\(event.room)", "cause": "\(error)"])
        }
    }

    private func deliver(_ event: DelayedEventStore.Event) async throws -> EventID {
        let (now, sealer) = (environment.clock.now(), environment.sealer)
        do {
            guard let content = try? JSONValue.parse(event.content) else { throw MatrixError.unknown }
            let id = try await delivery.send(
                EventWish(
                    room: event.room, type: event.type, sender: event.user, stateKey: event.stateKey,
                    content: content, sticky: event.sticky),
                origin: SendOrigin(
                    user: event.user, device: event.device, scope: "delayed",
                    transactionID: Self.transactionPrefix + event.id),
                timestamp: event.timestamp)
            try await environment.database.groupedWrite { try DelayedEventStore($0, sealer).remove(event) }
            return id
        } catch {
            // What is refused stays refused; what the server itself could not do is tried again.
            let isFinal = (error as? MatrixError).map { $0.status < 500 && $0.code != .limitExceeded } ?? false
            if isFinal || now - event.sendAt > Self.longestLateness {
                try await environment.database.groupedWrite { try DelayedEventStore($0, sealer).remove(event) }
            }
            throw error
        }
    }
}
