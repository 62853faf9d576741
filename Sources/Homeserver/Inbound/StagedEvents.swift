internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Judges what was taken in, room by room and in order, many rooms at once. What was staged survives a crash, and is found
/// again by looking.
final class StagedEvents: Sendable {
    private static let rooms = 16
    private static let perTurn = 100
    private static let poll = Duration.seconds(2)
    /// Milliseconds.
    private static let lease: Int64 = 120_000
    /// Afterwards an event that cannot be judged is dropped: its sender has it still.
    private static let tries = 4

    private let environment: Environment
    private let judgement: PDUJudgement
    private let node: String
    private let active = Mutex<Set<String>>([])
    private let wakes: AsyncStream<String>
    private let wake: AsyncStream<String>.Continuation

    init(_ environment: Environment, judgement: PDUJudgement) {
        self.environment = environment
        self.judgement = judgement
        node = Hex.encode(environment.random.bytes(8))
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    /// Something was staged for a room.
    func notify(_ room: String) { wake.yield(room) }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in await look() }
            for await room in wakes {
                let starts = active.withLock { $0.count < Self.rooms && $0.insert(room).inserted }
                guard starts else { continue }
                group.addTask { [self] in
                    await work(room)
                    active.withLock { _ = $0.remove(room) }
                }
            }
        }
    }

    private func look() async {
        while !Task.isCancelled {
            let rooms = try? await environment.database.read { try InboundStaging($0).rooms(limit: 100) }
            for room in rooms ?? [] { wake.yield(room) }
            do { try await environment.clock.sleep(for: Self.poll) } catch { break }
        }
        wake.finish()
    }

    private func work(_ room: String) async {
        let node = node
        do {
            while !Task.isCancelled {
                let now = environment.clock.now()
                let staged: [InboundStaging.Staged] = try await environment.database.write { connection in
                    let staging = InboundStaging(connection)
                    guard try staging.lease(room, holder: node, now: now, until: now + Self.lease) else { return [] }
                    return try staging.staged(in: room, limit: Self.perTurn)
                }
                if staged.isEmpty { break }
                for event in staged { try await judge(event) }
            }
            try await environment.database.write { try InboundStaging($0).release(room, holder: node) }
        } catch is CancellationError {
            return
        } catch {
            environment.logger.warning("staged events", metadata: ["room": "\(room)", "cause": "\(error)"])
        }
    }

    /// Judges one. Whatever goes wrong with it concerns it alone.
    private func judge(_ staged: InboundStaging.Staged) async throws {
        var isDone = true
        do {
            guard let origin = try? ServerName(staged.origin), let roomID = try? RoomID(staged.roomID),
                let record = try await judgement.reader.record(roomID)
            else { return try await finish(staged, true) }
            let pdu = try PDU(
                parsing: staged.body, version: record.version, knownID: try? EventID(staged.eventID))
            try await judgement.receive(pdu, from: origin)
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as DatabaseError where error.kind != .other && error.kind != .constraint {
            // The database is at fault, not the event.
            throw error
        } catch {
            environment.logger.info(
                "an event could not be judged", metadata: ["event": "\(staged.eventID)", "cause": "\(error)"])
            isDone = !(error is PDUJudgement.Unjudgeable) || staged.tries + 1 >= Self.tries
        }
        try await finish(staged, isDone)
    }

    private func finish(_ staged: InboundStaging.Staged, _ isDone: Bool) async throws {
        try await environment.database.groupedWrite { connection in
            let staging = InboundStaging(connection)
            if isDone { try staging.remove([staged.nid]) } else { try staging.noteTry(staged.nid) }
        }
    }
}
