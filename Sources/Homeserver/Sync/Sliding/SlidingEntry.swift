internal import HomeserverStorage
internal import MatrixModel

/// A room in a user's list of rooms.
struct SlidingEntry {
    enum Kind {
        /// A room that this server is in.
        case room(SyncRoom)
        /// An invite to a room elsewhere, or a knock on one.
        case invite(ReceivedInvite)
        /// Such an invite went away.
        case withdrawn
    }

    var id: RoomID
    var kind: Kind
    var membership: Membership
    /// When something last happened in it that concerns the user: a position of the stream `events`.
    var activity: Int64

    init(_ room: SyncRoom) {
        id = room.id
        kind = .room(room)
        membership = room.membership
        activity = room.membership == .join ? room.lastPosition : room.memberPosition
    }

    init(_ invite: ReceivedInvite) {
        id = invite.roomID
        kind = .invite(invite)
        membership = invite.membership
        activity = invite.position
    }

    init(withdrawn id: RoomID, at position: Int64) {
        self.id = id
        kind = .withdrawn
        membership = .leave
        activity = position
    }

    var room: SyncRoom? {
        if case .room(let room) = kind { room } else { nil }
    }
}
