public import MatrixAPI
public import MatrixModel
public import SQLDatabase

/// Told, within the transaction, that a user's devices or their names have changed: takes a position in the device-list
/// stream and tells the servers that share a room.
public protocol DeviceListAnnouncing: Sendable {
    func deviceListChanged(of user: UserID, in connection: any SQLConnection) throws
}

/// Carries a changed display name or avatar into the rooms that the user is joined to.
public protocol ProfilePropagating: Sendable {
    /// Called after the profile is kept; the rooms' failures are its own business.
    func profileChanged(of user: UserID, displayname: String?, avatarURL: String?) async
}

/// Takes a user out of all rooms: joined, invited, knocking.
public protocol RoomDeparting: Sendable {
    func leaveAllRooms(_ user: UserID) async
}

/// Profiles of other servers' users.
public protocol RemoteProfiles: Sendable {
    /// The profile as an object, or one field of it as an object of one key. Throws `M_NOT_FOUND` and the like.
    func profile(of user: UserID, field: String?) async throws(MatrixError) -> JSONValue
}

/// Lets application services ask as themselves and as their users.
public protocol ApplicationServiceAuthenticating: Sendable {
    /// Who asks; `nil` when the token is of no application service.
    func requester(asToken: String, of request: APIRequest) async throws(MatrixError) -> Requester?
    /// Whether only an application service may have users of this name.
    func isExclusive(_ user: UserID) -> Bool
}

/// What the handlers of accounts ask of other parts of the server.
public struct AccountCollaborators: Sendable {
    public var deviceLists: (any DeviceListAnnouncing)?
    public var profiles: (any ProfilePropagating)?
    public var remoteProfiles: (any RemoteProfiles)?
    public var departure: (any RoomDeparting)?
    public var applicationServices: (any ApplicationServiceAuthenticating)?

    public init(
        deviceLists: (any DeviceListAnnouncing)? = nil, profiles: (any ProfilePropagating)? = nil,
        remoteProfiles: (any RemoteProfiles)? = nil, departure: (any RoomDeparting)? = nil,
        applicationServices: (any ApplicationServiceAuthenticating)? = nil
    ) {
        self.deviceLists = deviceLists
        self.profiles = profiles
        self.remoteProfiles = remoteProfiles
        self.departure = departure
        self.applicationServices = applicationServices
    }
}
