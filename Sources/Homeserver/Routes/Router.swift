internal import HTTPTypes
public import MatrixAPI
public import MatrixModel

/// Handlers of one subject, which know their routes.
public protocol RouteGroup: Sendable {
    func register(on router: inout Router)
}

/// The route table: which handler answers which path. A path that the spec knows answers another method with 405, and
/// every path that is not served with 404, both `M_UNRECOGNIZED`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#standard-error-response>
public struct Router: Sendable {
    /// What answers a route, by who may ask.
    public enum Handler: Sendable {
        case open(@Sendable (APIRequest) async throws -> APIResponse)
        case optional(@Sendable (APIRequest, Requester?) async throws -> APIResponse)
        case client(@Sendable (APIRequest, Requester) async throws -> APIResponse)
        case server(@Sendable (APIRequest, ServerName) async throws -> APIResponse)
    }

    /// A path that was found.
    struct Match {
        var route: Route
        var handler: Handler
        var parameters: [String: String]
    }

    enum Lookup {
        case found(Match)
        case wrongMethod
        case unknown
    }

    private final class Node: @unchecked Sendable {
        var fixed: [String: Node] = [:]
        var parameter: Node?
        /// By method. Written only while the table is built.
        var entries: [String: (route: Route, names: [String], handler: Handler?)] = [:]
    }

    private let root = Node()
    /// The routes that are served.
    public private(set) var served: Set<Route> = []

    public init() {
        for route in Route.all { insert(route, nil) }
    }

    /// Serves a client endpoint that needs an access token.
    public mutating func on(
        _ route: Route, _ handle: @escaping @Sendable (APIRequest, Requester) async throws -> APIResponse
    ) { serve(route, .client(handle)) }

    /// Serves an endpoint that anybody may ask.
    public mutating func onPublic(
        _ route: Route, _ handle: @escaping @Sendable (APIRequest) async throws -> APIResponse
    ) { serve(route, .open(handle)) }

    /// Serves an endpoint whose answer depends on an access token, if there is one.
    public mutating func onOptional(
        _ route: Route, _ handle: @escaping @Sendable (APIRequest, Requester?) async throws -> APIResponse
    ) { serve(route, .optional(handle)) }

    /// Serves an endpoint that another server signs.
    public mutating func onServer(
        _ route: Route, _ handle: @escaping @Sendable (APIRequest, ServerName) async throws -> APIResponse
    ) { serve(route, .server(handle)) }

    private mutating func serve(_ route: Route, _ handler: Handler) {
        let isNew = served.insert(route).inserted
        precondition(isNew, "two handlers serve \(route.operationID)")
        insert(route, handler)
    }

    private func insert(_ route: Route, _ handler: Handler?) {
        var node = root
        var names: [String] = []
        for segment in Self.segments(of: route.template) {
            if segment.hasPrefix("{") {
                names.append(String(segment.dropFirst().dropLast()))
                let next = node.parameter ?? Node()
                node.parameter = next
                node = next
            } else {
                let next = node.fixed[segment] ?? Node()
                node.fixed[segment] = next
                node = next
            }
        }
        let method = route.method.rawValue
        if handler == nil, node.entries[method] != nil { return }
        node.entries[method] = (route, names, handler)
    }

    /// Finds the handler of a path. Fixed segments win over parameters.
    func lookup(method: String, segments: [String]) -> Lookup {
        var found: Node?
        var values: [String] = []
        func walk(_ node: Node, _ index: Int, _ taken: [String]) -> Bool {
            if index == segments.count {
                guard !node.entries.isEmpty else { return false }
                found = node
                values = taken
                return node.entries[method] != nil
            }
            if let next = node.fixed[segments[index]], walk(next, index + 1, taken) { return true }
            if let next = node.parameter, walk(next, index + 1, taken + [segments[index]]) { return true }
            return false
        }
        _ = walk(root, 0, [])
        guard let node = found else { return .unknown }
        guard let entry = node.entries[method] else {
            return node.entries.values.contains { $0.handler != nil } ? .wrongMethod : .unknown
        }
        guard let handler = entry.handler else { return .unknown }
        var parameters: [String: String] = [:]
        for (name, value) in zip(entry.names, values) { parameters[name] = value }
        return .found(Match(route: entry.route, handler: handler, parameters: parameters))
    }

    /// The segments of a path; a slash at its end counts for nothing.
    static func segments(of path: String) -> [String] {
        var segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        if segments.last == "" { segments.removeLast() }
        return segments
    }
}

extension Route {
    /// `PUT`ting a state event whose state key is empty may leave the key out of the path.
    public static let setRoomState = Route(
        "setRoomState", .put, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}", .accessToken)
    /// Reading the state event whose state key is empty.
    public static let getRoomStateWithoutKey = Route(
        "getRoomStateWithoutKey", .get, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}", .accessToken)
}
