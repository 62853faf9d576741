public import HTTPMessages

/// One address that is listened on, and what answers there.
public struct HTTPListener: Sendable {
    /// Where certificate and key are; both PEM. They are read at start and by ``HTTPServer/reloadCertificates()``.
    public struct TLS: Hashable, Sendable {
        /// The certificate of this server, then those of the intermediate authorities.
        public var certificatePath: String
        public var privateKeyPath: String

        public init(certificatePath: String, privateKeyPath: String) {
            self.certificatePath = certificatePath
            self.privateKeyPath = privateKeyPath
        }
    }

    /// An IP address or name of this machine. `::` means every address of both families.
    public var bind: String
    /// 0 lets the system choose; ``HTTPServer`` reports what it chose.
    public var port: Int
    public var tls: TLS?
    /// Whether the last element of X-Forwarded-For and X-Forwarded-Proto, which a proxy in front of us adds, is
    /// believed. Without a proxy, anyone could write them.
    public var trustsForwarded: Bool
    public var handler: any HTTPHandler

    public init(
        bind: String = "::", port: Int, tls: TLS? = nil, trustsForwarded: Bool = false, handler: any HTTPHandler
    ) {
        self.bind = bind
        self.port = port
        self.tls = tls
        self.trustsForwarded = trustsForwarded
        self.handler = handler
    }
}

/// A listener that accepts connections.
public struct AcceptingListener: Hashable, Sendable {
    /// The place of the listener in the list given to the server.
    public let index: Int
    /// The address as it was configured.
    public let bind: String
    /// The real port.
    public let port: Int
    public let isTLS: Bool
}
