public import MatrixModel

/// A user of this server.
public struct Account: Sendable, Hashable {
    public let user: UserID
    /// A PHC or crypt string; `nil` when no password logs in.
    public var passwordHash: String?
    /// Milliseconds since 1970.
    public var created: Int64
    public var isAdmin: Bool
    public var isGuest: Bool
    /// Can never be used again.
    public var isDeactivated: Bool
    /// Can for now do nothing but log out. Spec: <https://spec.matrix.org/v1.19/client-server-api/#account-locking>
    public var isLocked: Bool
    /// Can read only. Spec: <https://spec.matrix.org/v1.19/client-server-api/#account-suspension>
    public var isSuspended: Bool
    /// Asked to be forgotten: who joins a room later gets the events redacted.
    public var isErased: Bool
    /// A kind that the operator gave, such as `bot`.
    public var userType: String?
    /// The application service that made it.
    public var applicationService: String?

    public init(
        user: UserID, passwordHash: String?, created: Int64, isAdmin: Bool = false, isGuest: Bool = false,
        isDeactivated: Bool = false, isLocked: Bool = false, isSuspended: Bool = false, isErased: Bool = false,
        userType: String? = nil, applicationService: String? = nil
    ) {
        self.user = user
        self.passwordHash = passwordHash
        self.created = created
        self.isAdmin = isAdmin
        self.isGuest = isGuest
        self.isDeactivated = isDeactivated
        self.isLocked = isLocked
        self.isSuspended = isSuspended
        self.isErased = isErased
        self.userType = userType
        self.applicationService = applicationService
    }
}
