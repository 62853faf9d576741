internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Tells users which rooms they share with another.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms>
struct MutualRooms: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) { router.on(.getMutualRooms, list) }

    @Sendable private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let other = try request.userID("user_id")
        guard other != requester.user else { throw MatrixError(.invalidParameter, "user_id is your own") }
        let after = try request.query("from").map { text throws(MatrixError) in
            // A token is a room's number, so it stays good.
            guard text.utf8.count <= SyncLimits.tokenBytes, text.hasPrefix("m1_"), let nid = Int64(text.dropFirst(3)),
                nid >= 0
            else { throw MatrixError(.invalidParameter, "from is not a valid token") }
            return nid
        }
        let found = try await environment.database.read { connection in
            try SharedRooms(connection).rooms(
                of: requester.user, and: other, after: after ?? 0, limit: SyncLimits.mutualRoomsPage + 1)
        }
        let page = found.rooms.prefix(SyncLimits.mutualRoomsPage)
        var answer: [String: JSONValue] = [
            "joined": .array(page.map { .string($0.id.text) }), "count": .integer(Int64(found.count)),
        ]
        if found.rooms.count > page.count, let last = page.last { answer["next_batch"] = .string("m1_\(last.nid)") }
        return .json(.object(answer))
    }
}
