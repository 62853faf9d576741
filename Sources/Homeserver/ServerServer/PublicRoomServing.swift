internal import MatrixAPI
internal import MatrixModel

/// Shows other servers the room directory, where the operator lets it: `federation.public_rooms`.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#published-room-directory>
struct PublicRoomServing: RouteGroup {
    /// Room types of one question.
    private static let maximumTypes = 50

    let environment: Environment
    let listed: PublicRooms

    func register(on router: inout Router) {
        guard environment.configuration.federation.publicRooms else { return }
        router.onServer(.federationGetPublicRooms) { request, _ in
            var query = PublicRooms.Query()
            if request.query("limit") != nil {
                query.limit = try request.queryInteger("limit", default: 0, in: 1...Int.max)
            }
            query.since = request.query("since")
            return .json(try await listed.page(query))
        }
        router.onServer(.federationQueryPublicRooms) { request, _ in
            var query = PublicRooms.Query()
            query.limit = try request.optionalInteger("limit").flatMap { Int(exactly: $0) }
            query.since = try request.optionalString("since")
            if let filter = try request.optionalObject("filter") {
                query.term = filter["generic_search_term"]?.string
                query.types = filter["room_types"]?.elements.prefix(Self.maximumTypes).map(\.string)
            }
            return .json(try await listed.page(query))
        }
    }
}
