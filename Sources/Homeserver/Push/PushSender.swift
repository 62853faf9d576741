internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Sends notifications: follows the stream `events` for each pusher from where it stands, asks the user's push rules, and
/// tells push gateways or sends mail; in order, again after failures, and after a crash from what was last written down. A
/// message costs no row per user: only users who have pushers are looked at, and only after it was sent.
///
/// Pushers fall into shards, each served by one node (`PushLeases`). What happens on any node is heard from the database's
/// notifications; those may be lost, so positions are looked at too.
final class PushSender: Sendable {
    /// What was heard and is not looked at yet.
    private struct Notes {
        var rooms: Set<Int64> = []
        var users: Set<String> = []
        var hasReceipts = false
        /// Something was missed, or too much was heard.
        var isLost = false
        /// The newest position of `events` that was told.
        var told: Int64 = 0
    }

    private struct Place {
        var shards: Set<Int> = []
        /// The monotonic time from which others may have them; nil for never.
        var until: Duration?
        /// Everything read up to it in the stream `receipts` was looked at.
        var receipts: Int64 = 0
        /// The position of `events` at the last poll; nil before the first.
        var events: Int64?
        /// Whether there is any pusher. While there is none, nothing is looked at.
        var hasPushers = false
    }

    let environment: Environment
    let reading: PushReading
    let names: RoomNames
    let badge: UnreadBadge
    let gateway: PushGateway
    let mail: MailPushing?
    let hints = PushHints()
    let gateways: GatewayTurns
    let failing: PusherFailing
    private let node: String
    let turns: WorkTurns
    private let heard = Mutex(Notes())
    private let place = Mutex(Place())
    private let notes: AsyncStream<Void>
    private let note: AsyncStream<Void>.Continuation
    private let starts: AsyncStream<Int64>
    let start: AsyncStream<Int64>.Continuation

    init(_ environment: Environment, reading: PushReading, unread: UnreadCounts) {
        self.environment = environment
        self.reading = reading
        names = RoomNames(rooms: reading.rooms)
        badge = UnreadBadge(rooms: reading.rooms, unread: unread)
        gateway = PushGateway(environment: environment)
        mail = environment.mailSender.map { MailPushing(environment: environment, sender: $0, reading: reading) }
        let limits = environment.configuration.limits
        gateways = GatewayTurns(limit: limits.pushConcurrentPerGateway)
        turns = WorkTurns(limit: limits.pushConcurrentPushers)
        failing = PusherFailing(environment: environment)
        node = Hex.encode(environment.random.bytes(8))
        (notes, note) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (starts, start) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(PushLimits.notes))
    }

    /// Takes in a notification of the database: `events`, `receipts` and `pushers`, and the empty one, after which some may
    /// be lost.
    func received(_ notification: String) {
        let parts = notification.split(separator: " ")
        guard let stream = parts.first else {
            heard.withLock { $0.isLost = true }
            note.yield()
            return
        }
        if stream == "pushers" { place.withLock { $0.hasPushers = true } }
        let isIdle = place.withLock { !$0.hasPushers }
        let hasNews = heard.withLock { heard in
            switch stream {
            case "events":
                guard parts.count > 2, let position = Int64(parts[1]) else { return false }
                heard.told = max(heard.told, position)
                guard !isIdle else { return false }
                let room = Int64(parts[2]) ?? 0
                if room > 0 { heard.rooms.insert(room) }
                for user in parts.dropFirst(3) {
                    if user == "*" { heard.isLost = true } else { heard.users.insert(String(user)) }
                }
            case "receipts":
                guard !isIdle else { return false }
                heard.hasReceipts = true
            case "pushers":
                heard.users.formUnion(parts.dropFirst().map(String.init))
            default: return false
            }
            if heard.rooms.count + heard.users.count > PushLimits.notes {
                heard.rooms = []
                heard.users = []
                heard.isLost = true
            }
            return true
        }
        if hasNews { note.yield() }
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in await tick() }
            group.addTask { [self] in await follow() }
            for await pusher in starts where turns.begin(String(pusher)) {
                group.addTask { [self] in
                    await serve(pusher)
                    for next in turns.end(String(pusher)) { if let next = Int64(next) { start.yield(next) } }
                }
            }
        }
    }

    // MARK: Who is to be looked at

    private func follow() async {
        for await _ in notes {
            do { try await look() } catch {
                environment.logger.warning("pushers", metadata: ["cause": "\(error)"])
                heard.withLock { $0.isLost = true }
            }
        }
    }

    /// Finds the pushers that concerns what was heard.
    private func look() async throws {
        let found = heard.withLock { heard in
            let found = heard
            heard = Notes(told: heard.told)
            return found
        }
        if found.isLost { return try await lookThrough(place.withLock { $0.shards }) }
        let after = place.withLock { $0.receipts }
        let (audience, users, readers, upTo) = try await environment.database.read { connection in
            let store = PusherStore(connection)
            let upTo = found.hasReceipts ? try StreamPositions(connection).current("receipts") : after
            return (
                try store.audience(of: found.rooms.sorted()), try store.references(of: found.users.sorted()),
                found.hasReceipts ? try store.readers(after: after, upTo: upTo) : [], upTo
            )
        }
        place.withLock { $0.receipts = max($0.receipts, upTo) }
        // All that concerns a pusher is told at once: it may be looked at while this goes on.
        var concerned: [PusherReference: PushHints.Hint] = [:]
        let none = PushHints.Hint(rooms: [], checksBadge: true, upTo: found.told)
        for (pusher, room) in audience + readers {
            concerned[pusher, default: none].add(.init(rooms: [room], checksBadge: true))
        }
        for pusher in users { concerned[pusher, default: none].add(.init(rooms: nil, checksBadge: true)) }
        for (pusher, hint) in concerned { add(hint, pusher) }
    }

    /// Whether this node serves a shard. A node that could not keep what it held up does not know who serves it now.
    func holds(_ shard: Int) -> Bool {
        let now = environment.clock.monotonic()
        return place.withLock { place in place.shards.contains(shard) && place.until.map { now < $0 } ?? true }
    }

    private func add(_ hint: PushHints.Hint, _ pusher: PusherReference) {
        guard place.withLock({ $0.shards.contains(pusher.shard) }) else { return }
        if hints.add(hint, for: pusher.nid) {
            start.yield(pusher.nid)
        } else {
            heard.withLock { $0.isLost = true }
        }
    }

    /// Looks through all pushers of shards: after a start, when another node's came here, or when something was missed.
    private func lookThrough(_ shards: Set<Int>) async throws {
        guard !shards.isEmpty else { return }
        hints.forgetAll()
        badge.forgetAll()
        var after: Int64 = 0
        while !Task.isCancelled {
            let from = after
            let page = try await environment.database.read {
                try PusherStore($0).page(of: shards.sorted(), after: from, limit: PushLimits.page)
            }
            for (pusher, hasTold) in page { add(.init(rooms: nil, checksBadge: hasTold), pusher) }
            guard let last = page.last, page.count == PushLimits.page else { return }
            after = last.pusher.nid
        }
    }

    // MARK: From time to time

    private func tick() async {
        var polls = 0
        await environment.clock.every(PushLimits.poll) {
            do { try await poll(isSaving: polls % PushLimits.pollsPerSaving == PushLimits.pollsPerSaving - 1) } catch {
                environment.logger.warning("pushers", metadata: ["cause": "\(error)"])
            }
            polls += 1
        }
        note.finish()
        start.finish()
    }

    private func poll(isSaving: Bool) async throws {
        let asked = environment.clock.monotonic()
        let held = try await heldShards()
        let now = environment.clock.now()
        let (due, positions, isEmpty) = try await environment.database.read { connection in
            let store = PusherStore(connection)
            let isEmpty = try store.isEmpty()
            return (
                isEmpty ? [] : try store.due(now: now, limit: PushLimits.page),
                try StreamPositions(connection).current(), isEmpty
            )
        }
        let events = positions["events"] ?? 0
        let isOnlyNode = environment.database.dialect == .sqlite
        let (gained, before, hadPushers) = place.withLock { place in
            // What was not held for a while was not followed either.
            if let until = place.until, until <= asked { place.shards = [] }
            defer {
                if place.events == nil { place.receipts = positions["receipts"] ?? 0 }
                place.shards = held
                place.until = isOnlyNode ? nil : asked + .milliseconds(PushLimits.lease)
                place.events = events
                if !isEmpty { place.hasPushers = true }
            }
            return (held.subtracting(place.shards), place.events, place.hasPushers)
        }
        // What had happened by the last poll and was not told by now was missed.
        let isLost = heard.withLock { heard in
            defer { heard.told = max(heard.told, before ?? events) }
            return before.map { $0 > heard.told } ?? false
        }
        guard !isEmpty else { return }
        if isLost || !hadPushers {
            try await lookThrough(held)
        } else if !gained.isEmpty {
            try await lookThrough(gained)
        }
        for pusher in due { add(.init(rooms: nil, checksBadge: true), pusher) }
        // What found no turn when it was told.
        for pusher in hints.waiting(at: environment.clock.monotonic()).prefix(PushLimits.notes) { start.yield(pusher) }
        if heard.withLock({ $0.isLost }) { note.yield() }
        try await badge.save(environment.database)
        if isSaving {
            let unsaved = hints.takeUnsaved()
            if !unsaved.isEmpty {
                try await environment.database.groupedWrite { try PusherStore($0).looked(unsaved) }
            }
        }
    }

    /// The shards that this node serves. The only node serves all.
    private func heldShards() async throws -> Set<Int> {
        guard environment.database.dialect == .postgres else { return Set(0..<Pusher.shards) }
        let now = environment.clock.now()
        let node = node
        return try await environment.database.write {
            try PushLeases($0).take(holder: node, now: now, until: now + PushLimits.lease)
        }
    }
}
