internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Completes the rooms that were joined without their members: fetches the state before the join from a server that is in
/// the room, or from another when that fails, and has all judged again that came meanwhile. What is fetched is kept, so that
/// a room whose completion broke off goes on from there. What could not be had is asked for again, for a day.
final class StateCompletion: Sendable {
    private static let roomsAtOnce = 4
    private static let poll = Duration.seconds(1)
    /// A node that dies leaves its rooms to others after so many milliseconds; one that lives renews in time.
    private static let lease: Int64 = 30_000
    /// After so many tries in vain a room is taken for known with what can be noted of what it lacks: else one of which very
    /// much is nowhere to be had would never be whole.
    private static let failuresBeforePart = 20
    /// Servers asked for one room before there is a pause.
    private static let serversPerTry = 5
    /// How long one of them may take.
    private static let timePerServer = Duration.seconds(600)
    /// Events with the state before them fetched one by one; of more, it is taken to be that before the join.
    private static let statesFetched = 200
    /// The longest pause after failures, milliseconds.
    private static let longestPause: Int64 = 600_000

    /// None of our users is in the room any more.
    private struct NobodyIsJoined: Error {}

    let environment: Environment
    let judgement: PDUJudgement
    private let node: String
    private let backoff: Backoff
    private let turns = WorkTurns(limit: roomsAtOnce)
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    init(_ environment: Environment, judgement: PDUJudgement) {
        self.environment = environment
        self.judgement = judgement
        node = Hex.encode(environment.random.bytes(8))
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        backoff = Backoff(maximum: Self.longestPause, grows: environment.configuration.federation.retryBackoff)
    }

    /// A room was joined without its members.
    func notify() { wake.yield() }

    /// Runs until the task is cancelled.
    func run() async {
        await environment.releaseLeases { try PartialRoomStore($0).releaseAll() }
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await environment.clock.every(Self.poll) { wake.yield() }
                wake.finish()
            }
            for await _ in wakes {
                for room in await due() where !turns.active.contains(room.roomID.text) {
                    guard turns.begin(room.roomID.text) else { break }
                    group.addTask { [self] in
                        await work(room)
                        _ = turns.end(room.roomID.text)
                    }
                }
            }
        }
    }

    /// The rooms to be completed now. The rights to those that are being completed are kept.
    private func due() async -> [PartialRoom] {
        let now = environment.clock.now()
        let node = node
        if !turns.active.isEmpty {
            try? await environment.database.write {
                try PartialRoomStore($0).renew(holder: node, now: now, until: now + Self.lease)
            }
        }
        let found = try? await environment.database.read {
            try PartialRoomStore($0).due(now: now, holder: node, limit: Self.roomsAtOnce * 4)
        }
        return found ?? []
    }

    private func work(_ room: PartialRoom) async {
        let node = node
        let now = environment.clock.now()
        let leased = try? await environment.database.write {
            try PartialRoomStore($0).lease(room.roomNID, holder: node, now: now, until: now + Self.lease)
        }
        guard leased == true else { return }
        var retryAt: Int64?
        do {
            if room.isWhole { try await amend(room) } else { try await complete(room) }
            environment.logger.info("the room's state is known", metadata: ["room": "\(room.roomID)"])
        } catch is CancellationError {
        } catch is NobodyIsJoined where room.isWhole {
            // Whoever joins again before a day is over goes on with it.
            retryAt = environment.clock.now() + Self.longestPause
        } catch is NobodyIsJoined {
            await abandon(room)
        } catch {
            let pause = backoff.pause(
                failures: room.failures, chance: environment.random.bytes(1).first ?? 0)
            // A few events are asked for every minute, many seldom.
            let lacking = room.leftOut.reduce(0) { $0 + $1.events.count }
            let longest = room.isWhole ? max(60_000, Int64(lacking) * 6_000) : pause
            retryAt = environment.clock.now() + min(pause, longest)
            environment.logger.info(
                "a room's state is not known yet", metadata: ["room": "\(room.roomID)", "cause": "\(error)"])
        }
        let next = retryAt
        try? await environment.database.write {
            try PartialRoomStore($0).release(room.roomNID, holder: node, retryAt: next)
        }
    }

    private func abandon(_ room: PartialRoom) async {
        let server = environment.serverName
        _ = try? await environment.database.write { connection in
            let rooms = RoomStore(connection)
            guard let record = try rooms.room(nid: room.roomNID),
                try rooms.joinedMembers(room: record.nid, of: server).isEmpty
            else { return }
            _ = try PartialRoomStore(connection).abandon(record.nid, headVersion: record.headVersion)
        }
    }

    // MARK: One room

    private func complete(_ partial: PartialRoom) async throws {
        var failure: any Error = PDUJudgement.Unjudgeable(reason: "no server is known that is in the room")
        for server in try await servers(for: partial) {
            try Task.checkCancellation()
            guard let record = try await judgement.reader.record(partial.roomID), record.isPartial else { return }
            do {
                return try await complete(partial, record, at: server)
            } catch let error as CancellationError {
                throw error
            } catch let error as NobodyIsJoined {
                throw error
            } catch {
                failure = error
            }
        }
        throw failure
    }

    /// The servers to ask: the one that answered the join first, then others, each time beginning with another.
    func servers(for partial: PartialRoom) async throws -> [ServerName] {
        let own = environment.serverName
        let known = try await environment.database.read { connection in
            let rooms = RoomStore(connection)
            guard try !rooms.joinedMembers(room: partial.roomNID, of: own).isEmpty else { throw NobodyIsJoined() }
            return try rooms.joinedServers(room: partial.roomNID)
        }
        let resident = try? ServerName(partial.resident)
        let others = known.filter { $0 != own && $0 != resident }.sorted()
        let all = (resident.map { [$0] } ?? []) + others
        guard !all.isEmpty else { return [] }
        let first = partial.failures * Self.serversPerTry % all.count
        return Array((all[first...] + all[..<first]).prefix(Self.serversPerTry))
    }

    private func complete(_ partial: PartialRoom, _ record: RoomRecord, at server: ServerName) async throws {
        let reader = judgement.reader
        let missing = judgement.missing.within(Self.timePerServer)
        guard let join = try await environment.database.read({ try reader.log($0).event(nid: partial.joinNID) })?.pdu
        else { throw CorruptState() }
        let told = try await judgement.toldState(before: join, in: record, by: missing, from: server, .told)
        let before = told.root
        let keys = authEventKeys(for: join) + [StateKey(.create, ""), StateKey(.powerLevels, "")]
        let state = RoomState(try await reader.state(at: before, keys: keys).mapValues(\.pdu))
        guard let create = state.event(.create, "") else { throw CorruptState() }
        do { try authorize(join, given: state, by: record.version.rules, create: create) } catch {
            throw PDUJudgement.Unjudgeable(reason: "the state told does not allow the join: \(error.reason)")
        }
        // What is not noted would never be asked for, and all that these members say be rejected for good.
        let limit = environment.configuration.limits.stateEventsLeftOut
        guard told.leftOut.count <= limit || partial.failures >= Self.failuresBeforePart else {
            throw PDUJudgement.Unjudgeable(reason: "\(told.leftOut.count) events of the state told could not be had")
        }
        let leftOut = Array(told.leftOut.prefix(limit))
        let now = environment.clock.now()
        let earlier = partial.leftOutUntil > now ? partial.leftOut : []
        var completion = RoomCompletion(
            joinNID: partial.joinNID, joins: [RoomCompletion.Join(nid: partial.joinNID, before: before)],
            leftOut: LeftOutState(
                joins: earlier + [LackingJoin(nid: partial.joinNID, events: leftOut)],
                resident: partial.resident, until: leftOut.isEmpty ? partial.leftOutUntil : now + RoomLimits.leftOutTime
            ))
        var fetched = 0
        while true {
            do {
                return try await judgement.writer.complete(completion, of: partial.roomID)
            } catch let lacks as LacksStates {
                for event in lacks.events {
                    try Task.checkCancellation()
                    fetched += 1
                    completion.before[event.id] = try await stateBefore(
                        event, in: record, by: fetched <= Self.statesFetched ? missing : nil, from: server, else: before
                    )
                }
            }
        }
    }

    /// The state before an event that builds on what is not here: as told by the server or the event's own, else as it was
    /// when this server came in.
    private func stateBefore(
        _ event: PDU, in record: RoomRecord, by missing: MissingEvents?, from server: ServerName,
        else fallback: StateRoot
    ) async throws -> StateRoot {
        guard let missing else { return fallback }
        for server in [server, event.sender.serverName] where server != environment.serverName {
            do {
                return try await judgement.toldState(
                    before: event, in: record, by: missing, from: server, .whatIsHad
                ).root
            } catch is PDUJudgement.Unjudgeable { continue }
        }
        environment.logger.info("the state before an event is a guess", metadata: ["event": "\(event.id)"])
        return fallback
    }
}
