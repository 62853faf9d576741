internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Tells clients what is new, or waits until there is something.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>
struct Syncing: RouteGroup {
    private let environment: Environment
    let reader: SyncReader
    private let filters: FilterReader
    private let watcher: StreamWatcher
    private let presence: PresenceKeeper

    init(
        environment: Environment, rooms: RoomReader, texts: EventTexts, watcher: StreamWatcher,
        presence: PresenceKeeper
    ) {
        self.environment = environment
        reader = SyncReader(environment: environment, rooms: rooms, texts: texts)
        filters = FilterReader(database: environment.database)
        self.watcher = watcher
        self.presence = presence
    }

    func register(on router: inout Router) {
        router.on(.sync) { request, requester in try await sync(request, requester) }
    }

    private func sync(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let clock = environment.clock
        let arrived = clock.monotonic()
        var wanted = SyncRequest(
            user: requester.user, device: requester.device, fullState: try request.queryBoolean("full_state"),
            now: clock.now())
        if let since = request.query("since"), !since.isEmpty { wanted.since = try SyncToken(since) }
        wanted.filter = try await filters.filter(request.query("filter"), of: requester.user)
        wanted.stateAfterKey = try Self.stateAfterKey(request)
        let maximum = environment.configuration.timeouts.syncMaximum
        let timeout = try request.queryInteger("timeout", default: 0, in: 0...Int(clamping: maximum))
        let state = request.query("set_presence") ?? "online"
        guard PresenceKeeper.states.contains(state) else {
            throw MatrixError(.invalidParameter, "set_presence is no presence")
        }
        await presence.syncs(requester.user, as: state, for: Int64(timeout))
        guard let ticket = watcher.enlist(requester.user) else {
            throw MatrixError.limitExceeded(retryAfterMilliseconds: 5_000)
        }
        defer { watcher.dismiss(ticket, of: requester.user) }
        let deadline = arrived + .milliseconds(timeout)
        while true {
            ticket.rearm()
            wanted.now = clock.now()
            let answer = try await reader.answer(wanted)
            if answer.acknowledges { try await reader.acknowledge(wanted) }
            if !answer.hasNews { await reader.keepCounts() }
            let rest = deadline - clock.monotonic()
            if answer.hasNews || wanted.since == nil || wanted.fullState || rest <= .zero {
                return .json(bytes: answer.body)
            }
            // What was looked through in vain is not looked through again.
            wanted.since = answer.next
            await ticket.wait(rest, clock: clock)
            try Task.checkCancellation()
        }
    }

    private static func stateAfterKey(_ request: APIRequest) throws(MatrixError) -> String? {
        if try request.queryBoolean("use_state_after") { return "state_after" }
        let unstable = "org.matrix.msc4222"
        return try request.queryBoolean("\(unstable).use_state_after") ? "\(unstable).state_after" : nil
    }
}
