internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// What a client searches for in rooms.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search>
struct SearchRequest: Sendable {
    struct Context: Sendable {
        var before: Int
        var after: Int
        var includesProfiles: Bool
    }

    enum Grouping: String, Sendable {
        case room = "room_id"
        case sender
    }

    let text: String
    let kinds: [SearchableText.Kind]
    let isRecentFirst: Bool
    let filter: EventFilter
    let limit: Int
    let context: Context?
    let includesState: Bool
    let groupings: [Grouping]
    /// Where to go on.
    let token: SearchToken?

    /// - Throws: `MatrixError`.
    init(_ criteria: JSONView, nextBatch: String?) throws(MatrixError) {
        guard criteria.kind == .object else { throw MatrixError(.badJSON, "room_events is not an object") }
        guard let term = criteria["search_term"], !term.isNull else {
            throw MatrixError(.missingParameter, "Missing search_term")
        }
        guard let text = term.string else { throw MatrixError(.badJSON, "search_term is not a string") }
        guard text.utf8.count <= SearchLimits.termBytes else {
            throw MatrixError(.invalidParameter, "search_term is longer than \(SearchLimits.termBytes) bytes")
        }
        self.text = text
        switch try Self.string(criteria, "order_by") {
        case nil, "rank": isRecentFirst = false
        case "recent": isRecentFirst = true
        default: throw MatrixError(.invalidParameter, "order_by is neither rank nor recent")
        }
        if let filter = criteria["filter"], filter.kind != .object, !filter.isNull {
            throw MatrixError(.badJSON, "filter is not an object")
        }
        let filter = EventFilter(criteria["filter"])
        self.filter = filter
        limit = min(max(1, filter.limit ?? 10), SearchLimits.page)
        var kinds = SearchableText.Kind.allCases
        if let keys = criteria["keys"], !keys.isNull {
            guard let list = keys.array else { throw MatrixError(.badJSON, "keys is not a list") }
            kinds = []
            for key in list.prefix(SearchableText.Kind.allCases.count * 2) {
                guard let kind = key.string.flatMap(SearchableText.Kind.init) else {
                    throw MatrixError(.invalidParameter, "keys names a key that cannot be searched")
                }
                if !kinds.contains(kind) { kinds.append(kind) }
            }
        }
        self.kinds = kinds.filter { filter.allows(type: $0.type.text) }
        context = try Self.context(criteria)
        includesState = criteria["include_state"]?.bool ?? false
        var groupings: [Grouping] = []
        for group in criteria["groupings"]?["group_by"]?.array?.prefix(10) ?? [] {
            guard let grouping = group["key"]?.string.flatMap(Grouping.init) else {
                throw MatrixError(.invalidParameter, "group_by names a key by which there are no groups")
            }
            if !groupings.contains(grouping) { groupings.append(grouping) }
        }
        self.groupings = groupings
        token = try nextBatch.flatMap { $0.isEmpty ? nil : $0 }.map { text throws(MatrixError) in
            try SearchToken(text)
        }
    }

    private static func string(_ view: JSONView, _ key: String) throws(MatrixError) -> String? {
        guard let value = view[key], !value.isNull else { return nil }
        guard let text = value.string else { throw MatrixError(.badJSON, "\(key) is not a string") }
        return text
    }

    private static func context(_ criteria: JSONView) throws(MatrixError) -> Context? {
        guard let context = criteria["event_context"], !context.isNull else { return nil }
        guard context.kind == .object else { throw MatrixError(.badJSON, "event_context is not an object") }
        func limit(_ key: String) throws(MatrixError) -> Int {
            guard let value = context[key], !value.isNull else { return 5 }
            guard let number = value.integer, number >= 0 else {
                throw MatrixError(.badJSON, "\(key) is not a count")
            }
            return Int(min(number, Int64(SearchLimits.context)))
        }
        return Context(
            before: try limit("before_limit"), after: try limit("after_limit"),
            includesProfiles: context["include_profile"]?.bool ?? false)
    }
}
