/// What a client may use, and how it is set up. Sizes are in bytes.
public struct CurlClientLimits: Sendable {
    /// Open connections to one host and port. HTTP/2 puts many requests on one.
    public var maximumConnectionsPerHost = 8

    /// Open connections together.
    public var maximumConnections = 512

    /// Transfers that run at once, with or without a connection yet.
    public var maximumTransfers = 2048

    /// Transfers that wait for a place among those; more are refused as overloaded.
    public var maximumWaiting = 8192

    /// For name look-up, TCP and TLS together.
    public var connectTimeout: Duration = .seconds(15)

    /// All header fields of a response.
    public var maximumHeaderBytes = 128 * 1024

    /// Header fields of a response.
    public var maximumHeaderFields = 256

    /// How long a connection may be idle and still be used again.
    public var maximumIdleTime: Duration = .seconds(90)

    public init() {}
}
