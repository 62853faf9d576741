public import HTTPMessages
public import HTTPTypes
public import MatrixModel

/// A request that has found its route: parameters decoded, its JSON body (if it takes one) parsed and bounded.
public struct APIRequest: Sendable {
    public let route: Route
    /// The path's parameters by name, percent-decoded.
    public let parameters: [String: String]
    public let queryItems: QueryItems
    public let head: HTTPRequest
    /// The JSON object of the body; `{}` when the request has none or the route takes a stream.
    public let body: JSONView
    /// The body's bytes as they came, for routes of JSON.
    public let bodyBytes: [UInt8]
    /// The body of a route that takes a stream.
    public let stream: HTTPBody
    /// The peer's address, without port.
    public let remoteAddress: String
    /// Names this request in the log.
    public let requestID: String

    public init(
        route: Route, parameters: [String: String], queryItems: QueryItems, head: HTTPRequest, body: JSONView,
        bodyBytes: [UInt8], stream: HTTPBody, remoteAddress: String, requestID: String
    ) {
        self.route = route
        self.parameters = parameters
        self.queryItems = queryItems
        self.head = head
        self.body = body
        self.bodyBytes = bodyBytes
        self.stream = stream
        self.remoteAddress = remoteAddress
        self.requestID = requestID
    }

    /// A parameter of the path; empty when the route has none of that name.
    public func parameter(_ name: String) -> String { parameters[name] ?? "" }

    /// A parameter of the path or query as an identifier. Throws `M_INVALID_PARAM`.
    public func identifier<I: MatrixIdentifier>(_ name: String, as type: I.Type = I.self) throws(MatrixError) -> I {
        guard let text = parameters[name] ?? query(name) else {
            throw MatrixError(.missingParameter, "Missing parameter \(name)")
        }
        do { return try I(text) } catch {
            throw MatrixError(.invalidParameter, "\(name) is not valid")
        }
    }

    public func roomID(_ name: String = "roomId") throws(MatrixError) -> RoomID { try identifier(name) }
    public func userID(_ name: String = "userId") throws(MatrixError) -> UserID { try identifier(name) }
    public func eventID(_ name: String = "eventId") throws(MatrixError) -> EventID { try identifier(name) }

    /// The first value of a query parameter.
    public func query(_ name: String) -> String? { queryItems[name] }

    /// All values of a query parameter, in order.
    public func queryValues(_ name: String) -> [String] { queryItems.all(name) }

    /// An integer of the query, held within `range`. Throws `M_INVALID_PARAM` when it is no integer.
    public func queryInteger(
        _ name: String, default fallback: Int, in range: ClosedRange<Int>
    ) throws(MatrixError) -> Int {
        guard let text = query(name) else { return fallback }
        guard let value = Int(text) else { throw MatrixError(.invalidParameter, "\(name) is not an integer") }
        return min(max(value, range.lowerBound), range.upperBound)
    }

    /// A boolean of the query: `true` or `false`. Throws `M_INVALID_PARAM` for anything else.
    public func queryBoolean(_ name: String, default fallback: Bool = false) throws(MatrixError) -> Bool {
        switch query(name) {
        case nil: return fallback
        case "true": return true
        case "false": return false
        default: throw MatrixError(.invalidParameter, "\(name) is neither true nor false")
        }
    }

    // Fields of the body. Missing: M_MISSING_PARAM (or nil); of another type: M_BAD_JSON.

    public func string(_ key: String) throws(MatrixError) -> String {
        guard let value = try optionalString(key) else {
            throw MatrixError(.missingParameter, "Missing \(key)")
        }
        return value
    }

    public func optionalString(_ key: String) throws(MatrixError) -> String? {
        guard let field = body[key], !field.isNull else { return nil }
        guard let value = field.string else { throw MatrixError(.badJSON, "\(key) is not a string") }
        return value
    }

    public func optionalInteger(_ key: String) throws(MatrixError) -> Int64? {
        guard let field = body[key], !field.isNull else { return nil }
        guard let value = field.integer else { throw MatrixError(.badJSON, "\(key) is not an integer") }
        return value
    }

    public func optionalBoolean(_ key: String) throws(MatrixError) -> Bool? {
        guard let field = body[key], !field.isNull else { return nil }
        guard let value = field.bool else { throw MatrixError(.badJSON, "\(key) is not a boolean") }
        return value
    }

    public func object(_ key: String) throws(MatrixError) -> JSONView {
        guard let value = try optionalObject(key) else { throw MatrixError(.missingParameter, "Missing \(key)") }
        return value
    }

    public func optionalObject(_ key: String) throws(MatrixError) -> JSONView? {
        guard let field = body[key], !field.isNull else { return nil }
        guard field.kind == .object else { throw MatrixError(.badJSON, "\(key) is not an object") }
        return field
    }

    public func optionalArray(_ key: String) throws(MatrixError) -> [JSONView]? {
        guard let field = body[key], !field.isNull else { return nil }
        guard field.kind == .array else { throw MatrixError(.badJSON, "\(key) is not an array") }
        return field.elements
    }
}
