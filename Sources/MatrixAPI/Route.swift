public import HTTPTypes

/// An endpoint, declared once for both ends: the server routes by it, a client and a peer server build their calls from it.
///
/// Requests and responses are read and written through lazy JSON views, so a route has no type of its own
/// (`spec/decisions/0004-endpoints-are-decoded-by-hand.md`).
public struct Route: Sendable, Hashable {
    /// Who may call an endpoint.
    public enum Access: Sendable, Hashable {
        /// Anybody.
        case none
        /// Anybody; an access token changes the answer.
        case optionalAccessToken
        /// A user's access token.
        case accessToken
        /// A server that signs the request (X-Matrix).
        case serverSignature
    }

    /// How a request's body is taken in.
    public enum BodyKind: Sendable, Hashable {
        /// A JSON object, read whole, at most so many bytes.
        case json(maximumBytes: Int)
        /// Bytes that the handler reads itself.
        case stream
    }

    /// The spec's `operationId`.
    public let operationID: String
    public let method: HTTPRequest.Method
    /// The path, with its parameters in braces: `/_matrix/client/v3/rooms/{roomId}/join`.
    public let template: String
    public let access: Access
    /// Whether the spec gives this endpoint a 429 answer.
    public let isRateLimited: Bool
    /// Whether the Guest Access module lets a guest's token in.
    public let allowsGuests: Bool
    public let body: BodyKind

    public init(
        _ operationID: String, _ method: HTTPRequest.Method, _ template: String, _ access: Access,
        isRateLimited: Bool = false, allowsGuests: Bool = false,
        body: BodyKind = .json(maximumBytes: APILimits.jsonBodyBytes)
    ) {
        self.operationID = operationID
        self.method = method
        self.template = template
        self.access = access
        self.isRateLimited = isRateLimited
        self.allowsGuests = allowsGuests
        self.body = body
    }

    /// The same endpoint with its body taken in another way.
    public func taking(_ body: BodyKind) -> Route {
        Route(
            operationID, method, template, access, isRateLimited: isRateLimited, allowsGuests: allowsGuests, body: body)
    }

    public static func == (left: Route, right: Route) -> Bool {
        left.method == right.method && left.template == right.template
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(method)
        hasher.combine(template)
    }

    /// Every endpoint of the client-server and server-server APIs.
    public static let all: [Route] = clientServer + serverServer
}
