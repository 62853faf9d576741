/// Why there is no response. The texts are for logs; they are never shown to a client of ours.
public enum HTTPClientError: Error, Hashable, Sendable {
    /// Connecting, or the whole exchange, took longer than the request allows.
    case timedOut
    /// The host's addresses are loopback, link-local, private or otherwise not to be reached.
    case refusedAddress
    /// The host is not known, or no address of it accepts connections.
    case couldNotConnect(String)
    /// The TLS handshake failed, or the certificate is not for this host or not from a trusted authority.
    case tls(String)
    /// The body is larger than `maximumResponseBytes`, or the header larger than a client's limit.
    case responseTooLarge
    /// The task was cancelled, or the client is shut down.
    case cancelled
    /// Too many requests wait already.
    case overloaded
    /// What has no name above: a connection that broke, a response that is not HTTP, too many redirects, a request
    /// that cannot be written as HTTP.
    case other(String)
}
