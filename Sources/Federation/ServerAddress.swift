public import HTTPMessages

/// Where a server is reached: what the certificate and the Host header must say, and where the connection goes.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names>
public struct ServerAddress: Sendable, Hashable {
    /// The name in the certificate, and in the Host header without its port. IPv6 without brackets.
    public var host: String
    /// The port of the Host header; 443 leaves it out.
    public var port: Int
    /// Where the connection goes, if not to `host` and `port`.
    public var connectTo: ConnectionTarget?

    public init(host: String, port: Int, connectTo: ConnectionTarget? = nil) {
        self.host = host
        self.port = port
        self.connectTo = connectTo
    }

    /// A name without a port: its Host header has none, while the connection goes to another port.
    static func named(_ host: String, connectingTo target: String, port: Int) -> ServerAddress {
        ServerAddress(host: host, port: 443, connectTo: ConnectionTarget(host: target, port: port))
    }
}

/// The port a server listens on unless it says otherwise.
let defaultFederationPort = 8448
