internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Follows the database's notifications and wakes the syncs they concern. Others may have notifications passed on to them.
public final class StreamWatcher: Sendable {
    /// Who else is told: every notification that begins with `prefix`, and the empty one, after which some may be lost.
    public struct Hook: Sendable {
        let prefix: String
        let handler: @Sendable (String) -> Void

        public init(prefix: String, handler: @escaping @Sendable (String) -> Void) {
            self.prefix = prefix
            self.handler = handler
        }
    }

    private struct State {
        var tickets: [UserID: Set<SyncTicket>] = [:]
        /// Those who follow a room that they need not be in.
        var followers: [Int64: Set<SyncTicket>] = [:]
        var count = 0
        var nextTicket = 0
        /// The newest positions that notifications told of.
        var told: [String: Int64] = [:]
        /// Who is woken at the next interval.
        var later: Set<UserID> = []
        var laterAll = false
    }

    private let environment: Environment
    private let hooks: [Hook]
    private let audience = RoomAudience()
    private let state = Mutex(State())

    public init(environment: Environment, hooks: [Hook] = []) {
        self.environment = environment
        self.hooks = hooks
    }

    /// Runs until the task is canceled or the database is closed.
    public func run() async {
        let notifications = environment.database.notifications()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await notification in notifications { await self.received(notification) } }
            group.addTask { await self.tick() }
            await group.next()
            group.cancelAll()
        }
        wakeAll()
    }

    // MARK: Waiting

    /// Begins to watch for a user. Nil when too many wait.
    /// - Parameter room: whose news concern the user, too, in the room or not.
    func enlist(_ user: UserID, following room: Int64? = nil) -> SyncTicket? {
        let limit = environment.configuration.limits.waitingSyncs
        return state.withLock { state in
            guard state.count < limit else { return nil }
            state.count += 1
            state.nextTicket += 1
            let ticket = SyncTicket(state.nextTicket, room: room)
            state.tickets[user, default: []].insert(ticket)
            if let room { state.followers[room, default: []].insert(ticket) }
            return ticket
        }
    }

    /// Ends the watch.
    func dismiss(_ ticket: SyncTicket, of user: UserID) {
        state.withLock { state in
            guard state.tickets[user]?.remove(ticket) != nil else { return }
            state.count -= 1
            if state.tickets[user]?.isEmpty == true { state.tickets[user] = nil }
            guard let room = ticket.room else { return }
            state.followers[room]?.remove(ticket)
            if state.followers[room]?.isEmpty == true { state.followers[room] = nil }
        }
    }

    /// How many wait.
    var waitingCount: Int { state.withLock { $0.count } }

    private func wake(_ users: some Sequence<UserID>) {
        let tickets = state.withLock { state in users.flatMap { state.tickets[$0] ?? [] } }
        for ticket in tickets { ticket.wake() }
    }

    private func wakeAll() {
        let tickets = state.withLock { state in state.tickets.values.flatMap { $0 } }
        for ticket in tickets { ticket.wake() }
    }

    // MARK: Notifications

    func received(_ notification: String) async {
        for hook in hooks where notification.isEmpty || notification.hasPrefix(hook.prefix) {
            hook.handler(notification)
        }
        if notification.isEmpty {
            audience.forgetAll()
            return wakeAll()
        }
        let parts = notification.split(separator: " ")
        guard let stream = parts.first, parts.count > 1, let position = Int64(parts[1]) else { return }
        state.withLock { $0.told[String(stream)] = max($0.told[String(stream)] ?? 0, position) }
        switch stream {
        case "events":
            let concerned = parts.dropFirst(3)
            guard parts.count > 2, let room = Int64(parts[2]), !concerned.contains("*") else {
                audience.forgetAll()
                return wakeAll()
            }
            let users = concerned.compactMap { try? UserID(String($0)) }
            if !users.isEmpty { audience.forget(room, changedAt: position) }
            wake(users)
            if room > 0 { await wake(room: room) }
        case "receipts", "typing":
            guard parts.count > 2, let room = Int64(parts[2]) else { return wakeAll() }
            await wake(room: room)
        case "to_device", "account_data", "thread_subscriptions":
            let users = parts.dropFirst(2).compactMap { try? UserID(String($0)) }
            // A list that was cut off stands for everybody.
            users.isEmpty || users.count >= 50 ? wakeAll() : wake(users)
        case "device_lists":
            state.withLock { $0.laterAll = true }
        case "presence":
            let users = parts.dropFirst(2)
            state.withLock { state in
                if users.contains("*") {
                    state.laterAll = true
                } else {
                    state.later.formUnion(users.compactMap { try? UserID(String($0)) })
                }
            }
        default:
            break
        }
    }

    /// Wakes the local users who are joined to a room.
    private func wake(room: Int64) async {
        guard waitingCount > 0 else { return }
        for ticket in state.withLock({ $0.followers[room] ?? [] }) { ticket.wake() }
        if let users = audience.users(of: room) { return wake(users) }
        let server = environment.serverName
        do {
            let found = try await environment.database.read { try SyncRooms($0).audience(room: room, of: server) }
            audience.keep(found.users, of: room, at: found.position)
            wake(found.users)
        } catch {
            environment.logger.warning("syncs are woken without knowing whom", metadata: ["cause": "\(error)"])
            wakeAll()
        }
    }

    // MARK: The safety net

    private func tick() async {
        var before: [String: Int64] = [:]
        var intervals = 0
        while !Task.isCancelled {
            do { try await environment.clock.sleep(for: SyncLimits.wakeInterval) } catch { return }
            let (users, isAll) = state.withLock { state in
                defer { (state.later, state.laterAll) = ([], false) }
                return (state.later, state.laterAll)
            }
            if isAll { wakeAll() } else if !users.isEmpty { wake(users) }
            intervals += 1
            guard intervals >= SyncLimits.intervalsPerCheck else { continue }
            intervals = 0
            guard let now = try? await environment.database.read({ try StreamPositions($0).current() }) else {
                continue
            }
            wakeMissed(before)
            before = now
        }
    }

    /// Notifications are hints. Positions that moved long ago and that nobody told of wake everybody.
    private func wakeMissed(_ earlier: [String: Int64]) {
        let missed = state.withLock { state in
            var missed = false
            for (stream, position) in earlier where position > state.told[stream] ?? 0 {
                missed = true
                state.told[stream] = position
            }
            return missed
        }
        guard missed else { return }
        audience.forgetAll()
        wakeAll()
    }
}

/// A sync that waits, or is about to.
final class SyncTicket: Sendable, Hashable {
    /// No other of this watcher's has it. The order of a set of tickets follows from it, and not from an address.
    private let number: Int
    /// The room that is followed, as `room_nid`.
    let room: Int64?

    private enum State {
        case idle, woken
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.idle)

    init(_ number: Int, room: Int64?) {
        self.number = number
        self.room = room
    }

    /// Forgets an earlier wake-up: call it before looking for news.
    func rearm() { state.withLock { if case .woken = $0 { $0 = .idle } } }

    func wake() {
        let continuation = state.withLock { state -> CheckedContinuation<Void, Never>? in
            defer { state = .woken }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        continuation?.resume()
    }

    /// Waits until it is woken, at once if it was since `rearm`, or until `timeout` has passed or the task is canceled.
    func wait(_ timeout: Duration, clock: any ServerClock) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.waitForWake() }
            group.addTask { try? await clock.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
    }

    private func waitForWake() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isWoken = state.withLock { state in
                    if case .woken = state { return true }
                    if Task.isCancelled { return true }
                    state = .waiting(continuation)
                    return false
                }
                if isWoken { continuation.resume() }
            }
        } onCancel: {
            wake()
        }
    }

    static func == (left: SyncTicket, right: SyncTicket) -> Bool { left === right }
    func hash(into hasher: inout Hasher) { hasher.combine(number) }
}
