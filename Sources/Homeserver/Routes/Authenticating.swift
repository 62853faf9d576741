public import MatrixAPI
public import MatrixModel

/// Tells who a client's request is from.
public protocol ClientAuthenticating: Sendable {
    /// Whose token this is. Throws `M_UNKNOWN_TOKEN`, `M_USER_LOCKED` and the like.
    func requester(token: String, of request: APIRequest) async throws(MatrixError) -> Requester
}

/// Tells which server a federation request is from.
public protocol ServerAuthenticating: Sendable {
    /// The server whose signature over the request was checked. Throws `M_UNAUTHORIZED` or `M_FORBIDDEN`.
    func origin(of request: APIRequest) async throws(MatrixError) -> ServerName
}
