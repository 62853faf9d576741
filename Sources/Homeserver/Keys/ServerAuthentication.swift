internal import Cryptography
internal import Federation
private import HTTPTypes
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms

/// Checks which server a federation request is from.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#request-authentication>
struct ServerAuthentication: ServerAuthenticating {
    let environment: Environment
    let keyRing: KeyRing
    let limiter: RateLimiter
    /// Told of every server that proved itself, so that one that was down is tried again.
    let heardFrom: @Sendable (ServerName) async -> Void

    func origin(of request: APIRequest) async throws(MatrixError) -> ServerName {
        guard environment.configuration.federation.isEnabled else {
            throw MatrixError(.forbidden, "This server does not federate")
        }
        guard let header = request.head.headerFields[.authorization] else {
            throw MatrixError(.unauthorized, "Missing Authorization")
        }
        let signature: RequestSignature
        do { signature = try RequestSignature(parsing: header) } catch {
            throw MatrixError(.unauthorized, "The Authorization header is not valid: \(error.reason)")
        }
        if let destination = signature.destination, destination != environment.serverName {
            throw MatrixError(.unauthorized, "The request is for another server")
        }
        guard environment.settings.allows(signature.origin) else {
            throw MatrixError(.forbidden, "Not allowed to federate")
        }
        guard let key = try await key(signature, at: request.remoteAddress) else {
            throw MatrixError(.unauthorized, "No valid key \(signature.keyID) of that server is known")
        }
        let content = request.bodyBytes.isEmpty ? nil : request.body
        guard
            signature.verifies(
                request.head.method.rawValue, request.head.path ?? "", content: content, to: environment.serverName,
                key: key)
        else { throw MatrixError(.unauthorized, "The signature is not valid") }
        await heardFrom(signature.origin)
        return signature.origin
    }

    /// The key that a request says it is signed with. Anybody can name a server, so how many an address makes us ask is limited.
    private func key(
        _ signature: RequestSignature, at address: String
    ) async throws(MatrixError) -> Ed25519.PublicKey? {
        do {
            return try await keyRing.key(signature.keyID, of: signature.origin, for: .request) {
                try await limiter.take(.keyFetches, who: address)
            }
        } catch let error as MatrixError { throw error } catch {
            environment.logger.warning("server keys", metadata: ["cause": "\(error)"])
            throw .unknown
        }
    }
}
