internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// History that is missing: at the beginning of what is here, or between events that are.
struct HistoryGap: Sendable, Hashable {
    /// The newest of the missing events.
    var missing: [EventID]
    /// The position of the event that follows them; nil for the beginning.
    var end: Int64?
}

/// Fetches history this server does not hold.
protocol RemoteBackfilling: Sendable {
    /// Asks other servers for missing events and those before them. When this returns they are in the log.
    /// - Parameter gap: without, all that is missing at the room's backward extremities.
    /// - Returns: whether any came.
    func backfill(_ room: RoomRecord, _ gap: HistoryGap?, limit: Int) async -> Bool

    /// Asks other servers which event was closest to a time, and fetches history until that is in the log.
    /// - Returns: whether any came.
    func reach(_ timestamp: Int64, forward: Bool, in room: RoomRecord) async -> Bool
}

/// What a user may see of a room: all of it, or what there was until the user left.
struct RoomAccess {
    let room: RoomRecord
    let membership: RoomMembership?
    /// The state the user may see.
    let root: StateRoot
    /// The last position the user may see; nil for all.
    let end: Int64?
    let visibility: TimelineVisibility

    /// What a user may see of a room; nil where that is nothing. What the database cannot tell is no "nothing".
    /// - Throws: `DatabaseError`, `CorruptState`.
    static func ifAllowed(
        _ room: RoomID, user: UserID, rooms: RoomReader, _ connection: any SQLConnection
    ) throws -> RoomAccess? {
        do { return try RoomAccess(room, user: user, rooms: rooms, connection) } catch let error as MatrixError
            where error.code == .forbidden
        { return nil }
    }

    /// - Throws: `M_FORBIDDEN` for who never was in the room, unless everybody may read it; `DatabaseError`.
    init(_ roomID: RoomID, user: UserID, rooms: RoomReader, _ connection: any SQLConnection) throws {
        let store = RoomStore(connection)
        guard let room = try store.room(roomID) else { throw Self.forbidden }
        let member = try store.membership(of: user, in: room.nid)
        let isForgotten = try member.map {
            try $0.membership != .join && store.isForgotten(room: $0.roomNID, user: user)
        }
        let departure =
            try member.flatMap { member in
                member.membership == .leave || member.membership == .ban
                    ? try Self.departure(from: member.eventNID, rooms, connection) : nil
            }
        if member?.membership == .join {
            (root, end) = (room.state, nil)
        } else if try Self.isWorldReadable(room, rooms, connection) {
            (root, end) = (room.state, nil)
        } else if let departure, isForgotten != true {
            root = departure.stateAfter ?? room.state
            end = try departure.position ?? rooms.log(connection).position(of: departure.id)
        } else {
            throw Self.forbidden
        }
        self.room = room
        membership = member
        visibility = try TimelineVisibility(
            rooms: rooms, connection: connection, user: user, roomNID: room.nid, membership: member?.membership,
            memberNID: member?.eventNID)
    }

    static let forbidden = MatrixError(.forbidden, "You are not in this room")

    /// The event by which a user who is no longer joined ceased to be; nil for one who never was.
    private static func departure(
        from nid: Int64, _ rooms: RoomReader, _ connection: any SQLConnection
    ) throws -> StoredEvent? {
        let log = rooms.log(connection)
        var current = try rooms.events.events([nid], from: log)[nid]
        for _ in 0..<SyncLimits.membershipSteps {
            guard let event = current, let old = event.replaces,
                let before = try rooms.events.events([old], from: log)[old]
            else { return nil }
            if (try? RoomMember(before.pdu).membership) == .join { return event }
            current = before
        }
        return nil
    }

    private static func isWorldReadable(
        _ room: RoomRecord, _ rooms: RoomReader, _ connection: any SQLConnection
    ) throws -> Bool {
        let key = StateKey(.historyVisibility, "")
        let event = try rooms.state(at: room.state, keys: [key], in: connection)[key]
        return HistoryVisibility(event?.pdu) == .worldReadable
    }
}
