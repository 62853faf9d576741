internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Judges an event whose signatures are good, in the spec's order: by its auth events, by the state before it, by the current
/// state. What it refers to and we lack is fetched first.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
struct PDUJudgement: Sendable {
    /// An event cannot be judged: what it builds on could not be had. It may be tried again.
    struct Unjudgeable: Error, Sendable {
        let reason: String
    }

    /// How many times earlier events are asked for.
    private static let gapRounds = 5

    let environment: Environment
    let reader: RoomReader
    let writer: RoomWriter
    let missing: MissingEvents

    /// Judges an event and writes it, after those before it. Known events are passed over.
    func receive(_ event: PDU, from origin: ServerName) async throws {
        guard let room = try await reader.record(event.roomID) else { throw Unjudgeable(reason: "unknown room") }
        if try await isInLog(event.id) { return }
        let unknown = try await unknownPrevEvents(of: event)
        if !unknown.isEmpty { try await closeGap(before: event, in: room, from: origin) }
        try await judgeAndAppend(event, from: origin)
    }

    /// Whether an event is in the log with a verdict; an outlier is not.
    private func isInLog(_ id: EventID) async throws -> Bool {
        guard let stored = try await reader.event(id) else { return false }
        return !stored.flags.contains(.outlier)
    }

    private func unknownPrevEvents(of event: PDU) async throws -> [EventID] {
        let known = try await environment.database.read { connection in
            try reader.log(connection).events(ids: event.prevEvents).filter { $0.value.stateAfter != nil }
        }
        return event.prevEvents.filter { known[$0] == nil }
    }

    /// Fetches and judges the events between ours and this one, as far as they are to be had.
    private func closeGap(before event: PDU, in room: RoomRecord, from origin: ServerName) async throws {
        for _ in 0..<Self.gapRounds {
            guard let room = try await reader.record(room.id) else { return }
            let known = try await environment.database.read { connection in
                Array(try reader.log(connection).ids(room.extremities).values)
            }
            let found = await missing.before(
                event, having: known, minimumDepth: max(0, room.depth - 1_000), from: origin)
            var news = false
            for earlier in found where earlier.id != event.id {
                if try await isInLog(earlier.id) { continue }
                news = true
                do { try await judgeAndAppend(earlier, from: origin) } catch is Unjudgeable { continue }
            }
            if !news { return }
            if try await unknownPrevEvents(of: event).isEmpty { return }
        }
    }

    private func judgeAndAppend(_ event: PDU, from origin: ServerName) async throws {
        guard let room = try await reader.record(event.roomID) else { throw Unjudgeable(reason: "unknown room") }
        let judged = try await judge(event, in: room, from: origin)
        if case .rejected(let reason) = judged.verdict {
            environment.logger.info("rejected", metadata: ["event": "\(event.id)", "reason": "\(reason)"])
        }
        try await writer.append([judged], to: event.roomID)
    }

    private func judge(_ event: PDU, in room: RoomRecord, from origin: ServerName) async throws -> JudgedPDU {
        let rules = room.version.rules
        guard let create = try await reader.stateEvent(room, .create) else {
            throw Unjudgeable(reason: "the room has no create event")
        }
        // By its auth events.
        let auth = try await authEvents(of: event, in: room, from: origin)
        do throws(Rejection) {
            try checkAuthEvents(
                event, authEvents: auth.events.map(\.pdu), by: rules,
                isRejected: { id in auth.rejected.contains(id) })
            var allowing = auth.events.map(\.pdu)
            if rules.roomIDIsCreateEventHash { allowing.append(create.pdu) }
            try authorize(event, given: RoomState(allowing), by: rules, create: create.pdu)
        } catch {
            return JudgedPDU(pdu: event, verdict: .rejected("auth events: \(error.reason)"), stateBefore: nil)
        }
        // By the state before it.
        let before = try await stateBefore(event, in: room, from: origin)
        if let reason = try await refusal(of: event, at: before, create.pdu, rules) {
            return JudgedPDU(pdu: event, verdict: .rejected("state before: \(reason)"), stateBefore: before)
        }
        // By the current state.
        if before != room.state, let reason = try await refusal(of: event, at: room.state, create.pdu, rules) {
            return JudgedPDU(pdu: event, verdict: .softFailed(reason), stateBefore: before)
        }
        return JudgedPDU(pdu: event, verdict: .accepted, stateBefore: before)
    }

    private func refusal(
        of event: PDU, at root: StateRoot, _ create: PDU, _ rules: RoomVersionRules
    ) async throws -> String? {
        var keys = authEventKeys(for: event)
        keys += [StateKey(.create, ""), StateKey(.powerLevels, "")]
        let state = RoomState(try await reader.state(at: root, keys: keys).mapValues(\.pdu))
        do throws(Rejection) {
            try authorize(event, given: state, by: rules, create: create)
            return nil
        } catch { return error.reason }
    }

    // MARK: What an event refers to

    /// The auth events of an event, as they are in the log; those we lack are fetched, checked and kept as outliers.
    private func authEvents(
        of event: PDU, in room: RoomRecord, from origin: ServerName
    ) async throws -> (events: [StoredEvent], rejected: Set<EventID>) {
        var known = try await stored(event.authEvents)
        if known.count < Set(event.authEvents).count {
            try await keep(await missing.authChain(of: event, from: origin), in: room)
            known = try await stored(event.authEvents)
        }
        guard known.count == Set(event.authEvents).count else {
            throw Unjudgeable(reason: "auth events could not be fetched")
        }
        let events = event.authEvents.compactMap { known[$0] }
        return (events, Set(events.filter { $0.flags.contains(.rejected) }.map(\.id)))
    }

    private func stored(_ ids: [EventID]) async throws -> [EventID: StoredEvent] {
        try await environment.database.read { try reader.log($0).events(ids: ids) }
    }

    /// Judges state events by their auth events alone and keeps them as outliers, those of them that we lack.
    private func keep(_ events: [PDU], in room: RoomRecord) async throws {
        let known = try await stored(events.map(\.id))
        let new = Dictionary(
            events.filter { known[$0.id] == nil && $0.isState }.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        guard !new.isEmpty, let create = try await reader.stateEvent(room, .create) else { return }
        var allowed: [EventID: PDU] = [:]
        var rejected: Set<EventID> = []
        let outside = try await stored(Array(Set(new.values.flatMap(\.authEvents)).subtracting(new.keys)))
        for (id, event) in outside {
            if event.flags.contains(.rejected) { rejected.insert(id) } else { allowed[id] = event.pdu }
        }
        var judged: [JudgedPDU] = []
        for event in RoomImport.inAuthOrder(new) {
            let auth = event.authEvents.compactMap { allowed[$0] }
            // Auth events that nobody has leave an event out: it cannot be judged.
            guard event.authEvents.allSatisfy({ allowed[$0] != nil || rejected.contains($0) }) else { continue }
            var verdict = Verdict.accepted
            do throws(Rejection) {
                try checkAuthEvents(
                    event, authEvents: auth, by: room.version.rules, isRejected: { rejected.contains($0) })
                var state = auth
                if room.version.rules.roomIDIsCreateEventHash { state.append(create.pdu) }
                try authorize(event, given: RoomState(state), by: room.version.rules, create: create.pdu)
                allowed[event.id] = event
            } catch {
                verdict = .rejected(error.reason)
                rejected.insert(event.id)
            }
            judged.append(JudgedPDU(pdu: event, verdict: verdict, stateBefore: nil, isOutlier: true))
        }
        try await writer.append(judged, to: room.id)
    }

    /// The state before an event: from the events before it, else as the origin tells it.
    private func stateBefore(
        _ event: PDU, in room: RoomRecord, from origin: ServerName
    ) async throws -> StateRoot {
        if let root = try await reader.stateBefore(event.prevEvents, in: room) { return root }
        guard let told = await missing.stateIDs(before: event, from: origin) else {
            throw Unjudgeable(reason: "the state before it could not be fetched")
        }
        var known = try await stored(told.state)
        let lacking = Set(told.state + told.auth).subtracting(try await stored(told.state + told.auth).keys)
        if !lacking.isEmpty {
            var events: [PDU] = []
            if lacking.count <= MissingEvents.stateEventsOneByOne {
                for id in lacking {
                    let event = await missing.event(id, room: room.id, version: room.version, from: origin)
                    if let event { events.append(event) }
                }
            } else {
                events = await missing.state(before: event, from: origin)
            }
            try await keep(events, in: room)
            known = try await stored(told.state)
        }
        let usable = told.state.compactMap { known[$0] }.filter { !$0.flags.contains(.rejected) && $0.roomNID == room.nid }
        guard usable.contains(where: { $0.pdu.type == .create }) else {
            throw Unjudgeable(reason: "the state before it could not be fetched")
        }
        return try await reader.storeState(of: usable, room: room)
    }
}
