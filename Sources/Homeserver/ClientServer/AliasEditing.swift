internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Room aliases: making, looking up, removing.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-aliases>
public struct AliasEditing: RouteGroup {
    let writer: RoomWriter
    let collaborators: RoomCollaborators

    private var environment: Environment { writer.environment }
    private var reader: RoomReader { writer.reader }

    /// Handlers of aliases.
    public init(writer: RoomWriter, collaborators: RoomCollaborators) {
        self.writer = writer
        self.collaborators = collaborators
    }

    public func register(on router: inout Router) {
        router.onPublic(.getRoomIdByAlias, lookUp)
        router.on(.setRoomAlias, add)
        router.on(.deleteRoomAlias, remove)
        router.on(.getLocalAliases, list)
    }

    private func lookUp(_ request: APIRequest) async throws -> APIResponse {
        let alias: RoomAlias = try request.identifier("roomAlias")
        guard alias.serverName == environment.serverName else {
            guard environment.configuration.federation.isEnabled, let joining = collaborators.remoteJoining else {
                throw MatrixError(.notFound, "The alias cannot be looked up")
            }
            let found = try await joining.resolve(alias)
            return Self.answer(found.room, found.servers)
        }
        let found = try await environment.database.read { connection -> (RoomID, [ServerName])? in
            guard let target = try AliasStore(connection).target(of: alias) else { return nil }
            let room = try RoomStore(connection).room(target.room)
            return (target.room, try room.map { try RoomStore(connection).joinedServers(room: $0.nid) } ?? [])
        }
        guard let (room, servers) = found else { throw MatrixError(.notFound, "There is no such alias") }
        return Self.answer(room, [environment.serverName] + servers.filter { $0 != environment.serverName })
    }

    private static func answer(_ room: RoomID, _ servers: [ServerName]) -> APIResponse {
        .json(["room_id": .string(room.text), "servers": .array(servers.map { .string($0.text) })])
    }

    private func add(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let alias: RoomAlias = try request.identifier("roomAlias")
        guard let room = try? RoomID(try request.string("room_id")) else {
            throw MatrixError(.invalidParameter, "room_id is not a room ID")
        }
        guard alias.serverName == environment.serverName else {
            throw MatrixError(.invalidParameter, "The alias is another server's")
        }
        let configuration = environment.configuration
        let user = requester.user
        try await environment.database.groupedWrite { connection in
            let rooms = RoomStore(connection)
            guard let record = try rooms.room(room) else { throw MatrixError(.notFound, "The room is not known here") }
            if configuration.rooms.requireMembershipForAliases, requester.applicationService == nil {
                guard try rooms.membership(of: user, in: record.nid)?.membership == .join else {
                    throw MatrixError(.forbidden, "You are not in this room")
                }
            }
            let aliases = AliasStore(connection)
            guard try aliases.aliases(of: room).count < configuration.limits.aliasesPerRoom else {
                throw MatrixError(.forbidden, "The room has too many aliases")
            }
            guard try aliases.add(alias, room: room, creator: user) else {
                throw MatrixError(.unknown, "The alias is taken", status: 409)
            }
        }
        return .empty
    }

    private func remove(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let alias: RoomAlias = try request.identifier("roomAlias")
        let target = try await environment.database.read { connection in try AliasStore(connection).target(of: alias) }
        guard let target else { throw MatrixError(.notFound, "There is no such alias") }
        let record = try await reader.record(target.room)
        var mayRemove = target.creator == requester.user || requester.isAdmin
        if !mayRemove, let record { mayRemove = try await maySetCanonicalAlias(requester.user, record) }
        guard mayRemove else { throw MatrixError(.forbidden, "The alias is not yours") }
        try await environment.database.groupedWrite { connection in _ = try AliasStore(connection).remove(alias) }
        if let record { await dropCanonical(alias, record, requester.user) }
        return .empty
    }

    private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        guard let record = try await reader.record(room) else {
            throw MatrixError(.forbidden, "You are not in this room")
        }
        if try await !reader.isJoined(requester.user, in: room) {
            let visibility = try await reader.stateEvent(record, .historyVisibility)
            guard HistoryVisibility(visibility?.pdu) == .worldReadable else {
                throw MatrixError(.forbidden, "You are not in this room")
            }
        }
        let aliases = try await environment.database.read { try AliasStore($0).aliases(of: room) }
        return .json(["aliases": .array(aliases.map { .string($0.text) })])
    }

    private func maySetCanonicalAlias(_ user: UserID, _ record: RoomRecord) async throws -> Bool {
        let keys = [StateKey(.create, ""), StateKey(.powerLevels, ""), StateKey(.member, user.text)]
        let state = RoomState(try await reader.state(at: record.state, keys: keys).mapValues(\.pdu))
        guard let create = state.event(.create, ""), state.membership(of: user) == .join else { return false }
        let levels = state.powerLevels(create: create)
        guard let level = try? levels.level(of: user),
            let needed = try? levels.required(for: .canonicalAlias, isState: true)
        else { return false }
        return level >= needed
    }

    /// Takes a removed alias out of `m.room.canonical_alias`, if the user may.
    private func dropCanonical(_ alias: RoomAlias, _ record: RoomRecord, _ user: UserID) async {
        guard let current = try? await reader.stateEvent(record, .canonicalAlias) else { return }
        var content = JSONValue(current.pdu.content)
        if content["alias"]?.string == alias.text { content["alias"] = nil }
        if let others = content["alt_aliases"]?.array {
            content["alt_aliases"] = .array(others.filter { $0.string != alias.text })
        }
        guard content != JSONValue(current.pdu.content) else { return }
        _ = try? await writer.send(
            EventDraft(type: .canonicalAlias, sender: user, stateKey: "", content: content, roomID: record.id))
    }
}
