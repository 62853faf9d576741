internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Account data and tags. Spec: <https://spec.matrix.org/v1.19/client-server-api/#client-config>
struct AccountDataEditing: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.getAccountData) { request, requester in try await read(request, requester, room: nil) }
        router.on(.setAccountData) { request, requester in try await write(request, requester, room: nil) }
        router.on(.getAccountDataPerRoom) { request, requester in
            try await read(request, requester, room: request.roomID())
        }
        router.on(.setAccountDataPerRoom) { request, requester in
            try await write(request, requester, room: request.roomID())
        }
        router.on(.getRoomTags, readTags)
        router.on(.setRoomTag, setTag)
        router.on(.deleteRoomTag, deleteTag)
    }

    private func read(_ request: APIRequest, _ requester: Requester, room: RoomID?) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        let type = try Self.type(request)
        let content = try await environment.database.read { [sealer = environment.sealer] connection in
            try AccountDataStore(connection, sealer).content(type, of: user, room: room)
        }
        if let content { return .json(bytes: content) }
        throw MatrixError(.notFound, "No such account data")
    }

    private func write(_ request: APIRequest, _ requester: Requester, room: RoomID?) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        let type = try Self.type(request)
        guard type != "m.push_rules", type != "m.fully_read" else {
            throw MatrixError(.badJSON, "This account data is the server's own", status: 405)
        }
        let content = request.bodyBytes.isEmpty ? Array("{}".utf8) : Array(request.body.rawBytes)
        guard content.count <= environment.configuration.limits.accountDataBytes else {
            throw MatrixError(.tooLarge, "The account data is too large")
        }
        // A transaction of its own: it holds the row of one stream only, so that two nodes never wait for each other.
        try await environment.database.write { [sealer = environment.sealer] connection in
            try Self.keep(type, content, of: user, room, connection, sealer)
        }
        return .empty
    }

    private static func keep(
        _ type: String, _ content: [UInt8], of user: UserID, _ room: RoomID?, _ connection: any SQLConnection,
        _ sealer: StorageSealer
    ) throws {
        guard try AccountDataStore(connection, sealer).set(type, content, of: user, room: room) != nil else {
            throw MatrixError(.resourceLimitExceeded, "There is too much account data")
        }
    }

    private static func type(_ request: APIRequest) throws(MatrixError) -> String {
        try OwnThings.name(request, "type")
    }

    // Tags are the room's account data `m.tag`. Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-tagging>

    @Sendable private func readTags(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        let room = try request.roomID()
        let tags = try await environment.database.read { [sealer = environment.sealer] connection in
            try Self.tags(of: user, in: room, connection, sealer)
        }
        return .json(["tags": .object(tags)])
    }

    @Sendable private func setTag(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let tag = try OwnThings.name(request, "tag")
        if let order = request.body["order"], order.double == nil, !order.isNull {
            throw MatrixError(.badJSON, "order is not a number")
        }
        let value = request.body.value
        return try await changeTags(request, requester) { tags throws(MatrixError) in
            guard tags[tag] != nil || tags.count < environment.configuration.limits.tagsPerRoom else {
                throw MatrixError(.resourceLimitExceeded, "The room has too many tags")
            }
            tags[tag] = value
        }
    }

    @Sendable private func deleteTag(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let tag = try OwnThings.name(request, "tag")
        return try await changeTags(request, requester) { tags in tags[tag] = nil }
    }

    private func changeTags(
        _ request: APIRequest, _ requester: Requester,
        _ change: @escaping @Sendable (inout [String: JSONValue]) throws(MatrixError) -> Void
    ) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        let room = try request.roomID()
        let maximum = environment.configuration.limits.accountDataBytes
        try await environment.database.write { [sealer = environment.sealer] connection in
            // The stream's row is the lock that keeps two changes of tags apart.
            _ = try StreamPositions(connection).advance("account_data", by: 1)
            let before = try Self.tags(of: user, in: room, connection, sealer)
            var tags = before
            try change(&tags)
            guard tags != before else { return }
            let content = JSONValue.object(["tags": .object(tags)]).serialized()
            guard content.count <= maximum else { throw MatrixError(.tooLarge, "The tags are too large") }
            try Self.keep("m.tag", content, of: user, room, connection, sealer)
        }
        return .empty
    }

    private static func tags(
        of user: UserID, in room: RoomID, _ connection: any SQLConnection, _ sealer: StorageSealer
    ) throws -> [String: JSONValue] {
        guard let bytes = try AccountDataStore(connection, sealer).content("m.tag", of: user, room: room),
            let content = try? JSONValue.parse(bytes)
        else { return [:] }
        return content["tags"]?.object ?? [:]
    }
}

/// Paths below `/user/{userId}`: a user's own things, which nobody else reads or writes.
enum OwnThings {
    /// The user of the path, who must be the one who asks. Throws `M_FORBIDDEN`.
    static func user(_ request: APIRequest, _ requester: Requester) throws(MatrixError) -> UserID {
        let user = try request.userID()
        guard user == requester.user else { throw MatrixError(.forbidden, "This belongs to another user") }
        return user
    }

    /// A name of the path, 1 to 255 bytes. Throws `M_INVALID_PARAM`.
    static func name(_ request: APIRequest, _ parameter: String) throws(MatrixError) -> String {
        let name = request.parameter(parameter)
        guard (1...AccountLimits.nameBytes).contains(name.utf8.count), !name.utf8.contains(0) else {
            throw MatrixError(.invalidParameter, "\(parameter) is not valid")
        }
        return name
    }
}
