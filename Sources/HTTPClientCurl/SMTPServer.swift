/// A mail server that takes our mail.
public struct SMTPServer: Sendable, CustomStringConvertible {
    /// How the connection is secured.
    public enum Security: String, Sendable, CaseIterable {
        /// Not at all: for a server on this machine.
        case none
        /// By STARTTLS, or there is no mail.
        case starttls
        /// From the first byte.
        case tls
    }

    /// A name or an IP address (IPv6 without brackets).
    public var host: String
    public var port: Int
    public var security: Security
    public var username: String?
    public var password: String?
    /// What this server calls itself.
    public var ownName: String
    /// Whether the certificate must be valid for `host`.
    public var verifyTLS: Bool

    public init(
        host: String, port: Int, security: Security, username: String? = nil, password: String? = nil,
        ownName: String, verifyTLS: Bool = true
    ) {
        self.host = host
        self.port = port
        self.security = security
        self.username = username
        self.password = password
        self.ownName = ownName
        self.verifyTLS = verifyTLS
    }

    /// Without password.
    public var description: String { "\(host):\(port), \(security.rawValue)" }
}
