internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Judging in a room of which the members are not known yet, and finding out its whole state.
extension PDUJudgement {
    /// Judges an event by the state that is known, and what its auth events say of members of whom nothing is known. It is
    /// judged again once all is known, so that the current state is not asked.
    func judgePartially(
        _ event: PDU, auth: [StoredEvent], in room: RoomRecord, create: PDU
    ) async throws -> JudgedPDU {
        let before = try await reader.partialStateBefore(event, auth: auth, in: room)
        var verdict = Verdict.accepted
        if let reason = try await refusal(of: event, at: before, create, room.version.rules) {
            verdict = .rejected("state before: \(reason)")
        }
        return judged(event, verdict, at: before, in: room)
    }

    /// How much of a told state must be had.
    enum ToldCompleteness: Sendable {
        /// What cannot be had is left out.
        case whatIsHad
        /// Each event must have been told; those that are not good are left out.
        case told
        /// Each event must have been had: else it is tried again, for a server or its keys may be out of reach just now.
        case all
    }

    /// A state that was told, and the events of it that could not be had.
    struct ToldState: Sendable {
        var root: StateRoot
        var leftOut: [EventID]
    }

    /// The state before an event, as a server tells it: fetched as far as it is not here, checked, and stored. Events that
    /// are not good are left out, unless all are asked for.
    /// - Throws: `Unjudgeable` when it cannot be had.
    func toldState(
        before event: PDU, in room: RoomRecord, by missing: MissingEvents, from server: ServerName,
        _ completeness: ToldCompleteness
    ) async throws -> ToldState {
        guard let told = await missing.stateIDs(before: event, from: server) else {
            throw Unjudgeable(reason: "the state before it could not be fetched")
        }
        var known = try await stored(told.state)
        let lacking = Set(told.state + told.auth).subtracting(try await stored(told.state + told.auth).keys)
        if !lacking.isEmpty {
            var events: [VerifiedPDU] = []
            if lacking.count <= MissingEvents.stateEventsOneByOne {
                events = await missing.events(
                    Array(lacking), room: room.id, version: room.version, from: server)
            }
            // One that is out of the room may be told no single event, but the state before what ended its part in it.
            let asksForWhole = events.isEmpty
            if asksForWhole {
                events = try await wholeState(told.state, before: event, by: missing, from: server, completeness)
            }
            // Not whatever else was named: only the state, and what it leads to.
            let starts = told.state + known.values.flatMap(\.pdu.authEvents)
            let reached = Set(MissingEvents.reached(from: starts, in: events.map(\.pdu)).map(\.id))
            try await keep(events.filter { reached.contains($0.id) }, in: room)
            known = try await stored(told.state)
            if completeness == .told, known.count < told.state.count, !asksForWhole {
                try await keep(
                    wholeState(told.state, before: event, by: missing, from: server, completeness), in: room)
                known = try await stored(told.state)
            }
            // A state that lacks a member would let this room's server judge otherwise than all others, for good.
            if completeness == .all, known.count < told.state.count {
                throw Unjudgeable(reason: "the state before it could not be fetched whole")
            }
        }
        let usable = told.state.compactMap { known[$0] }.filter {
            !$0.flags.contains(.rejected) && $0.roomNID == room.nid
        }
        // A room has one create event.
        guard let create = try await reader.stateEvent(room, .create),
            usable.filter({ StateKey(of: $0.pdu) == StateKey(.create, "") }).map(\.id) == [create.id]
        else { throw Unjudgeable(reason: "the state before it could not be fetched") }
        return ToldState(
            root: try await reader.storeState(of: usable, room: room), leftOut: told.state.filter { known[$0] == nil })
    }

    private func wholeState(
        _ ids: [EventID], before event: PDU, by missing: MissingEvents, from server: ServerName,
        _ completeness: ToldCompleteness
    ) async throws -> [VerifiedPDU] {
        let events = await missing.state(ids, before: event, from: server)
        if events == nil, completeness != .whatIsHad {
            throw Unjudgeable(reason: "the state before it could not be fetched")
        }
        return events ?? []
    }
}
