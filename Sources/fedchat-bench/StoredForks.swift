import FedchatTesting
import Foundation
import HomeserverStorage
import MatrixModel
import MatrixRooms
import SQLDatabase

/// A room with forks in a database.
struct StoredForks {
    private let database: any Database
    private let version: RoomVersion
    private let roots: [StateRoot]
    private let conflicted: Int

    struct Figures: Sendable {
        var conflicted: Int
        /// Milliseconds.
        var cold: Double
        var warm: Double
        /// What the process grew by, at most.
        var mebibytes: Double
    }

    /// Stores the events as a server that joined the room does, and a state for each fork.
    init(
        _ history: ForkedHistory, _ version: RoomVersion, size: Int, forks: Int, in database: any Database
    ) async throws {
        self.database = database
        self.version = version
        try await Migrator.migrate(database, Schema.migrations, oldestCompatible: Schema.oldestCompatible)
        let made = try history.make(version, size: size, forks: forks)
        var events = made.room.order.compactMap { made.room.events[$0] }
        let common = Set(made.room.order)
        for fork in made.forks { events += fork.order.drop { common.contains($0) }.compactMap { fork.events[$0] } }

        let count = events.count
        let first = try await database.write { try NumberBlocks($0).take(.event, count: count).lowerBound }
        let roomNID = try await database.write { try NumberBlocks($0).take(.room, count: 1).lowerBound }
        var numbers: [EventID: Int64] = [:]
        for (index, event) in events.enumerated() { numbers[event.id] = first + Int64(index) }
        for start in stride(from: 0, to: events.count, by: 500) {
            var append = RoomAppend(
                roomNID: roomNID, roomID: made.room.id, version: version, expectedHeadVersion: nil,
                head: start == 0 ? RoomAppend.Head(state: .empty, extremities: [], depth: 1) : nil,
                state: StateChange(.empty), now: 1)
            append.events = events[start..<min(start + 500, events.count)].map { event in
                EventInsertion(
                    nid: numbers[event.id] ?? 0, pdu: event, place: .none, flags: .outlier, stateAfter: nil,
                    authNIDs: event.authEvents.compactMap { numbers[$0] })
            }
            let part = append
            try await database.write { _ = try EventLog($0, .plain).append(part) }
        }

        let states = StateCache(bytes: 64 << 20)
        let keys = Set(events.compactMap { StateKey(of: $0) })
        let keyNumbers = try await database.write { try StateWriter($0, states).number(Array(keys)) }
        states.remember(keyNumbers)
        var values: [StateKey: Set<EventID>] = [:]
        var changes: [[Int64: Int64?]] = []
        for fork in made.forks {
            var change: [Int64: Int64?] = [:]
            for (key, event) in fork.state.events {
                if let number = keyNumbers[key] { change[number] = numbers[event.id] }
                values[key, default: []].insert(event.id)
            }
            changes.append(change)
        }
        conflicted = values.count { $0.value.count > 1 }
        var roots: [StateRoot] = []
        for change in changes {
            roots.append(
                try await database.write { connection in
                    let writer = StateWriter(connection, states)
                    let made = try writer.applying(change, to: StateChange(.empty))
                    try writer.store(made, room: roomNID)
                    return made.root
                })
        }
        self.roots = roots
    }

    /// Resolves the forks' states, twice.
    func measure() async throws -> Figures {
        let (states, events) = (StateCache(bytes: 64 << 20), EventCache(bytes: 64 << 20))
        let (roots, version) = (roots, version)
        let before = Machine.startMeasuringPeak()
        let durations = try await database.read { connection in
            try (0..<2).map { _ in
                let start = ContinuousClock.now
                _ = try StateMerge(connection, sealer: .plain, states: states, events: events)
                    .resolve(roots, version: version)
                return (ContinuousClock.now - start) / .milliseconds(1)
            }
        }
        return Figures(
            conflicted: conflicted, cold: durations[0], warm: durations[1],
            mebibytes: max(0, Machine.peakMebibytes() - before))
    }
}

/// A folder that goes away.
struct TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(
            path: "fedchat-bench-\(UInt32.random(in: 0...UInt32.max))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
