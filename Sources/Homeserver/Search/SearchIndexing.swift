internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase
internal import Synchronization

/// Finds the words of new, edited and redacted events, and of those that were there before, so that they can be searched: in
/// the background, some at a time, one node at a time.
final class SearchIndexing: Sendable {
    private static let lease = "search"

    private let environment: Environment
    private let rooms: RoomReader
    private let node: String
    private let hasRemoved = Atomic(true)
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(environment: Environment, rooms: RoomReader) {
        self.environment = environment
        self.rooms = rooms
        node = Hex.encode(environment.random.bytes(8))
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether words are kept: never beside sealed events.
    static func isOn(_ environment: Environment) -> Bool {
        environment.configuration.search.indexPlaintext && environment.sealer.currentKeyID == nil
    }

    /// There may be new events.
    func notify() { wake.yield() }

    /// Runs until the task is cancelled.
    func run() async {
        guard await begin() else { return }
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await environment.clock.every(SearchLimits.poll) { wake.yield() }
                wake.finish()
            }
            var cleared = environment.clock.monotonic()
            for await _ in wakes {
                do {
                    while try await step() { try await environment.clock.sleep(for: SearchLimits.pause) }
                    if environment.clock.monotonic() - cleared > SearchLimits.clearing {
                        try await clear()
                        cleared = environment.clock.monotonic()
                    }
                    try await environment.clock.sleep(for: SearchLimits.pause)
                } catch is CancellationError {
                    break
                } catch {
                    environment.logger.warning("finding words", metadata: ["cause": "\(error)"])
                }
            }
        }
    }

    /// Makes the database keep words or not, as the configuration has it. Returns whether it does.
    func begin() async -> Bool {
        let isOn = Self.isOn(environment)
        while !Task.isCancelled {
            do {
                try await environment.database.write { try SearchStore($0).setKept(isOn) }
                return isOn
            } catch {
                environment.logger.warning("search", metadata: ["cause": "\(error)"])
                do { try await environment.clock.sleep(for: SearchLimits.poll) } catch { return false }
            }
        }
        return false
    }

    /// What was found out about some events.
    private struct Step: Sendable {
        var nids: [Int64] = []
        var entries: [SearchStore.Entry] = []
        var queueNIDs: [Int64] = []
        /// How far older events were looked at, if some were.
        var older: (nids: [Int64], below: Int64?)?
    }

    /// Looks at some events. Returns whether there may be more.
    func step() async throws -> Bool {
        guard try await takesLease() else { return false }
        let limit = SearchLimits.eventsPerStep
        let found = try await environment.database.read { connection -> Step in
            var step = Step()
            let queued = try SearchStore(connection).queued(limit: limit)
            step.queueNIDs = queued.map(\.queueNID)
            var nids = Set(queued.map(\.eventNID))
            if queued.isEmpty {
                step.older = try SearchStore(connection).older(limit: limit)
                nids.formUnion(step.older?.nids ?? [])
            }
            (step.nids, step.entries) = try self.entries(of: nids, connection)
            return step
        }
        guard !found.queueNIDs.isEmpty || found.older != nil else { return false }
        let node = node
        try await environment.database.write { [clock = environment.clock] connection in
            // Who was too slow lost the right to another node, which may know more by now.
            let now = clock.now()
            guard try WorkLeases(connection).take(Self.lease, holder: node, now: now, until: now + SearchLimits.lease)
            else { return }
            let store = SearchStore(connection)
            try store.remove(found.nids)
            try store.insert(found.entries)
            try store.unqueue(found.queueNIDs)
            if let older = found.older { try store.setOlder(below: older.below) }
        }
        // What is looked at again has other words now, or none.
        if !found.queueNIDs.isEmpty, found.entries.count < found.nids.count {
            hasRemoved.store(true, ordering: .relaxed)
        }
        return found.queueNIDs.count == limit || found.older?.below != nil
            || (!found.queueNIDs.isEmpty && found.older == nil)
    }

    /// Clears out words that were taken away since the last time.
    func clear() async throws {
        guard hasRemoved.exchange(false, ordering: .relaxed) else { return }
        var begins = true
        while try await environment.database.write({ [begins] in try SearchStore($0).clear(begins: begins) }) {
            begins = false
            try await environment.clock.sleep(for: SearchLimits.pause)
        }
    }

    private func takesLease() async throws -> Bool {
        let node = node
        let now = environment.clock.now()
        if environment.database.dialect == .sqlite { return true }
        return try await environment.database.groupedWrite {
            try WorkLeases($0).take(Self.lease, holder: node, now: now, until: now + SearchLimits.lease)
        }
    }

    /// The words of events as they are now: those of an edit are its target's.
    /// - Returns: all the events whose words are known now, and the words.
    private func entries(
        of nids: Set<Int64>, _ connection: any SQLConnection
    ) throws -> (nids: [Int64], entries: [SearchStore.Entry]) {
        let log = rooms.log(connection)
        var events = try log.events(nids: nids)
        let targets = events.values.compactMap { event -> EventID? in
            guard let relation = Relation(event.pdu.content), relation.type == Relation.replace else { return nil }
            return relation.target
        }
        for target in try log.events(ids: targets).values { events[target.nid] = target }

        var entries: [SearchStore.Entry] = []
        for (room, events) in Dictionary(grouping: events.values, by: \.roomNID) {
            guard let record = try RoomStore(connection).room(nid: room) else { continue }
            let encryption = StateKey(.encryption, "")
            guard try rooms.state(at: record.state, keys: [encryption], in: connection)[encryption] == nil else {
                continue
            }
            let shown = events.filter { $0.position != nil && $0.redactedBy == nil }
            let newest = try RelationStore(connection).newestEdits(
                of: shown.filter { !$0.pdu.isState }.map(\.id), room: room)
            let edits = try log.events(nids: newest.values)
            for event in shown {
                let edit = newest[event.id].flatMap { edits[$0]?.pdu }
                guard let text = SearchableText(event.pdu, edit: edit) else { continue }
                entries.append(.init(nid: event.nid, room: room, text: text))
            }
        }
        // Those that are not there any more have no words.
        return (nids.union(events.keys).sorted(), entries.sorted { $0.nid < $1.nid })
    }
}
