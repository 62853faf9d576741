internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a client shows of a room whose members it does not know.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary>
struct RoomSummaries: Sendable {
    /// What is the same for all members, by the room's state.
    struct Counts: Sendable {
        var joined: Int
        var invited: Int
        var hasName: Bool
        /// Those who came first, where there is no name: one more than are shown, for a user is not told of oneself.
        var first: [UserID] = []
    }

    private let rooms: RoomReader
    private let counts = BoundedCache<StateRoot, Counts>(budget: SyncLimits.summaryBytes)

    init(rooms: RoomReader) { self.rooms = rooms }

    /// The counts of a room's current state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func counts(room: Int64, state: StateRoot, _ connection: any SQLConnection) throws -> Counts {
        if let known = counts.value(state) { return known }
        let members = try RoomStore(connection).memberCounts(room: room)
        let named = try rooms.state(
            at: state, keys: [StateKey(.name, ""), StateKey(.canonicalAlias, "")], in: connection)
        var found = Counts(
            joined: members[.join] ?? 0, invited: members[.invite] ?? 0,
            hasName: named.values.contains { Self.isName($0.pdu) })
        if !found.hasName {
            let (rooms, limit) = (SyncRooms(connection), SyncLimits.heroes + 1)
            found.first = try rooms.first([.join, .invite], room: room, limit: limit)
            if found.first.count < 2 { found.first += try rooms.first([.leave, .ban], room: room, limit: limit) }
        }
        counts.put(state, found, cost: 96 + found.first.count * 64)
        return found
    }

    /// Whether an event of a room's state gives it a name: `m.room.name` or `m.room.canonical_alias` that is not empty.
    static func isName(_ event: PDU) -> Bool {
        guard event.stateKey == "", event.type == .name || event.type == .canonicalAlias else { return false }
        return event.content[event.type == .name ? "name" : "alias"]?.string.map { !$0.isEmpty } ?? false
    }

    /// Those who stand for the name of a room that has none: who came first among the joined and invited, or if there is
    /// nobody else, among those who left.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func heroes(of room: SyncRoom, for user: UserID, _ connection: any SQLConnection) throws -> [UserID] {
        let first = try counts(room: room.nid, state: room.state, connection).first
        return Array(first.filter { $0 != user }.prefix(SyncLimits.heroes))
    }
}
