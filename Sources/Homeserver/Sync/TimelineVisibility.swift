internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Who may see which events of a room's timeline.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility>
struct TimelineVisibility {
    let rooms: RoomReader
    let connection: any SQLConnection
    let user: UserID
    let roomNID: Int64
    /// The user's current membership; nil for none.
    let membership: Membership?
    /// The place of the user's current membership event; events behind it need no look at the state.
    private let settled: Int64?
    /// The place of the user's newest join; what lies before it was followed by a join.
    private let lastJoin: Int64?

    /// - Parameter memberNID: the user's current membership event.
    init(
        rooms: RoomReader, connection: any SQLConnection, user: UserID, roomNID: Int64, membership: Membership?,
        memberNID: Int64?
    ) throws {
        self.rooms = rooms
        self.connection = connection
        self.user = user
        self.roomNID = roomNID
        self.membership = membership
        var settled: Int64?
        var lastJoin: Int64?
        try MembershipHistory(rooms: rooms, connection: connection, user: user).walk(from: memberNID) {
            event, became in
            // A place may have been given to the event after it was read.
            let place = try event.position ?? rooms.log(connection).position(of: event.id)
            if event.nid == memberNID { settled = place }
            if became == .join { lastJoin = place }
            return lastJoin == nil
        }
        self.settled = settled
        self.lastJoin = lastJoin
    }

    /// Whether the user may see an event, and the user's membership at it.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func look(_ event: StoredEvent, at position: Int64?) throws -> (isVisible: Bool, membership: Membership) {
        if membership == .join, let settled, let position, position >= settled { return (true, .join) }
        let (before, after) = try states(around: event, at: position)
        let member = StateKey(.member, user.text)
        let visibility = StateKey(.historyVisibility, "")
        let (was, became) = (Self.membership(before[member]), Self.membership(after[member]))
        let joinedLater = lastJoin.map { join in position.map { $0 < join } ?? (membership == .join) } ?? false
        let audience = EventAudience(
            HistoryVisibility(before[visibility]?.pdu), after: HistoryVisibility(after[visibility]?.pdu))
        // One's own membership events are always for oneself.
        let isOwn = event.pdu.type == .member && event.pdu.stateKey == user.text
        let isVisible = isOwn || audience.userCanSee(.init(was, after: .some(became), joinedLater: joinedLater))
        // An event that lies beside the user's join knows nothing of it; who was in the room when it came was told of it.
        if became != .join, try wasInRoom(when: event) { return (true, .join) }
        return (isVisible, became ?? .leave)
    }

    /// Whether the user was joined in the room's state when an event came that lay beside others.
    private func wasInRoom(when event: StoredEvent) throws -> Bool {
        guard let root = event.headState else { return false }
        let key = StateKey(.member, user.text)
        return try Self.membership(rooms.state(at: root, keys: [key], in: connection)[key]) == .join
    }

    private static func membership(_ event: StoredEvent?) -> Membership? {
        event.flatMap { try? RoomMember($0.pdu).membership }
    }

    /// What held a key at a place, found from what held it later. One whose own place is not known counts as earlier.
    private func held(_ later: StoredEvent?, at position: Int64) throws -> StoredEvent? {
        let log = rooms.log(connection)
        var found = later
        var steps = 0
        while let event = found, steps < SyncLimits.membershipSteps,
            let place = try event.position ?? log.position(of: event.id), place > position
        {
            found = try event.replaces.flatMap { try rooms.events.events([$0], from: log)[$0] }
            steps += 1
        }
        return found
    }

    private func states(
        around event: StoredEvent, at position: Int64?
    ) throws -> (before: [StateKey: StoredEvent], after: [StateKey: StoredEvent]) {
        let keys = [StateKey(.member, user.text), StateKey(.historyVisibility, "")]
        var root = event.stateAfter
        if root == nil { root = try rooms.log(connection).stateRoot(room: roomNID, near: position ?? 0) }
        guard let root else { return ([:], [:]) }
        var after = try rooms.state(at: root, keys: keys, in: connection)
        if event.stateAfter == nil, let position {
            // History whose own state nobody told us: that of later events, without what came later.
            for key in keys { after[key] = try held(after[key], at: position) }
        }
        var before = after
        if let key = StateKey(of: event.pdu), keys.contains(key), event.stateAfter != nil {
            before[key] = nil
            if let old = event.replaces {
                before[key] = try rooms.events.events([old], from: rooms.log(connection))[old]
            }
        }
        return (before, after)
    }
}
