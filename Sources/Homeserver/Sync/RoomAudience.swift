internal import MatrixModel
internal import Synchronization

/// Which local users are joined to a room, as far as it was asked for: kept until the room's members change. What was read
/// at a position stays right until a notification of a later one says that members changed, and those come in order.
final class RoomAudience: Sendable {
    private struct Rooms {
        var users: [Int64: (list: [UserID], position: Int64)] = [:]
        var members = 0
    }

    private let rooms = Mutex(Rooms())

    /// The users; nil when they must be read.
    func users(of room: Int64) -> [UserID]? { rooms.withLock { $0.users[room]?.list } }

    /// Keeps what was read at a position of the stream `events`.
    func keep(_ users: [UserID], of room: Int64, at position: Int64) {
        rooms.withLock { rooms in
            if rooms.users.count >= SyncLimits.audienceRooms || rooms.members >= SyncLimits.audienceMembers {
                rooms = Rooms()
            }
            if let old = rooms.users.updateValue((users, position), forKey: room) { rooms.members -= old.list.count }
            rooms.members += users.count
        }
    }

    /// The members of a room changed at a position; a list that was read later knows already.
    func forget(_ room: Int64, changedAt position: Int64) {
        rooms.withLock { rooms in
            guard let old = rooms.users[room], old.position < position else { return }
            rooms.users[room] = nil
            rooms.members -= old.list.count
        }
    }

    func forgetAll() { rooms.withLock { $0 = Rooms() } }
}
