internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Users who may have come to share a room with somebody who syncs, and users who may no longer: their device lists matter
/// anew, or not any more. Spec: <https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>
struct Companions {
    let rooms: RoomReader
    let connection: any SQLConnection
    private var met: Set<UserID> = []
    private var parted: Set<UserID> = []

    init(rooms: RoomReader, connection: any SQLConnection) {
        self.rooms = rooms
        self.connection = connection
    }

    /// Looks at a room that the user is joined to.
    /// - Parameters:
    ///   - old: the room's state at the last sync.
    ///   - wasJoined: whether the user was joined then, and knew the members.
    /// - Throws: `DatabaseError`, `CorruptState`.
    mutating func note(_ room: SyncRoom, since old: StateRoot?, wasJoined: Bool) throws {
        guard wasJoined, let old else {
            for member in try RoomStore(connection).members(room: room.nid, membership: .join) {
                met.insert(member.user)
            }
            return
        }
        guard old != room.stateAtNewest else { return }
        let changes = try StateReader(connection, rooms.states).difference(from: old, to: room.stateAtNewest)
            .filter { $0.key.type == .member }
        let nids = changes.flatMap { [$0.old, $0.new].compactMap { $0 } }
        let events = try rooms.events.events(nids, from: rooms.log(connection))
        func isJoined(_ nid: Int64?) -> Bool {
            nid.flatMap { events[$0] }.map { (try? RoomMember($0.pdu).membership) == .join } ?? false
        }
        for change in changes {
            guard let user = try? UserID(change.key.stateKey) else { continue }
            switch (isJoined(change.old), isJoined(change.new)) {
            case (false, true): met.insert(user)
            case (true, false): parted.insert(user)
            default: break
            }
        }
    }

    /// Looks at a room that the user left.
    /// - Throws: `DatabaseError`.
    mutating func left(_ room: Int64) throws {
        for member in try RoomStore(connection).members(room: room, membership: .join) { parted.insert(member.user) }
    }

    /// Whose device lists changed, or matter anew; and whose do not any more.
    /// - Parameters:
    ///   - after: a position of the stream `device_lists`.
    ///   - upTo: another.
    /// - Throws: `DatabaseError`.
    func deviceLists(of user: UserID, after: Int64, upTo: Int64) throws -> (changed: Set<UserID>, left: Set<UserID>) {
        let shared = SharedRooms(connection)
        var changed = try shared.changedDeviceLists(for: user, after: after, upTo: upTo)
        let concerned = met.union(parted).subtracting([user])
        let sharing = concerned.isEmpty ? [] : try shared.sharing(concerned, with: user)
        changed.formUnion(met.intersection(sharing))
        return (changed, parted.subtracting(sharing).subtracting([user]))
    }
}
