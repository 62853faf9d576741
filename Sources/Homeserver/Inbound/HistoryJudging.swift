internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Judges events of long ago that one server gave, earlier ones first: by their auth events and by the state before them. Where
/// that does not follow from what is here, it is asked for, as whoever gave an event may be the only one who let it in.
///
/// Of a room whose members are not all known yet it is not asked for, and what it follows from is known in part.
struct HistoryJudging {
    /// How often a state is asked for in one turn; what would need more is left out, and comes with the next.
    private static let statesAsked = 20

    private let judgement: PDUJudgement
    private let missing: MissingEvents
    private let room: RoomRecord
    private let create: StoredEvent
    /// Who gave the events.
    private let origin: ServerName
    /// Who may tell a state; those that did not are asked last.
    private var servers: [ServerName]
    private var asked = 0
    /// Whether more of the room's state is still to come.
    private let lacksState: Bool
    /// The states after the events that were judged. All are stored.
    private var after: [EventID: StateRoot] = [:]

    /// - Parameters:
    ///   - origin: who gave the events.
    ///   - others: who else is in the room.
    /// - Throws: `PDUJudgement.Unjudgeable`, `DatabaseError`, `CorruptState`.
    init(
        _ room: RoomRecord, from origin: ServerName, or others: [ServerName], judgement: PDUJudgement,
        missing: MissingEvents
    ) async throws {
        guard let create = try await judgement.reader.stateEvent(room, .create) else {
            throw PDUJudgement.Unjudgeable(reason: "the room has no create event")
        }
        (self.judgement, self.missing, self.room, self.create) = (judgement, missing, room, create)
        lacksState = try await judgement.environment.database.read {
            try room.isPartial || PartialRoomStore($0).roomWithLeftOut(room.nid) != nil
        }
        self.origin = origin
        servers = [origin] + others
    }

    /// Judges events, each after those that it follows. One of which what it builds on cannot be had is left out.
    /// - Throws: `DatabaseError`, `CorruptState`, `ResolutionFailure`.
    mutating func judge(_ events: [VerifiedPDU]) async throws -> [JudgedPDU] {
        // All at once where that can be: the states after them need their numbers.
        try await judgement.keep(events.filter { !$0.prevEvents.isEmpty }, in: room)
        var found: [JudgedPDU] = []
        for event in events {
            do { found.append(try await judge(event)) } catch let error as PDUJudgement.Unjudgeable {
                judgement.environment.logger.info(
                    "history left out", metadata: ["event": "\(event.id)", "cause": "\(error.reason)"])
            }
        }
        return found
    }

    /// Judges an event after those that it follows. Throws `PDUJudgement.Unjudgeable` too.
    private mutating func judge(_ verified: VerifiedPDU) async throws -> JudgedPDU {
        let event = verified.pdu
        if event.id == create.id {
            after[event.id] = try await judgement.reader.storeState(of: [create], room: room)
            return judged(event, .accepted, at: .empty)
        }
        guard !event.prevEvents.isEmpty else {
            return judged(event, .rejected("a second beginning of the room"), at: nil)
        }
        var before = try await judgement.reader.stateBefore(event.prevEvents, in: room, after: after)
        var verdict = Verdict.accepted
        if let reason = try await judgement.refusalByAuthEvents(
            of: event, in: room, create.pdu, from: origin, by: missing)
        {
            verdict = .rejected("auth events: \(reason)")
        } else {
            if before == nil, !room.isPartial { before = try await told(before: event) }
            if let before,
                let reason = try await judgement.refusal(of: event, at: before, create.pdu, room.version.rules)
            {
                // What is still to come may allow it, and nothing judges history again.
                guard !lacksState else { throw PDUJudgement.Unjudgeable(reason: reason) }
                verdict = .rejected("state before: \(reason)")
            }
        }
        if let before { after[event.id] = try await state(after: verified, before, verdict) }
        return judged(event, verdict, at: before)
    }

    private func judged(_ event: PDU, _ verdict: Verdict, at before: StateRoot?) -> JudgedPDU {
        JudgedPDU(pdu: event, verdict: verdict, stateBefore: before, isBackfilled: true)
    }

    private func state(after event: VerifiedPDU, _ before: StateRoot, _ verdict: Verdict) async throws -> StateRoot {
        guard let key = StateKey(of: event.pdu), !verdict.isRejection else { return before }
        // One whose auth events have come only now was not kept with the others.
        try await judgement.keep([event], in: room)
        guard let stored = try await judgement.stored([event.id])[event.id], stored.roomNID == room.nid else {
            return before
        }
        return try await judgement.reader.storeState([key: stored.nid], on: before, room: room)
    }

    /// The state before an event, as the first server tells it that does.
    private mutating func told(before event: PDU) async throws -> StateRoot {
        for server in servers where asked < Self.statesAsked {
            asked += 1
            do {
                // Without what is still to come it would be taken for whole, and what follows be judged by it.
                return try await judgement.toldState(
                    before: event, in: room, by: missing, from: server, lacksState ? .all : .told
                ).root
            } catch is PDUJudgement.Unjudgeable {
                servers.removeAll { $0 == server }
                servers.append(server)
            }
        }
        throw PDUJudgement.Unjudgeable(reason: "nobody tells the state before it")
    }
}
