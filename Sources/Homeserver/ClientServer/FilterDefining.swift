internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Keeps filters for later syncs. Spec: <https://spec.matrix.org/v1.19/client-server-api/#filtering>
struct FilterDefining: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.defineFilter, define)
        router.on(.getFilter, read)
    }

    @Sendable private func define(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        try FilterChecking.check(request.body)
        let content: [UInt8]
        do { content = try CanonicalJSON.encode(request.body, strict: false) } catch {
            throw MatrixError(.badJSON, "The filter is not canonical JSON")
        }
        guard content.count <= AuthenticationLimits.filterBytes else {
            throw MatrixError(.tooLarge, "The filter is too large")
        }
        let limit = environment.configuration.limits.filtersPerUser
        let id = try await environment.database.write { connection in
            try FilterStore(connection).add(content, hash: SHA256.hash(content), of: user, limit: limit)
        }
        return .json(["filter_id": .string(String(id))])
    }

    @Sendable private func read(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = try OwnThings.user(request, requester)
        guard let id = Int64(request.parameter("filterId")) else { throw MatrixError(.notFound, "No such filter") }
        let content = try await environment.database.read { connection in
            try FilterStore(connection).filter(id, of: user)
        }
        guard let content else { throw MatrixError(.notFound, "No such filter") }
        return .json(bytes: content)
    }
}

/// Checks that what a filter names is of the right kind; what it does not know it leaves alone.
/// Throws `M_BAD_JSON`.
enum FilterChecking {
    static func check(_ filter: JSONView) throws(MatrixError) {
        guard filter.isObject else { throw bad("The filter is not an object") }
        try strings(filter, "event_fields")
        if let format = filter["event_format"] {
            guard let text = format.string, text == "client" || text == "federation" else {
                throw bad("event_format is neither client nor federation")
            }
        }
        try events(filter, "presence")
        try events(filter, "account_data")
        guard let room = try object(filter, "room") else { return }
        try rooms(room)
        if let leave = room["include_leave"], leave.bool == nil { throw bad("include_leave is not a boolean") }
        for part in ["ephemeral", "state", "timeline", "account_data"] {
            try events(room, part)
            if let below = room[part] { try rooms(below) }
        }
    }

    private static func events(_ parent: JSONView, _ key: String) throws(MatrixError) {
        guard let filter = try object(parent, key) else { return }
        if let limit = filter["limit"] {
            guard let number = limit.integer, number >= 0 else { throw bad("\(key).limit is not a count") }
        }
        for name in ["types", "not_types"] { try strings(filter, name) }
        for name in ["senders", "not_senders"] {
            for sender in try strings(filter, name) where (try? UserID(sender)) == nil {
                throw bad("\(key).\(name) has what is no user ID")
            }
        }
        for name in ["lazy_load_members", "include_redundant_members", "contains_url", "unread_thread_notifications"] {
            if let flag = filter[name], flag.bool == nil, !flag.isNull { throw bad("\(key).\(name) is not a boolean") }
        }
    }

    private static func rooms(_ filter: JSONView) throws(MatrixError) {
        for name in ["rooms", "not_rooms"] {
            for room in try strings(filter, name) where (try? RoomID(room)) == nil {
                throw bad("\(name) has what is no room ID")
            }
        }
    }

    @discardableResult
    private static func strings(_ parent: JSONView, _ key: String) throws(MatrixError) -> [String] {
        guard let list = parent[key], !list.isNull else { return [] }
        guard list.isArray else { throw bad("\(key) is not a list") }
        var found: [String] = []
        for element in list.elements {
            guard let text = element.string else { throw bad("\(key) is not a list of strings") }
            found.append(text)
        }
        return found
    }

    private static func object(_ parent: JSONView, _ key: String) throws(MatrixError) -> JSONView? {
        guard let value = parent[key], !value.isNull else { return nil }
        guard value.isObject else { throw bad("\(key) is not an object") }
        return value
    }

    private static func bad(_ message: String) -> MatrixError { MatrixError(.badJSON, message) }
}
