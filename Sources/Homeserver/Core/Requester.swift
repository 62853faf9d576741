public import MatrixModel

/// Who asks: what authentication yields for every way of asking.
public struct Requester: Sendable {
    public var user: UserID
    /// The device of the access token; application services may have none.
    public var device: DeviceID?
    /// The row of the access token.
    public var accessTokenID: Int64?
    public var isAdmin: Bool
    public var isGuest: Bool
    /// May read, leave and redact its own only.
    public var isSuspended: Bool
    /// The id of the application service that asks, for itself or for one of its users.
    public var applicationService: String?
    /// OAuth scopes; empty for legacy tokens.
    public var scopes: Set<String>

    public init(
        user: UserID, device: DeviceID?, accessTokenID: Int64? = nil, isAdmin: Bool = false, isGuest: Bool = false,
        isSuspended: Bool = false, applicationService: String? = nil, scopes: Set<String> = []
    ) {
        self.user = user
        self.device = device
        self.accessTokenID = accessTokenID
        self.isAdmin = isAdmin
        self.isGuest = isGuest
        self.isSuspended = isSuspended
        self.applicationService = applicationService
        self.scopes = scopes
    }
}
