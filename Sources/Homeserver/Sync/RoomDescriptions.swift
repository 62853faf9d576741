internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The descriptions of the rooms that are here, and who may see them. Cached by state, in which all of it is.
struct RoomDescriptions: Sendable {
    /// Children of a space that are told.
    static let maximumChildren = 1_000

    let rooms: RoomReader
    private let summaries: RoomSummaries
    private let found = BoundedCache<StateRoot, SpaceRoom>(budget: SyncLimits.summaryBytes)

    init(rooms: RoomReader) {
        self.rooms = rooms
        summaries = RoomSummaries(rooms: rooms)
    }

    /// A room and its children, in their order.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func describe(_ room: RoomRecord, _ connection: any SQLConnection) throws -> SpaceRoom? {
        if let known = found.value(room.state) { return known }
        let state = try rooms.state(
            at: room.state, keys: RoomDescription.types.map { StateKey($0, "") }, in: connection)
        let joined = try summaries.counts(room: room.nid, state: room.state, connection).joined
        guard
            let description = RoomDescription(
                room, joinedMembers: joined, state: { state[StateKey($0, "")]?.pdu })
        else { return nil }
        var described = SpaceRoom(description: description, children: [])
        if description.isSpace {
            let keys = try StateReader(connection, rooms.states).all(at: room.state).filter {
                $0.key.type == .spaceChild
            }
            let events = try rooms.events.events(Array(keys.values), from: rooms.log(connection))
            described.children = Array(
                events.values.compactMap { SpaceChild($0.pdu) }.sorted(by: SpaceChild.precedes)
                    .prefix(Self.maximumChildren))
        }
        let texts = description.texts.values.reduce(0) { $0 + $1.utf8.count }
        found.put(room.state, described, cost: texts * 2 + described.children.count * 512 + 1_024)
        return described
    }

    /// A room that this server is in; nil for all others.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func resident(_ id: RoomID, _ server: ServerName, _ connection: any SQLConnection) throws -> RoomRecord? {
        guard let room = try RoomStore(connection).room(id),
            try rooms.joinedServers(room, in: connection).contains(server)
        else { return nil }
        return room
    }

    // MARK: Who may see a room from outside

    /// Whether a user may see a room: as a member or invited, by its join rules, or since all may read it.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy>
    /// - Throws: `DatabaseError`.
    func isVisible(
        _ room: RoomDescription, to user: UserID?, _ connection: any SQLConnection
    ) throws -> Bool {
        guard let user else { return room.isOpen }
        switch try membership(of: user, in: room.id, connection) {
        case .join, .invite: return true
        case .ban: return false
        default: break
        }
        return try room.isOpen
            || room.allowedRooms.contains { try membership(of: user, in: $0, connection) == .join }
    }

    /// Whether a server may see a room of ours: if one of its users may.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid>
    /// - Throws: `DatabaseError`, `CorruptState`.
    func isVisible(
        _ room: RoomRecord, _ description: RoomDescription, to server: ServerName, _ connection: any SQLConnection
    ) throws -> Bool {
        guard try rooms.allows(server, in: room, connection) else { return false }
        if description.isOpen { return true }
        if try rooms.joinedServers(room, in: connection).contains(server) { return true }
        let store = RoomStore(connection)
        if try store.members(room: room.nid, membership: .invite).contains(where: { $0.user.serverName == server }) {
            return true
        }
        return try description.allowedRooms.contains { id in
            guard let other = try store.room(id) else { return false }
            return try rooms.joinedServers(other, in: connection).contains(server)
        }
    }

    /// A user's membership of a room, or an invite to one that is not here.
    func membership(of user: UserID, in room: RoomID, _ connection: any SQLConnection) throws -> Membership? {
        let store = RoomStore(connection)
        if let invite = try store.invite(of: user, to: room, sealer: rooms.sealer) { return invite.membership }
        guard let record = try store.room(room) else { return nil }
        return try store.membership(of: user, in: record.nid)?.membership
    }
}
