internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Searching for users.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#user-directory>
struct DirectorySearching: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.searchUserDirectory, search)
    }

    @Sendable private func search(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let term = try request.string("search_term")
        let wanted = try request.optionalInteger("limit") ?? 10
        let limit = Int(min(max(wanted, 1), Int64(environment.configuration.limits.directoryResults)))
        guard term.utf8.count <= AccountLimits.nameBytes, !term.utf8.contains(0) else {
            throw MatrixError(.invalidParameter, "search_term is too long")
        }
        guard !term.isEmpty else { return .json(["results": [], "limited": false]) }
        let found = try await environment.database.read { connection in
            try UserDirectory(connection).search(
                term, for: requester.user, server: environment.serverName, limit: limit + 1)
        }
        let results: [JSONValue] = found.prefix(limit).map { entry in
            .fields([
                "user_id": .string(entry.user.text), "display_name": entry.displayName.map { .string($0) },
                "avatar_url": entry.avatarURL.map { .string($0) },
            ])
        }
        return .json(["results": .array(results), "limited": .bool(found.count > limit)])
    }
}
