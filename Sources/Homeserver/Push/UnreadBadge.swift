internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// How much a user has not read in all rooms together: the number on an app's icon. Counts by room are kept in memory, so
/// that only what changed is counted again.
/// Spec: <https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify>, `counts`
final class UnreadBadge: Sendable {
    private struct Key: Hashable {
        var user: UserID
        /// What was kept before something was missed has another one.
        var epoch: Int
    }

    /// Counts above 0 by room.
    private struct Kept {
        var rooms: [Int64: Int] = [:]
        var invites = 0
        var sum: Int { rooms.values.reduce(invites, +) }
    }

    private let rooms: RoomReader
    private let unread: UnreadCounts
    private let kept = BoundedCache<Key, Kept>(budget: PushLimits.badgeBytes)
    private let epoch = Mutex(0)

    init(rooms: RoomReader, unread: UnreadCounts) {
        self.rooms = rooms
        self.unread = unread
    }

    /// The number: unread notifications, and invites.
    /// - Parameter nids: the rooms in which something happened since it was last asked for; nil for all.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func count(for user: UserID, changed nids: Set<Int64>?, _ connection: any SQLConnection) throws -> Int {
        let key = Key(user: user, epoch: epoch.withLock { $0 })
        let store = SyncRooms(connection)
        var counts: Kept
        let looked: [SyncRoom]
        if let nids, let known = kept.value(key) {
            counts = known
            for nid in nids { counts.rooms[nid] = nil }
            looked = try store.joined(nids, of: user)
        } else {
            counts = Kept()
            let all = try store.all(of: user, includingLeft: false)
            looked = all.filter { $0.membership == .join }
            counts.invites = all.count { $0.membership == .invite }
            counts.invites += try RoomStore(connection).invites(of: user, sealer: rooms.sealer)
                .count { $0.membership == .invite }
        }
        if try add(looked, of: user, to: &counts, connection) {
            kept.put(key, counts, cost: 64 + counts.rooms.count * 32)
        } else {
            // What is not counted to its end is gone on with when it is asked for again.
            kept.remove(key)
        }
        return counts.sum
    }

    /// Counts rooms, as far as one asking may look. Returns whether that was all.
    private func add(
        _ list: [SyncRoom], of user: UserID, to counts: inout Kept, _ connection: any SQLConnection
    ) throws -> Bool {
        guard !list.isEmpty else { return true }
        let asking = UnreadCounts.Asking(
            user: user, rules: try unread.rulesPosition(of: user, connection),
            ignored: try IgnoredUsers.of(user, rooms.sealer, connection))
        var batch = try unread.batch(list.map(\.nid), of: user, connection)
        var budget = UnreadBudget()
        var isWhole = true
        for (index, room) in list.enumerated() {
            if index % SyncLimits.roomsAhead == 0, !budget.isSpent {
                let next = list[index..<min(index + SyncLimits.roomsAhead, list.count)]
                try unread.readAhead(Array(next), for: asking, &batch, connection)
            }
            let tally = try unread.tally(of: room, for: asking, batch, budget: &budget, connection)
            if !tally.isComplete { isWhole = false }
            let count = tally.total.notifications
            if count > 0 { counts.rooms[room.nid] = count }
        }
        return isWhole
    }

    /// Writes down what was counted, where that is worth it.
    func save(_ database: any Database) async throws { try await unread.flush(database) }

    /// Something happened to a user that was not counted.
    func forget(_ user: UserID) { kept.remove(Key(user: user, epoch: epoch.withLock { $0 })) }

    /// Something happened, nobody knows to whom.
    func forgetAll() { epoch.withLock { $0 += 1 } }
}
