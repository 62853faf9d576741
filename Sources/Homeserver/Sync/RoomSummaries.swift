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
        return try read([room: state], connection)[room] ?? Counts(joined: 0, invited: 0, hasName: false)
    }

    /// Reads the counts of several rooms at once, so that each is there when it is asked for.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func prepare(_ rooms: [SyncRoom], _ connection: any SQLConnection) throws {
        let unknown = rooms.filter { counts.value($0.state) == nil }
        guard !unknown.isEmpty else { return }
        _ = try read(Dictionary(unknown.map { ($0.nid, $0.state) }) { $1 }, connection)
    }

    /// - Parameter states: the current states, by `room_nid`.
    private func read(_ states: [Int64: StateRoot], _ connection: any SQLConnection) throws -> [Int64: Counts] {
        let members = try RoomStore(connection).memberCounts(rooms: states.keys)
        let reader = StateReader(connection, rooms.states)
        let naming = try reader.events(at: states, keys: [StateKey(.name, ""), StateKey(.canonicalAlias, "")])
        let events = try rooms.events.events(Set(naming.values.joined()), from: rooms.log(connection))
        var found: [Int64: Counts] = [:]
        for nid in states.keys {
            found[nid] = Counts(
                joined: members[nid]?[.join] ?? 0, invited: members[nid]?[.invite] ?? 0,
                hasName: (naming[nid] ?? []).contains { events[$0].map { Self.isName($0.pdu) } ?? false })
        }
        let (store, limit) = (SyncRooms(connection), SyncLimits.heroes + 1)
        let unnamed = found.filter { !$0.value.hasName }.map(\.key)
        for (nid, first) in try store.first([.join, .invite], rooms: unnamed, limit: limit) {
            found[nid]?.first = first
        }
        let lonely = unnamed.filter { (found[$0]?.first.count ?? 0) < 2 }
        for (nid, gone) in try store.first([.leave, .ban], rooms: lonely, limit: limit) { found[nid]?.first += gone }
        for (nid, state) in states {
            if let known = found[nid] { counts.put(state, known, cost: 96 + known.first.count * 64) }
        }
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
