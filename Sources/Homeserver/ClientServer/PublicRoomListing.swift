internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Lists public rooms, and lets rooms be listed.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#published-room-directory>
struct PublicRoomListing: RouteGroup {
    let environment: Environment
    let rooms: RoomReader
    let listed: PublicRooms
    let remote: (any RemotePublicRooms)?

    func register(on router: inout Router) {
        router.onOptional(.getPublicRooms) { request, requester in try await list(request, requester) }
        router.on(.queryPublicRooms) { request, requester in try await search(request) }
        router.onPublic(.getRoomVisibilityOnDirectory) { request in try await visibility(request) }
        router.on(.setRoomVisibilityOnDirectory) { request, requester in try await publish(request, requester) }
    }

    private func list(_ request: APIRequest, _ requester: Requester?) async throws -> APIResponse {
        // No stranger makes us ask other servers.
        let isOpen = environment.configuration.clients.publicRoomsWithoutAuthentication
        guard requester != nil || (isOpen && request.query("server") == nil) else {
            throw MatrixError(.missingToken, "Missing access token")
        }
        var query = PublicRooms.Query()
        if request.query("limit") != nil {
            query.limit = try request.queryInteger("limit", default: 0, in: 1...SyncLimits.publicRoomsPage)
        }
        query.since = request.query("since")
        return try await answer(query, request)
    }

    private func search(_ request: APIRequest) async throws -> APIResponse {
        var query = PublicRooms.Query()
        query.limit = try request.optionalInteger("limit").flatMap { Int(exactly: $0) }
        query.since = try request.optionalString("since")
        if let filter = try request.optionalObject("filter") {
            query.term = filter["generic_search_term"]?.string
            query.types = filter["room_types"]?.array?.prefix(SyncLimits.filterEntries).map(\.string)
        }
        if try request.optionalBoolean("include_all_networks") == true, request.body["third_party_instance_id"] != nil {
            throw MatrixError(.invalidParameter, "third_party_instance_id cannot be used with include_all_networks")
        }
        return try await answer(query, request)
    }

    private func answer(_ query: PublicRooms.Query, _ request: APIRequest) async throws -> APIResponse {
        if let text = request.query("server") {
            guard let server = try? ServerName(text) else {
                throw MatrixError(.invalidParameter, "server is not a server name")
            }
            if server != environment.serverName {
                guard let remote else { throw MatrixError.unrecognized }
                return .json(try await remote.publicRooms(at: server, query))
            }
        }
        return .json(try await listed.page(query))
    }

    private func visibility(_ request: APIRequest) async throws -> APIResponse {
        guard let room = try await rooms.record(request.roomID()) else {
            throw MatrixError(.notFound, "No such room")
        }
        return .json(["visibility": room.isPublished ? "public" : "private"])
    }

    private func publish(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let isPublished: Bool
        switch try request.optionalString("visibility") {
        case nil, "public": isPublished = true
        case "private": isPublished = false
        default: throw MatrixError(.invalidParameter, "visibility is neither public nor private")
        }
        try await environment.database.write { connection in
            let store = RoomStore(connection)
            guard let room = try store.room(roomID) else { throw MatrixError(.notFound, "No such room") }
            if !requester.isAdmin {
                guard try store.membership(of: requester.user, in: room.nid)?.membership == .join else {
                    throw RoomAccess.forbidden
                }
                try authorize(requester.user, room, connection)
            }
            try store.setPublished(isPublished, room: room.nid)
        }
        return .empty
    }

    /// Who may set the room's main alias may list it.
    private func authorize(_ user: UserID, _ room: RoomRecord, _ connection: any SQLConnection) throws {
        let keys = [StateKey(.create, ""), StateKey(.powerLevels, "")]
        let state = try rooms.state(at: room.state, keys: keys, in: connection)
        guard let create = state[keys[0]]?.pdu else { throw MatrixError(.notFound, "No such room") }
        let levels = PowerLevels(state[keys[1]]?.pdu, create: create)
        guard let level = try? levels.level(of: user),
            let required = try? levels.required(for: .canonicalAlias, isState: true), level >= required
        else { throw MatrixError(.forbidden, "You may not list this room") }
    }
}
