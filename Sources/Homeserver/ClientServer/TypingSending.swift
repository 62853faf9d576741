internal import MatrixAPI
internal import MatrixModel

/// Lets users say that they type. Spec: <https://spec.matrix.org/v1.19/client-server-api/#typing-notifications>
struct TypingSending: RouteGroup {
    let environment: Environment
    let receipts: ReceiptKeeper

    func register(on router: inout Router) {
        router.on(.setTyping) { request, requester in try await type(request, requester) }
    }

    private func type(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        guard let isTyping = try request.optionalBoolean("typing") else {
            throw MatrixError(.missingParameter, "Missing typing")
        }
        let maximum = environment.configuration.timeouts.typingMaximum
        let timeout = try request.optionalInteger("timeout") ?? 30_000
        try await receipts.type(
            user, in: request.roomID(), for: isTyping ? min(max(timeout, 1), maximum) : nil)
        return .empty
    }
}
