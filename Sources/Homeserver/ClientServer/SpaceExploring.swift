internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Shows rooms from outside: one, or those of a space.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#spaces>
struct SpaceExploring: RouteGroup {
    /// Rooms of one page.
    static let page = 50
    static let maximumDepth = 20
    /// Rooms of one space, over all pages.
    static let maximumRooms = 2_000
    /// Spaces of other servers that one page may ask for, and how long all of it may take.
    private static let maximumQuestions = 30
    /// Servers that a client may name.
    private static let maximumServers = 10

    let environment: Environment
    let descriptions: RoomDescriptions
    let remote: RemoteHierarchies
    let aliases: any RemoteJoining

    func register(on router: inout Router) {
        router.on(.getSpaceHierarchy) { request, requester in try await hierarchy(request, requester) }
        router.onOptional(.getRoomSummary) { request, requester in .json(try await summary(request, requester)) }
        router.onOptional(.unstableRoomSummary) { request, requester in try await unstable(request, requester) }
        router.onOptional(.oldRoomSummary) { request, requester in try await unstable(request, requester) }
    }

    private static let forbidden = MatrixError(.forbidden, "You may not see this room, or it does not exist")

    // MARK: A space

    /// What a page is of; its token holds all of it, so any node can give the next.
    private struct Paging {
        var offset = 0
        var maximumDepth: Int
        var suggestedOnly: Bool

        init(_ request: APIRequest) throws(MatrixError) {
            suggestedOnly = try request.queryBoolean("suggested_only")
            maximumDepth = try SpaceExploring.natural(
                request, "max_depth", atLeast: 0, atMost: SpaceExploring.maximumDepth)
            guard let text = request.query("from") else { return }
            let parts = text.split(separator: "_", omittingEmptySubsequences: false)
            guard parts.count == 4, parts[0] == "h1", let offset = Int(parts[1]), let depth = Int(parts[2]),
                (1...SpaceExploring.maximumRooms).contains(offset), (0...SpaceExploring.maximumDepth).contains(depth),
                parts[3] == "0" || parts[3] == "1"
            else { throw MatrixError(.invalidParameter, "from is no token of this endpoint") }
            if request.query("max_depth") == nil { maximumDepth = depth }
            if request.query("suggested_only") == nil { suggestedOnly = parts[3] == "1" }
            guard depth == maximumDepth, (parts[3] == "1") == suggestedOnly else {
                throw MatrixError(.invalidParameter, "suggested_only and max_depth stay the same from page to page")
            }
            self.offset = offset
        }

        func token(after count: Int) -> String { "h1_\(offset + count)_\(maximumDepth)_\(suggestedOnly ? 1 : 0)" }
    }

    fileprivate static func natural(
        _ request: APIRequest, _ name: String, atLeast minimum: Int, atMost maximum: Int
    ) throws(MatrixError) -> Int {
        guard let text = request.query(name) else { return maximum }
        guard let value = Int(text), value >= minimum else {
            throw MatrixError(.invalidParameter, "\(name) is not an integer of at least \(minimum)")
        }
        return min(value, maximum)
    }

    /// A room that the walk has still to visit.
    private struct Step {
        var room: RoomID
        var via: [ServerName]
        var depth: Int
        /// What the server of the space above said of it.
        var told: RoomDescription?
        /// Whether that server said that our users cannot see it, wherever they ask.
        var isInaccessible = false
    }

    /// Walks the space from its root, each time: what was shown before is passed over. So a page costs no memory between
    /// requests, and what other servers said is remembered anyway.
    private func hierarchy(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let root = try request.roomID()
        let limit = try Self.natural(request, "limit", atLeast: 1, atMost: Self.page)
        let paging = try Paging(request)
        let deadline = environment.clock.monotonic() + .milliseconds(environment.configuration.timeouts.spaceHierarchy)
        var questions = Self.maximumQuestions
        var steps = [Step(room: root, via: try await servers(of: root, for: requester.user), depth: 0)]
        var visited: Set<RoomID> = []
        var passed = 0
        var rooms: [JSONValue] = []
        while let step = steps.popLast() {
            guard rooms.count < limit, passed < Self.maximumRooms else {
                steps.append(step)
                break
            }
            guard visited.count < Self.maximumRooms, visited.insert(step.room).inserted else { continue }
            let needsChildren = step.depth < paging.maximumDepth
            let found = try await visit(
                step, needsChildren: needsChildren, suggestedOnly: paging.suggestedOnly, &questions, deadline)
            guard let found, try await isVisible(found.room.description, to: requester.user) else {
                if step.depth == 0 { throw Self.forbidden }
                continue
            }
            if passed >= paging.offset { rooms.append(found.room.json(suggestedOnly: paging.suggestedOnly)) }
            passed += 1
            guard needsChildren, found.room.description.isSpace else { continue }
            for child in found.room.children.reversed() where child.isSuggested || !paging.suggestedOnly {
                steps.append(
                    Step(
                        room: child.room, via: child.via, depth: step.depth + 1, told: found.children[child.room],
                        isInaccessible: found.inaccessible.contains(child.room)))
            }
        }
        steps.removeAll { visited.contains($0.room) }
        return .json(
            .fields([
                "rooms": .array(rooms),
                "next_batch": steps.isEmpty || passed >= Self.maximumRooms
                    ? nil : .string(paging.token(after: rooms.count)),
            ]))
    }

    /// A room of the walk: ours, or as others tell it.
    private func visit(
        _ step: Step, needsChildren: Bool, suggestedOnly: Bool, _ questions: inout Int, _ deadline: Duration
    ) async throws -> RemoteHierarchies.Answer? {
        if let room = try await local(step.room) {
            return RemoteHierarchies.Answer(room: room, children: [:], inaccessible: [])
        }
        if step.isInaccessible { return nil }
        let told = step.told.map {
            RemoteHierarchies.Answer(
                room: SpaceRoom(description: $0, children: []), children: [:], inaccessible: [])
        }
        if let told, !(needsChildren && told.room.description.isSpace) { return told }
        guard questions > 0 else { return told }
        questions -= 1
        return await remote.hierarchy(
            of: step.room, suggestedOnly: suggestedOnly, via: step.via, until: deadline) ?? told
    }

    private func local(_ id: RoomID) async throws -> SpaceRoom? {
        let server = environment.serverName
        return try await environment.database.read { connection in
            guard let room = try descriptions.resident(id, server, connection) else { return nil }
            return try descriptions.describe(room, connection)
        }
    }

    private func isVisible(_ room: RoomDescription, to user: UserID?) async throws -> Bool {
        try await environment.database.read { try descriptions.isVisible(room, to: user, $0) }
    }

    /// Whom to ask about a room that this server is not in: who invited the user, and who its id names.
    private func servers(of room: RoomID, for user: UserID?) async throws -> [ServerName] {
        let sealer = environment.sealer
        let inviter = try await environment.database.read { connection in
            try user.flatMap { try RoomStore(connection).invite(of: $0, to: room, sealer: sealer) }?.sender.serverName
        }
        return [inviter, room.serverName].compactMap(\.self)
    }

    // MARK: One room

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>
    private func summary(_ request: APIRequest, _ requester: Requester?) async throws -> JSONValue {
        let text = request.parameter("roomIdOrAlias")
        var via = request.queryValues("via").prefix(Self.maximumServers).compactMap { try? ServerName($0) }
        let id: RoomID
        if text.hasPrefix("#") {
            let found = try await target(of: try request.identifier("roomIdOrAlias"), isAsked: requester != nil)
            (id, via) = (found.room, via + found.servers)
        } else {
            id = try request.roomID("roomIdOrAlias")
        }
        via += try await servers(of: id, for: requester?.user)
        var room = try await local(id)?.description
        // Who is not known may not have other servers asked.
        if room == nil, requester != nil {
            let deadline =
                environment.clock.monotonic() + .milliseconds(environment.configuration.timeouts.spaceHierarchy)
            room = await remote.hierarchy(of: id, suggestedOnly: false, via: via, until: deadline)?.room.description
        }
        guard let room, try await isVisible(room, to: requester?.user) else {
            throw MatrixError(.notFound, "There is no such room, or not for you")
        }
        var json = room.summary
        if let user = requester?.user {
            let membership = try await environment.database.read {
                try descriptions.membership(of: user, in: id, $0)
            }
            json["membership"] = membership.map { .string($0.rawValue) }
        }
        return json
    }

    /// The summary for clients of before: what the proposal added to a room's entry in the directory has a prefix, and the
    /// version two names.
    private func unstable(_ request: APIRequest, _ requester: Requester?) async throws -> APIResponse {
        var json = try await summary(request, requester)
        for (old, name) in [
            ("encryption", "encryption"), ("room_version", "room_version"), ("version", "room_version"),
        ] {
            json["im.nheko.summary.\(old)"] = json[name]
        }
        return .json(json)
    }

    private func target(
        of alias: RoomAlias, isAsked: Bool
    ) async throws -> (room: RoomID, servers: [ServerName]) {
        if alias.serverName == environment.serverName {
            let found = try await environment.database.read { try AliasStore($0).target(of: alias)?.room }
            guard let found else { throw MatrixError(.notFound, "There is no such alias") }
            return (found, [])
        }
        guard isAsked, environment.configuration.federation.isEnabled else {
            throw MatrixError(.notFound, "The alias cannot be looked up")
        }
        return try await aliases.resolve(alias)
    }
}
