public import HomeserverStorage
public import MatrixAPI
public import MatrixModel

/// Takes local users in and out of rooms this server is not in, by asking servers that are.
public protocol RemoteJoining: Sendable {
    /// Joins a room; when this returns, the room and the join are in the log.
    /// - Parameter servers: whom to ask, in order.
    func join(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
    ) async throws(MatrixError) -> RoomID
    /// Leaves a room (declines an invite, withdraws a knock) that this server is not in.
    func leave(_ room: RoomID, as user: UserID, content: JSONValue, invite: ReceivedInvite) async throws(MatrixError)
    /// Knocks on a room this server is not in; the knock is kept by `RoomStore.saveInvite`.
    func knock(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
    ) async throws(MatrixError) -> RoomID
    /// Which room another server's alias names, and who is in it.
    func resolve(_ alias: RoomAlias) async throws(MatrixError) -> (room: RoomID, servers: [ServerName])
}

/// Brings an invite to the server of the invited user, which signs it.
public protocol InviteSending: Sendable {
    /// The invite with the other server's signature.
    /// - Parameter state: the room's state that the invited may see: the stripped types, in full.
    func sendInvite(_ event: PDU, state: [PDU]) async throws(MatrixError) -> PDU
}

/// What the handlers of rooms ask of other parts of the server. What is nil is refused.
public struct RoomCollaborators: Sendable {
    public var remoteJoining: (any RemoteJoining)?
    public var inviteSending: (any InviteSending)?

    /// Those that there are.
    public init(remoteJoining: (any RemoteJoining)? = nil, inviteSending: (any InviteSending)? = nil) {
        self.remoteJoining = remoteJoining
        self.inviteSending = inviteSending
    }
}
