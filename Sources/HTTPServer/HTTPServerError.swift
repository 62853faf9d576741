/// Why a server did not start, or kept its old certificates. The texts name files and addresses, for an operator.
public enum HTTPServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The address cannot be listened on.
    case cannotListen(bind: String, port: Int, reason: String)
    /// Certificate or key cannot be read, are not PEM, or do not belong together.
    case badCertificate(path: String, reason: String)

    public var description: String {
        switch self {
        case .cannotListen(let bind, let port, let reason): "cannot listen on \(bind) port \(port): \(reason)"
        case .badCertificate(let path, let reason): "cannot use certificate or key \(path): \(reason)"
        }
    }
}
