internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Looking at, canceling, restarting and sending delayed events (MSC4140, unstable). Who knows an event's id may do that: so
/// others can be asked to.
struct DelayedEventManaging: RouteGroup {
    let delayed: DelayedSending

    func register(on router: inout Router) {
        router.on(.getDelayedEvents) { _, requester in try await list(requester) }
        router.onPublic(.updateDelayedEvent) { request in
            try await act(try request.string("action"), on: request.parameter("delayId"))
        }
        router.onPublic(.actOnDelayedEvent) { request in
            try await act(request.parameter("action"), on: request.parameter("delayId"))
        }
    }

    private func act(_ action: String, on id: String) async throws -> APIResponse {
        switch action {
        case "cancel": try await delayed.cancel(id)
        case "restart": try await delayed.restart(id)
        case "send": try await delayed.send(id)
        default: throw MatrixError(.invalidParameter, "action is none of cancel, restart, send")
        }
        return .empty
    }

    private func list(_ requester: Requester) async throws -> APIResponse {
        let events = try await delayed.list(of: requester.user).map { event -> JSONValue in
            .fields([
                "delay_id": .string(event.id), "room_id": .string(event.room.text), "type": .string(event.type.text),
                "state_key": event.stateKey.map { .string($0) }, "delay": .integer(event.delay),
                "running_since": .integer(event.sendAt - event.delay),
                "content": (try? JSONValue.parse(event.content)) ?? [:],
            ])
        }
        return .json(["delayed_events": .array(events)])
    }
}

extension Route {
    private static let delayedEvents = "/_matrix/client/unstable/org.matrix.msc4140/delayed_events"

    /// A user's delayed events.
    static let getDelayedEvents = Route("getDelayedEvents", .get, delayedEvents, .accessToken, isRateLimited: true)
    /// What is to be done with one, as its body says.
    static let updateDelayedEvent = Route(
        "updateDelayedEvent", .post, delayedEvents + "/{delayId}", .none, isRateLimited: true)
    /// What is to be done with one, as its path says.
    static let actOnDelayedEvent = Route(
        "actOnDelayedEvent", .post, delayedEvents + "/{delayId}/{action}", .none, isRateLimited: true)
}
