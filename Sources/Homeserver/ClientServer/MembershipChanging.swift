internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Joining, inviting, leaving, kicking, banning, knocking, forgetting.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-membership>
public struct MembershipChanging: RouteGroup {
    let memberships: MembershipEditing
    let limiter: RateLimiter
    /// Who turns invites to addresses into invites of users.
    private let addresses: ThirdPartyInviting?

    private var writer: RoomWriter { memberships.writer }
    private var environment: Environment { writer.environment }

    /// Handlers that change memberships by `memberships`.
    public init(memberships: MembershipEditing, limiter: RateLimiter) {
        self.init(memberships: memberships, limiter: limiter, addresses: nil)
    }

    init(memberships: MembershipEditing, limiter: RateLimiter, addresses: ThirdPartyInviting?) {
        self.memberships = memberships
        self.limiter = limiter
        self.addresses = addresses
    }

    public func register(on router: inout Router) {
        router.on(.getJoinedRooms, joinedRooms)
        router.on(.inviteUser, invite)
        router.on(.joinRoomById, join)
        router.on(.joinRoom, join)
        router.on(.knockRoom, knock)
        router.on(.leaveRoom, leave)
        router.on(.forgetRoom, forget)
        router.on(.kick, kick)
        router.on(.ban, ban)
        router.on(.unban, unban)
    }

    private func joinedRooms(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let rooms = try await environment.database.read { try RoomStore($0).memberships(of: requester.user, .join) }
        return .json(["joined_rooms": .array(rooms.map { .string($0.roomID.text) })])
    }

    private func invite(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        if request.body["user_id"] == nil,
            request.body["address"] != nil || request.body["medium"] != nil
                || request.body["id_server"] != nil
        {
            let wish = try AddressInviting.Wish(request.body)
            try await limiter.take(.invites, who: requester.user.text)
            try await AddressInviting(memberships: memberships).invite(wish, to: room, by: requester.user)
            return .empty
        }
        let target = try Self.user(request.string("user_id"))
        try await limiter.take(.invites, who: requester.user.text)
        try await memberships.invite(
            target, to: room, by: requester.user, reason: try request.optionalString("reason"))
        return .empty
    }

    private func join(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await limiter.take(.joins, who: requester.user.text)
        let (room, servers) = try await target(of: request)
        if let proof = request.body["third_party_signed"], let addresses {
            try await addresses.redeem(proof, in: room, for: requester.user)
        }
        let joined = try await memberships.join(
            room, as: requester.user, reason: try request.optionalString("reason"), via: servers,
            isGuest: requester.isGuest)
        return .json(["room_id": .string(joined.text)])
    }

    private func knock(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await limiter.take(.joins, who: requester.user.text)
        let (room, servers) = try await target(of: request)
        let knocked = try await memberships.knock(
            room, as: requester.user, reason: try request.optionalString("reason"), via: servers)
        return .json(["room_id": .string(knocked.text)])
    }

    private func leave(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await memberships.leave(
            try request.roomID(), as: requester.user, reason: try request.optionalString("reason"))
        return .empty
    }

    private func forget(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let user = requester.user
        try await environment.database.groupedWrite { connection in
            let store = RoomStore(connection)
            guard let record = try store.room(room), let current = try store.membership(of: user, in: record.nid)
            else { return }
            guard current.membership == .leave || current.membership == .ban else {
                throw MatrixError(.unknown, "You are still in this room")
            }
            try store.forget(room: record.nid, user: user)
        }
        return .empty
    }

    private func kick(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await remove(request, requester, to: .leave, from: [.join, .invite, .knock])
    }

    private func ban(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await remove(request, requester, to: .ban, from: nil)
    }

    private func unban(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await remove(request, requester, to: .leave, from: [.ban])
    }

    private func remove(
        _ request: APIRequest, _ requester: Requester, to membership: Membership, from: Set<Membership>?
    ) async throws -> APIResponse {
        let room = try request.roomID()
        let target = try Self.user(request.string("user_id"))
        let content = try await memberships.content(
            membership, of: target, reason: try request.optionalString("reason"))
        guard try await writer.reader.isJoined(requester.user, in: room) else {
            throw MatrixError(.forbidden, "You are not in this room")
        }
        try await writer.reader.waitUntilWhole(room, environment.clock)
        if let from {
            let current = try await writer.reader.membership(of: target, in: room)?.membership
            guard let current, from.contains(current) else {
                throw MatrixError(.forbidden, "The user is not \(from == [.ban] ? "banned" : "in the room")")
            }
        }
        try await memberships.set(content, of: target, by: requester.user, in: room)
        return .empty
    }

    // MARK: Reading requests

    /// The room that a path names by id or alias, and whom to ask about it.
    private func target(of request: APIRequest) async throws -> (RoomID, [ServerName]) {
        let text = request.parameters["roomIdOrAlias"] ?? request.parameter("roomId")
        let named = (request.queryValues("via") + request.queryValues("server_name")).prefix(RoomLimits.serversPerJoin)
        let servers = named.compactMap { try? ServerName($0) }
        guard text.hasPrefix("#") else {
            guard let room = try? RoomID(text) else {
                throw MatrixError(.invalidParameter, "Neither a room ID nor an alias")
            }
            return (room, servers)
        }
        guard let alias = try? RoomAlias(text) else {
            throw MatrixError(.invalidParameter, "Neither a room ID nor an alias")
        }
        if alias.serverName == environment.serverName {
            let found = try await environment.database.read { try AliasStore($0).target(of: alias)?.room }
            guard let found else { throw MatrixError(.notFound, "There is no such alias") }
            return (found, servers)
        }
        guard environment.configuration.federation.isEnabled, let joining = memberships.collaborators.remoteJoining
        else { throw MatrixError(.notFound, "The alias cannot be looked up") }
        let found = try await joining.resolve(alias)
        return (found.room, servers + found.servers + [alias.serverName])
    }

    private static func user(_ text: String) throws(MatrixError) -> UserID {
        do { return try UserID(text) } catch { throw MatrixError(.invalidParameter, "user_id is not a user ID") }
    }
}
