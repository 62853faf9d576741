internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Unread counts as this node knows them, and those that are to be written down. A row is written once in so many events, not
/// with each of them; what a crash loses is counted again.
final class UnreadKept: Sendable {
    struct Key: Hashable, Sendable {
        var user: UserID
        /// `room_nid`
        var room: Int64
    }

    private struct Entry: Sendable {
        var record: UnreadRecord
        /// Events looked at since it was last written down.
        var unsaved: Int
    }

    private struct Write: Sendable {
        var record: UnreadRecord
        var isPartial: Bool
    }

    private let known = BoundedCache<Key, Entry>(budget: SyncLimits.unreadBytes)
    private let writes = Mutex<[Key: Write]>([:])

    func record(_ key: Key) -> UnreadRecord? { known.value(key)?.record }

    /// Keeps a record that came from the database.
    func loaded(_ record: UnreadRecord, _ key: Key) {
        known.put(key, Entry(record: record, unsaved: 0), cost: Self.cost(record))
    }

    /// Keeps a record for which so many events were looked at.
    /// - Parameter mustSave: whether other requests depend on it being written.
    func keep(_ record: UnreadRecord, _ key: Key, looked: Int, isPartial: Bool, mustSave: Bool) {
        var unsaved = (known.value(key)?.unsaved ?? 0) + looked
        if mustSave || isPartial || unsaved >= SyncLimits.unreadEventsUnsaved {
            writes.withLock { $0[key] = Write(record: record, isPartial: isPartial) }
            unsaved = 0
        }
        known.put(key, Entry(record: record, unsaved: unsaved), cost: Self.cost(record))
    }

    /// Writes down what is to be written.
    func flush(_ database: any Database) async throws {
        let writes = writes.withLock { writes in
            defer { writes = [:] }
            return writes
        }
        guard !writes.isEmpty else { return }
        let ordered = writes.sorted { ($0.key.user, $0.key.room) < ($1.key.user, $1.key.room) }
        try await database.groupedWrite { connection in
            let store = UnreadStore(connection)
            for (key, write) in ordered {
                try store.keep(write.record, of: key.user, room: key.room, isPartial: write.isPartial)
            }
        }
    }

    private static func cost(_ record: UnreadRecord) -> Int { 200 + record.threads.count * 120 }
}
