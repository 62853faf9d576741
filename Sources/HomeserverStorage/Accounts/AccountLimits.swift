/// What the tables of accounts refuse to grow beyond.
public enum AccountLimits {
    /// Sessions of user-interactive authentication at a time, of all users: past it the oldest go.
    public static let authenticationSessions: Int64 = 50_000
    /// Login tokens that wait, of one user.
    public static let loginTokensPerUser: Int64 = 10
    /// OpenID tokens that are valid at a time, of one user.
    public static let openIDTokensPerUser: Int64 = 100
    /// Nonces of the shared-secret registration that wait.
    public static let registrationNonces: Int64 = 1_000
    /// Milliseconds such a nonce lives.
    public static let nonceLifetime: Int64 = 60_000
    /// Types of account data of one user, over all rooms.
    public static let accountDataRows: Int64 = 20_000
    /// Bytes of an account data type, a tag or a device id: the bound of identifiers.
    public static let nameBytes = 255
    /// Bytes of a whole profile. Spec: <https://spec.matrix.org/v1.19/client-server-api/#profiles>
    public static let profileBytes = 65_536
}
