internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Tells clients what is new in the rooms they ask for, or waits until there is something: sliding sync.
/// Spec: MSC4186 <https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md>
struct SlidingSyncing: RouteGroup {
    private let environment: Environment
    private let reader: SlidingReader
    private let watcher: StreamWatcher
    private let presence: PresenceKeeper

    init(environment: Environment, sync: SyncReader, watcher: StreamWatcher, presence: PresenceKeeper) {
        self.environment = environment
        reader = SlidingReader(sync: sync)
        self.watcher = watcher
        self.presence = presence
    }

    func register(on router: inout Router) {
        router.on(.slidingSync) { request, requester in try await sync(request, requester, .stable) }
        router.on(.simplifiedSlidingSync) { request, requester in try await sync(request, requester, .simplified) }
    }

    private func sync(
        _ request: APIRequest, _ requester: Requester, _ shape: SlidingShape
    ) async throws -> APIResponse {
        let clock = environment.clock
        let arrived = clock.monotonic()
        let configuration = environment.configuration
        let wanted = try SlidingRequestReading(
            shape: shape, limits: configuration.limits, timeouts: configuration.timeouts
        ).read(request, requester)
        await presence.syncs(requester.user, as: wanted.presence, for: wanted.timeout)
        guard let ticket = watcher.enlist(requester.user) else {
            throw MatrixError.limitExceeded(retryAfterMilliseconds: 5_000)
        }
        defer { watcher.dismiss(ticket, of: requester.user) }
        let deadline = arrived + .milliseconds(wanted.timeout)
        var session = try await reader.begin(wanted)
        while true {
            ticket.rearm()
            let answer = try await reader.answer(wanted, session, now: clock.now())
            if let position = answer.acknowledges, let device = wanted.device {
                try await reader.sync.acknowledge(wanted.user, device, upTo: position)
            }
            let rest = deadline - clock.monotonic()
            if answer.hasNews || session.token == nil || rest <= .zero {
                let position = try await reader.keep(answer, wanted, now: clock.now())
                return .json(bytes: Array("{\"pos\":\"\(position)\",".utf8) + answer.body)
            }
            // What was looked through in vain is not looked through again.
            session = answer.session
            await ticket.wait(rest, clock: clock)
            try Task.checkCancellation()
        }
    }
}
