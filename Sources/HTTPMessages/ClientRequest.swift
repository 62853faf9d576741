public import HTTPTypes

/// Where the connection goes instead of to the host that the request names.
public struct ConnectionTarget: Hashable, Sendable {
    /// A name or an IP address (IPv6 without brackets).
    public var host: String
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

/// A request to another server, complete with what bounds it.
public struct ClientRequest: Sendable {
    public var method: HTTPRequest.Method
    /// `http` or `https`.
    public var scheme: String
    /// The name in the Host field and the certificate; IPv6 addresses without brackets.
    public var host: String
    public var port: Int
    /// The target, percent-encoded, starting with `/`.
    public var pathAndQuery: String
    /// Fields to send beside Host and Content-Length.
    public var fields: HTTPFields
    public var body: [UInt8]
    /// Delegation: the connection goes there, while the TLS name and Host stay `host`.
    public var connectTo: ConnectionTarget?
    /// The time for all of it, from waiting in the queue to the last byte.
    public var timeout: Duration
    /// The most bytes of response body.
    public var maximumResponseBytes: Int
    /// Whether loopback, link-local and private addresses may be connected to.
    public var allowPrivateAddresses: Bool
    /// How many redirects are followed; 0 returns the 3xx response. Only GET and HEAD are redirected.
    public var followRedirects: Int
    /// Whether the certificate must be valid for `host`.
    public var verifyTLS: Bool

    public init(
        method: HTTPRequest.Method = .get, scheme: String = "https", host: String, port: Int = 443,
        pathAndQuery: String = "/", fields: HTTPFields = [:], body: [UInt8] = [],
        connectTo: ConnectionTarget? = nil, timeout: Duration = .seconds(60),
        maximumResponseBytes: Int = HTTPMessageLimits.defaultMaximumBodyBytes, allowPrivateAddresses: Bool = false,
        followRedirects: Int = 0, verifyTLS: Bool = true
    ) {
        self.method = method
        self.scheme = scheme
        self.host = host
        self.port = port
        self.pathAndQuery = pathAndQuery
        self.fields = fields
        self.body = body
        self.connectTo = connectTo
        self.timeout = timeout
        self.maximumResponseBytes = maximumResponseBytes
        self.allowPrivateAddresses = allowPrivateAddresses
        self.followRedirects = followRedirects
        self.verifyTLS = verifyTLS
    }
}
