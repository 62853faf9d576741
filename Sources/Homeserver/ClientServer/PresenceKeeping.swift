internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Lets users set and read presence. Where it is turned off everybody is offline.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#presence>
struct PresenceKeeping: RouteGroup {
    let environment: Environment
    let presence: PresenceKeeper

    func register(on router: inout Router) {
        router.on(.getPresence) { request, requester in try await read(request, requester) }
        router.on(.setPresence) { request, requester in try await set(request, requester) }
    }

    private func read(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try request.userID()
        guard try await presence.mayBeSeen(user, by: requester.user) else {
            throw MatrixError(.forbidden, "You share no room with this user")
        }
        let known = presence.isEnabled ? try await presence.presence(of: user) : nil
        let shown = known ?? .init(user: user, state: "offline", statusMessage: nil, lastActive: 0)
        let now = environment.clock.now()
        return APIResponse.json { writer in PresenceContent.write(shown, now: now, into: &writer) }
    }

    private func set(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        let state = try request.string("presence")
        guard PresenceKeeper.states.contains(state) else { throw MatrixError(.badJSON, "presence is not valid") }
        let message = try request.optionalString("status_msg")
        if let message, !PresenceKeeper.isMessage(message) {
            throw MatrixError(.invalidParameter, "status_msg is too long")
        }
        try await presence.set(user, state: state, message: message)
        return .empty
    }
}
