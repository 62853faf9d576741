internal import HomeserverStorage
internal import MatrixModel
internal import Synchronization

/// What a room's writers share on this node: their queue, and the head as the last of them left it.
final class RoomLane: Sendable {
    let queue = TurnQueue<RoomJob, Result<[StoredEvent], any Error>>()
    private let cached = Mutex<RoomHead?>(nil)

    var head: RoomHead? {
        get { cached.withLock { $0 } }
        set { cached.withLock { $0 = newValue } }
    }
}

/// The lanes of rooms in use, bounded in number: what is dropped is read again.
final class RoomLanes: Sendable {
    private struct Lanes {
        var young: [RoomID: RoomLane] = [:]
        var old: [RoomID: RoomLane] = [:]
    }

    private let half: Int
    private let lanes = Mutex(Lanes())

    init(limit: Int) { half = max(1, limit / 2) }

    func lane(of room: RoomID) -> RoomLane {
        lanes.withLock { lanes in
            if let lane = lanes.young[room] { return lane }
            let lane = lanes.old.removeValue(forKey: room) ?? RoomLane()
            if lanes.young.count >= half { lanes = Lanes(young: [:], old: lanes.young) }
            lanes.young[room] = lane
            return lane
        }
    }
}

/// Numbers of events, taken from the database in blocks.
final class EventNumbers: Sendable {
    private let spare = Mutex<[Int64]>([])

    /// `count` numbers nobody else has, ascending.
    func take(_ count: Int, fetch: (Int) async throws -> ClosedRange<Int64>) async throws -> [Int64] {
        guard count > 0 else { return [] }
        let taken: [Int64]? = spare.withLock { spare in
            guard spare.count >= count else { return nil }
            defer { spare.removeFirst(count) }
            return Array(spare.prefix(count))
        }
        if let taken { return taken }
        let block = Array(try await fetch(count + RoomLimits.numbersPerBlock))
        // The newest block replaces a smaller rest, so that numbers ascend.
        spare.withLock { $0 = Array(block.dropFirst(count)) }
        return Array(block.prefix(count))
    }
}
