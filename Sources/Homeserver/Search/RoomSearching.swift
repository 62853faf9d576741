internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// `POST /search`. Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-side-search>
struct RoomSearching: RouteGroup {
    let reading: RoomReading

    private var environment: Environment { reading.environment }

    func register(on router: inout Router) {
        router.on(.search) { request, requester in try await search(request, requester) }
    }

    private func search(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard SearchIndexing.isOn(environment) else {
            throw MatrixError(.unrecognized, "This server does not search messages")
        }
        let categories = try request.object("search_categories")
        guard let criteria = categories["room_events"], !criteria.isNull else {
            return .json(["search_categories": [:]])
        }
        let wish = try SearchRequest(criteria, nextBatch: request.query("next_batch"))
        let reader = reading.reader(requester)
        let bytes = try await environment.database.read { connection -> [UInt8] in
            let finding = SearchFinding(reading: reading, wish: wish, user: requester.user, connection: connection)
            let found = try SearchTerm(wish.text).map { try finding.find($0) } ?? SearchFinding.Found()
            return try SearchAnswer(
                reading: reading, wish: wish, reader: reader, found: found, connection: connection
            ).bytes()
        }
        return .json(bytes: bytes)
    }
}
