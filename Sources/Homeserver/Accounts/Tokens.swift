internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// A new pair of tokens, not yet kept. Made outside of the transaction, which may run twice.
struct NewTokens: Sendable {
    let access: String
    let refresh: String?
    /// Milliseconds since 1970.
    let created: Int64
    /// Milliseconds the access token lives; `nil`: for ever.
    let lifetime: Int64?

    init(refreshable: Bool, in environment: Environment) {
        access = "fct_" + environment.random.token(40)
        refresh = refreshable ? "fcr_" + environment.random.token(40) : nil
        created = environment.clock.now()
        lifetime = refreshable ? environment.configuration.timeouts.accessTokenLifetime : nil
    }

    /// Keeps the hashes of the pair.
    func keep(
        user: UserID, device: DeviceID, replacing old: Int64? = nil, in connection: any SQLConnection
    ) throws {
        try AccessTokenStore(connection).insert(
            accessHash: Self.hash(access), refreshHash: refresh.map(Self.hash), user: user, device: device,
            created: created, expires: lifetime.map { created + $0 }, replaces: old)
    }

    /// The fields `access_token`, `refresh_token` and `expires_in_ms`.
    func write(to writer: inout JSONWriter) {
        writer.key("access_token")
        writer.string(access)
        if let refresh {
            writer.key("refresh_token")
            writer.string(refresh)
        }
        if let lifetime {
            writer.key("expires_in_ms")
            writer.integer(lifetime)
        }
    }

    /// What is kept of a token.
    static func hash(_ token: String) -> [UInt8] { SHA256.hash(Array(token.utf8)) }
}
