internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Judges what was taken in, room by room and in order, many rooms at once. What was staged survives a crash, and is found
/// again by looking. An event for which something must be fetched leaves the room's line and waits in one of its own.
final class StagedEvents: Sendable {
    private static let lanes = 32
    private static let perTurn = 50
    private static let poll = Duration.seconds(2)
    /// A node that dies leaves its rooms to others after so many milliseconds; one that lives renews in time.
    private static let lease: Int64 = 8_000
    /// Afterwards an event that cannot be judged is dropped: its sender has it still.
    private static let tries = 5
    /// Milliseconds until the first new try; four times as many until each next.
    private static let firstPause: Int64 = 5_000
    /// What else a server sent for a room waits so long after something of it could not be fetched, milliseconds.
    private static let othersPause: Int64 = 15_000

    private let environment: Environment
    private let judgement: PDUJudgement
    private let node: String
    private let turns = WorkTurns(limit: lanes)
    private let wakes: AsyncStream<InboundStaging.Lane>
    private let wake: AsyncStream<InboundStaging.Lane>.Continuation

    init(_ environment: Environment, judgement: PDUJudgement) {
        self.environment = environment
        self.judgement = judgement
        node = Hex.encode(environment.random.bytes(8))
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(10_000))
    }

    /// Something was staged for a room.
    func notify(_ room: String) { wake.yield(.init(roomID: room, fetches: false)) }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in await look() }
            for await lane in wakes {
                // Those that fetch get at most half of the places.
                turns.note(lane.key, isSlow: lane.fetches)
                guard turns.begin(lane.key) else { continue }
                group.addTask { [self] in
                    await work(lane)
                    for next in turns.end(lane.key) { wake.yield(Self.lane(next)) }
                }
            }
        }
    }

    private static func lane(_ key: String) -> InboundStaging.Lane {
        let slow = InboundStaging.Lane(roomID: "", fetches: true).key
        return key.hasPrefix(slow)
            ? .init(roomID: String(key.dropFirst(slow.count)), fetches: true) : .init(roomID: key, fetches: false)
    }

    private func look() async {
        await environment.releaseLeases { try InboundStaging($0).releaseAll() }
        let node = node
        await environment.clock.every(Self.poll) {
            let now = environment.clock.now()
            let held = turns.active
            if !held.isEmpty {
                try? await environment.database.write {
                    try InboundStaging($0).renew(held, holder: node, until: now + Self.lease)
                }
            }
            let lanes = try? await environment.database.read {
                try InboundStaging($0).lanes(now: now, holder: node, limit: 200)
            }
            for lane in lanes ?? [] { wake.yield(lane) }
        }
        wake.finish()
    }

    private func work(_ lane: InboundStaging.Lane) async {
        let node = node
        var rotation = OriginRotation()
        do {
            while !Task.isCancelled {
                let staged =
                    lane.fetches
                    ? try await nextToFetch(in: lane, &rotation)
                    : try await leased(lane) { try $0.staged(in: lane, now: $1, limit: Self.perTurn, sealer: $2) }
                guard let staged, !staged.isEmpty else { break }
                var rest = staged[...]
                while let event = rest.first {
                    let done = lane.fetches ? 0 : try await judgeRun(rest)
                    if done == 0 { try await judge(event, lane) }
                    rest = rest.dropFirst(max(done, 1))
                }
            }
        } catch is CancellationError {
            return
        } catch {
            environment.logger.warning("staged events", metadata: ["room": "\(lane.roomID)", "cause": "\(error)"])
        }
        _ = try? await environment.database.write { try InboundStaging($0).release(lane, holder: node) }
    }

    /// Reads what waits in a lane, with the right to work on it; nil where another node has that.
    private func leased<R: Sendable>(
        _ lane: InboundStaging.Lane,
        _ read: @escaping @Sendable (InboundStaging, _ now: Int64, StorageSealer) throws -> R
    ) async throws -> R? {
        let (node, now, sealer) = (node, environment.clock.now(), environment.sealer)
        return try await environment.database.write { connection in
            let staging = InboundStaging(connection)
            guard try staging.lease(lane, holder: node, now: now, until: now + Self.lease) else { return nil }
            return try read(staging, now, sealer)
        }
    }

    /// The event for which something is fetched next. Servers take turns, so that nobody waits for all that another sent.
    private func nextToFetch(
        in lane: InboundStaging.Lane, _ rotation: inout OriginRotation
    ) async throws -> [InboundStaging.Staged]? {
        let origins = try await leased(lane) { staging, now, _ in try staging.origins(in: lane, now: now) }
        guard let origins else { return nil }
        var residents: Set<String> = []
        if origins.count > 1, let room = try? RoomID(lane.roomID),
            let record = try await judgement.reader.record(room)
        {
            residents = Set(try await judgement.reader.joinedServers(record).map(\.text))
        }
        guard let origin = rotation.next(among: origins, residents: residents) else { return nil }
        return try await leased(lane) { try $0.staged(in: lane, of: origin, now: $1, limit: 1, sealer: $2) }
    }

    /// Judges as many at once as can be, from the first on. Returns how many are done with.
    private func judgeRun(_ staged: ArraySlice<InboundStaging.Staged>) async throws -> Int {
        guard staged.count > 1, let roomID = staged.first.flatMap({ try? RoomID($0.roomID) }),
            let version = try await judgement.reader.record(roomID)?.version
        else { return 0 }
        var events: [VerifiedPDU] = []
        for event in staged {
            guard let pdu = try? VerifiedPDU(event, version: version),
                PDUJudgement.continues(events, pdu),
                pdu.sender.serverName.text == event.origin || ContentHash.matches(pdu.pdu)
            else { break }
            events.append(pdu)
        }
        let count: Int
        do {
            count = try await judgement.receiveRun(events)
        } catch let error as DatabaseError where [.busy, .unavailable, .full].contains(error.kind) {
            throw error
        } catch {
            // One by one, whatever goes wrong with one concerns it alone.
            return 0
        }
        let nids = staged.prefix(count).map(\.nid)
        if !nids.isEmpty { try await environment.database.groupedWrite { try InboundStaging($0).remove(nids) } }
        return count
    }

    /// Judges one. Whatever goes wrong with it concerns it alone; only a database out of order ends the turn.
    private func judge(_ staged: InboundStaging.Staged, _ lane: InboundStaging.Lane) async throws {
        var asked: ServerName?
        let begin = environment.clock.now()
        do {
            guard let origin = try? ServerName(staged.origin), let roomID = try? RoomID(staged.roomID),
                let record = try await judgement.reader.record(roomID)
            else { return try await remove(staged) }
            let pdu = try VerifiedPDU(staged, version: record.version)
            let teller = teller(of: staged, origin, sender: pdu.sender.serverName)
            asked = teller
            try await judgement.receive(
                pdu, from: teller, fetches: lane.fetches, wasPassedOn: pdu.sender.serverName != origin,
                isTriedAgain: staged.tries + 1 < Self.tries)
        } catch is CancellationError {
            throw CancellationError()
        } catch is PDUJudgement.LacksEvents {
            try await environment.database.groupedWrite { try InboundStaging($0).needsFetch(staged.nid) }
            wake.yield(.init(roomID: lane.roomID, fetches: true))
            return
        } catch let error as DatabaseError where [.busy, .unavailable, .full].contains(error.kind) {
            throw error
        } catch {
            environment.logger.info(
                "an event could not be judged",
                metadata: ["event": "\(staged.eventID)", "origin": "\(staged.origin)", "cause": "\(error)"])
            guard !(error is MalformedEvent), !(error is PDUJudgement.Unacceptable), staged.tries + 1 < Self.tries
            else { return try await environment.database.groupedWrite { try InboundStaging($0).giveUp(staged) } }
            let now = environment.clock.now()
            let retry = now + Self.firstPause << Int64(2 * min(max(staged.tries, 0), Self.tries))
            // What else its origin sent waits for what the origin did not tell; for another's silence as long as that took.
            let pause = asked?.text == staged.origin ? Self.othersPause : min(now - begin, Self.othersPause)
            return try await environment.database.groupedWrite {
                try InboundStaging($0).postpone(staged, until: retry, others: now + pause)
            }
        }
        try await remove(staged)
    }

    /// Who is asked for what an event refers to. Who sent it may have nothing more to tell, and its sender's server may tell
    /// nothing to one that was never in the room, as far as it knows. So between the first time and the last others are asked:
    /// the sender's own server, and those that sent it too, beginning with any of these.
    private func teller(of staged: InboundStaging.Staged, _ origin: ServerName, sender: ServerName) -> ServerName {
        guard (1..<Self.tries - 1).contains(staged.tries) else { return origin }
        let others = staged.others.compactMap { try? ServerName($0) }
        let first = others.isEmpty ? 0 : Int(staged.nid) % others.count
        let tellers = ([sender] + others[first...] + others[..<first]).filter {
            $0 != origin && $0 != environment.serverName
        }
        return (tellers + [origin])[(staged.tries - 1) % (tellers.count + 1)]
    }

    private func remove(_ staged: InboundStaging.Staged) async throws {
        try await environment.database.groupedWrite { try InboundStaging($0).remove([staged.nid]) }
    }
}
