internal import Cryptography
internal import MatrixAPI
internal import MatrixModel

/// Credentials for a TURN server that shares a secret with us, valid for a time.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver>
public struct TurnServerRoutes: RouteGroup {
    private let environment: Environment

    public init(environment: Environment) { self.environment = environment }

    public func register(on router: inout Router) {
        router.on(.getTurnServer) { _, requester in
            let turn = environment.configuration.turn
            guard let secret = turn.sharedSecret, !turn.uris.isEmpty else {
                throw MatrixError(.notFound, "This server has no TURN server")
            }
            let seconds = max(1, turn.ttlMilliseconds / 1000)
            // coturn's use-auth-secret: when it ends and who, and their HMAC-SHA1.
            let name = "\(environment.clock.now() / 1000 + seconds):\(requester.user)"
            let password = HMACSHA1.authenticate(Array(name.utf8), key: secret)
            return .json([
                "username": .string(name), "password": .string(Base64.encode(password, .standard)),
                "uris": .array(turn.uris.map { .string($0) }), "ttl": .integer(seconds),
            ])
        }
    }
}
