internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a user was in a room.
struct MembershipHistory {
    let rooms: RoomReader
    let connection: any SQLConnection
    let user: UserID

    /// The user's membership of a room at a position of the stream `events`; nil for none.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func membership(in room: SyncRoom, at position: Int64) throws -> Membership? {
        if room.memberPosition <= position { return room.membership }
        // Where only history is older, the room was not here then, whatever the user was in it.
        guard try rooms.log(connection).lastPosition(room: room.nid, before: position + 1) ?? 0 > 0 else { return nil }
        guard let root = try rooms.log(connection).stateRoot(room: room.nid, at: position),
            let nid = try StateReader(connection, rooms.states).event(at: root, .member, user.text)
        else { return nil }
        return try membership(nid)
    }

    /// The membership that an event says.
    /// - Throws: `DatabaseError`.
    func membership(_ nid: Int64) throws -> Membership? {
        try event(nid).flatMap { try? RoomMember($0.pdu).membership }
    }

    /// Whether a membership event, or one that it replaced, is a join.
    /// - Throws: `DatabaseError`.
    func hasJoined(_ nid: Int64) throws -> Bool {
        var found = false
        try walk(from: nid) { _, membership in
            found = membership == .join
            return !found
        }
        return found
    }

    /// Goes through a membership event and those that it replaced, the newest first, as far as is bounded.
    /// - Parameter visit: is given each with the membership that it says, and tells whether to go on.
    /// - Throws: `DatabaseError`, what `visit` throws.
    func walk(from nid: Int64?, _ visit: (StoredEvent, Membership?) throws -> Bool) throws {
        var next = nid
        for _ in 0..<SyncLimits.membershipSteps {
            guard let nid = next, let event = try event(nid),
                try visit(event, try? RoomMember(event.pdu).membership)
            else { return }
            next = event.replaces
        }
    }

    private func event(_ nid: Int64) throws -> StoredEvent? {
        try rooms.events.events([nid], from: rooms.log(connection))[nid]
    }
}
