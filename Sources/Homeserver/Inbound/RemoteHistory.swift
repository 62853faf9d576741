internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Fetches the history of rooms that this server joined late, from servers that were there.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#backfilling-and-retrieving-missing-events>
final class RemoteHistory: RemoteBackfilling {
    private static let serversAsked = 5
    private static let eventsPerRequest = 100
    /// Ends of what is here that one request names, and how many are tried.
    private static let endsPerRequest = 20
    private static let endsAsked = 100
    /// Servers that are in a room and of which those that answer are looked for.
    private static let serversLookedAt = 100
    /// Events at the beginning of what is here whose previous events are asked for.
    private static let beginning = 10
    /// History of which nobody had more is not asked for again sooner.
    private static let pause = Duration.seconds(60)
    private static let gapsRemembered = 1_000
    /// How often history is asked for on the way to an event of long ago.
    private static let reachRounds = 10

    private let environment: Environment
    private let reader: RoomReader
    private let writer: RoomWriter
    private let judgement: PDUJudgement
    private let missing: MissingEvents
    private let flights = SingleFlight<Wanted, Bool>()
    private let vain = Mutex<[Wanted: Duration]>([:])

    private struct Wanted: Hashable, Sendable {
        var room: RoomID
        var gap: HistoryGap?
    }

    init(environment: Environment, judgement: PDUJudgement, missing: MissingEvents) {
        self.environment = environment
        reader = judgement.reader
        writer = judgement.writer
        self.judgement = judgement
        self.missing = missing
    }

    func backfill(_ room: RoomRecord, _ gap: HistoryGap?, limit: Int) async -> Bool {
        let now = environment.clock.monotonic()
        let wanted = Wanted(room: room.id, gap: gap)
        if let last = vain.withLock({ $0[wanted] }), now - last < Self.pause { return false }
        do {
            // Those who page through a room at the same time share what one of them fetches.
            let came = try await flights.run(wanted) { try await fetch(room, gap, limit: limit) }
            if !came {
                vain.withLock { vain in
                    if vain.count >= Self.gapsRemembered { vain.removeAll() }
                    vain[wanted] = now
                }
            }
            return came
        } catch {
            environment.logger.info("no history", metadata: ["room": "\(room.id)", "cause": "\(error)"])
            return false
        }
    }

    func reach(_ timestamp: Int64, forward: Bool, in room: RoomRecord) async -> Bool {
        do {
            for server in try await residents(of: room) {
                guard
                    let id = await missing.within(.milliseconds(environment.configuration.timeouts.backfill)).event(
                        closestTo: timestamp, forward: forward, in: room.id, from: server)
                else { continue }
                var came = false
                for _ in 0..<Self.reachRounds {
                    if try await reader.event(id)?.position != nil { return came }
                    guard await backfill(room, nil, limit: Self.eventsPerRequest) else { return came }
                    came = true
                }
                return came
            }
        } catch {
            environment.logger.info("no history", metadata: ["room": "\(room.id)", "cause": "\(error)"])
        }
        return false
    }

    private func fetch(_ room: RoomRecord, _ gap: HistoryGap?, limit: Int) async throws -> Bool {
        let reader = reader
        let ends = try await environment.database.read { connection -> [EventID] in
            let log = reader.log(connection)
            let all = try log.backwardExtremities(room: room.nid)
            if let gap { return gap.missing.filter(Set(all).contains) }
            // Without a gap to be filled, what is missing before the first events.
            let first = Set(
                try log.timeline(
                    room: room.nid, after: nil, upTo: nil, limit: Self.beginning, newestFirst: false
                ).flatMap(\.pdu.prevEvents))
            let before = all.filter(first.contains)
            return before.isEmpty ? all : before
        }
        guard !ends.isEmpty else { return false }
        let asked = try await environment.database.read { connection in
            try reader.log(connection).missing(at: ends, limit: RoomLimits.withheldSteps)
        }
        let servers = try await residents(of: room)
        let time = Duration.milliseconds(environment.configuration.timeouts.backfill)
        for server in servers {
            let missing = missing.within(time)
            // Of some ends perhaps nobody has the events before; those must not hide the others.
            for start in stride(from: 0, to: min(asked.count, Self.endsAsked), by: Self.endsPerRequest) {
                let part = Array(asked.dropFirst(start).prefix(Self.endsPerRequest))
                let found = await missing.backfill(
                    room.id, version: room.version, from: part, limit: min(max(limit, 1), Self.eventsPerRequest),
                    at: server)
                guard !found.isEmpty else { continue }
                let whole = try await judgement.whole(found, in: room, toldBy: server)
                let judging = try await HistoryJudging(
                    room, from: server, or: servers.filter { $0 != server }, judgement: judgement,
                    missing: self.missing.within(time))
                if try await write(whole, asked: part, in: room, gap, judging) { return true }
            }
        }
        return false
    }

    /// The servers in the room, those that did not answer lately last; the creator's before others, for it has all of it.
    private func residents(of room: RoomRecord) async throws -> [ServerName] {
        let others = try await reader.joinedServers(room).filter { $0 != environment.serverName }
        let creator = try await reader.stateEvent(room, .create)?.pdu.sender.serverName
        let candidates =
            others.filter { $0 == creator } + others.filter { $0 != creator }.prefix(Self.serversLookedAt)
        let failing = try await environment.database.read { connection in
            let outbox = Outbox(connection)
            return Set(try candidates.filter { try outbox.destination($0.text).map { $0.failures > 0 } ?? false })
        }
        let ordered = candidates.filter { !failing.contains($0) } + candidates.filter(failing.contains)
        return Array(ordered.prefix(Self.serversAsked))
    }

    /// Judges events and puts them before all that is there, or into the gap, the newest first. Returns whether any was new.
    private func write(
        _ events: [VerifiedPDU], asked: [EventID], in room: RoomRecord, _ gap: HistoryGap?, _ judging: HistoryJudging
    ) async throws -> Bool {
        var judging = judging
        var byID = Dictionary(events.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let reader = reader
        let ids = Array(byID.keys)
        let known = try await environment.database.read { try reader.log($0).events(ids: ids) }
        try await writer.restore(events, of: known, in: room.id)
        let reached = RoomImport.reached(from: (gap?.missing ?? []) + asked, in: byID, by: \.prevEvents)
        if Set(asked).isSubset(of: byID.keys) {
            // Whoever has all that was asked for tells what that leads to; nothing leads to the rest.
            byID = reached
        } else {
            // What was rejected there is not told, and may lead to the rest; that is less deep than what follows it. What takes
            // our users out may be news, and counts when it comes by itself: as history it would be passed over then.
            let depth = try await depth(behind: gap, asked, in: room)
            byID = byID.filter { id, event in
                if reached[id] != nil { return true }
                if let depth, event.depth >= depth { return false }
                return known[id] != nil || !judgement.takesOutOurs(event.pdu)
            }
        }
        if let gap {
            // What only events that are here lead to is not of this gap. Of the rest not all need be reached: what was
            // rejected is not told.
            let placed = known.values.filter { $0.position != nil }
            for event in placed { byID[event.id] = nil }
            let ofGap = RoomImport.reached(from: gap.missing + asked, in: byID, by: \.prevEvents)
            let led = RoomImport.reached(from: placed.flatMap(\.pdu.prevEvents), in: byID, by: \.prevEvents)
            for id in led.keys where ofGap[id] == nil { byID[id] = nil }
        }
        let history = RoomImport.ordered(byID, by: \.prevEvents).filter { event in
            // Of what is here, what is part of the state finds its place now; all else is where it belongs.
            guard let stored = known[event.id] else { return true }
            return stored.flags.contains(.outlier) && !stored.flags.contains(.rejected)
        }
        var judged = try await judging.judge(history)
        guard !judged.isEmpty else { return false }
        for index in judged.indices { judged[index].gapEnd = gap?.end }
        _ = try await writer.append(judged.reversed(), to: room.id)
        return true
    }

    /// The depth of what follows missing events; nil where it is not known.
    private func depth(behind gap: HistoryGap?, _ asked: [EventID], in room: RoomRecord) async throws -> Int64? {
        let reader = reader
        return try await environment.database.read { connection in
            let log = reader.log(connection)
            if let end = gap?.end {
                return try log.timeline(room: room.nid, after: end - 1, upTo: end, limit: 1, newestFirst: false)
                    .first?.pdu.depth
            }
            return try log.timeline(
                room: room.nid, after: nil, upTo: nil, limit: Self.beginning, newestFirst: false
            ).filter { $0.pdu.prevEvents.contains(where: asked.contains) }.map(\.pdu.depth).max()
        }
    }
}
