public import MatrixModel

/// A device of a user of this server.
public struct Device: Sendable, Hashable {
    public let user: UserID
    public let id: DeviceID
    public var displayName: String?
    /// Milliseconds since 1970.
    public var created: Int64
    /// Milliseconds since 1970.
    public var lastSeen: Int64?
    public var lastSeenAddress: String?
    /// Holds keys of its own kind and is not listed.
    public var isHidden: Bool

    public init(
        user: UserID, id: DeviceID, displayName: String? = nil, created: Int64, lastSeen: Int64? = nil,
        lastSeenAddress: String? = nil, isHidden: Bool = false
    ) {
        self.user = user
        self.id = id
        self.displayName = displayName
        self.created = created
        self.lastSeen = lastSeen
        self.lastSeenAddress = lastSeenAddress
        self.isHidden = isHidden
    }
}
