public import HTTPTypes

/// A request as a server received it.
public struct IncomingRequest: Sendable {
    /// Method, target and header fields. `head.path` is the path with its query, as it came.
    public var head: HTTPRequest
    /// The body, not yet read.
    public var body: HTTPBody
    /// The IP address of the client without port: the socket's, or what a trusted proxy tells.
    public var remoteAddress: String
    /// Whether the client reached us, or a trusted proxy, over TLS.
    public var isSecure: Bool

    public init(head: HTTPRequest, body: HTTPBody = .empty, remoteAddress: String = "", isSecure: Bool = false) {
        self.head = head
        self.body = body
        self.remoteAddress = remoteAddress
        self.isSecure = isSecure
    }

    /// The method, as GET or PUT.
    public var method: HTTPRequest.Method { head.method }

    /// Path and query of the request's target.
    public var target: PathAndQuery { PathAndQuery(head.path ?? "/") }
}
