internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Judges an event whose signatures are good, in the spec's order: by its auth events, by the state before it, by the current
/// state, by the policy server. What it refers to and we lack is fetched first.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
struct PDUJudgement: Sendable {
    /// An event cannot be judged: what it builds on could not be had. It may be tried again.
    struct Unjudgeable: Error, Sendable {
        let reason: String
    }

    /// Something it refers to is not here, and fetching was not allowed.
    struct LacksEvents: Error, Sendable {}

    /// An event that can never be part of the room.
    struct Unacceptable: Error, Sendable {
        let reason: String
    }

    /// Whom to ask for what is lacking, if anybody.
    private struct Source {
        var origin: ServerName
        var missing: MissingEvents?
        /// How much must be had of a state that it tells.
        var completeness = ToldCompleteness.whatIsHad

        func asked() throws(LacksEvents) -> MissingEvents {
            guard let missing else { throw LacksEvents() }
            return missing
        }
    }

    private struct Reminder: Hashable {
        let room: Int64
        let user: UserID
    }

    /// What took a user out of a room is not sent once more sooner.
    private static let reminderPause = Duration.seconds(300)
    private static let bytesPerReminder = 400
    /// Events of a state that are written at once.
    private static let outliersPerAppend = 500
    /// How many times earlier events are asked for.
    private static let gapRounds = 20
    /// Earlier events that could not be judged, after which nothing more is asked for them.
    private static let failuresInGap = 5
    /// Events of ours that are named in asking for earlier events.
    private static let namedExtremities = 50
    /// What was sent less than so many milliseconds ago is taken for news.
    private static let purgedAge: Int64 = 60_000
    /// How often an event is judged when more of its room becomes known meanwhile.
    private static let judgements = 3

    let environment: Environment
    let reader: RoomReader
    let writer: RoomWriter
    let missing: MissingEvents
    /// When events were asked for that others told without their words.
    let askedWhole = BoundedCache<EventID, Duration>(budget: 4 << 20)
    /// When servers were sent once more what took a user of theirs out of a room.
    private let reminded = BoundedCache<Reminder, Duration>(budget: 1 << 20)

    /// Judges an event and writes it, after those before it. Known events are passed over.
    /// - Parameters:
    ///   - origin: who is asked for what it refers to.
    ///   - wasPassedOn: whether it came from another server than its sender's.
    ///   - fetches: whether what it refers to may be fetched; else ``LacksEvents`` is thrown where that is needed.
    ///   - isTriedAgain: whether it will be tried again if it throws ``Unjudgeable``; otherwise what cannot be had of a
    ///     state before it is left out.
    func receive(
        _ event: VerifiedPDU, from origin: ServerName, fetches: Bool, wasPassedOn: Bool = false,
        isTriedAgain: Bool = false
    ) async throws {
        guard let room = try await reader.record(event.roomID) else { throw Unacceptable(reason: "unknown room") }
        if try await isInLog(event) { return }
        // A room has its create event from the start; any other, or an event after nothing, would be a second root.
        guard !(event.type == .create && event.stateKey == ""), !event.prevEvents.isEmpty else {
            throw Unacceptable(reason: "a second beginning of the room")
        }
        let source = Source(
            origin: origin,
            missing: fetches ? missing.within(.milliseconds(environment.configuration.timeouts.missingEvents)) : nil,
            completeness: isTriedAgain ? .all : .whatIsHad)
        let event = wasPassedOn ? try await whole(event, in: room, by: source.asked()) : event
        let lacking = try await unknown(event.prevEvents, in: room)
        if !lacking.isEmpty {
            let earliest = Set(try await historyEnds(of: room))
            if !lacking.allSatisfy(earliest.contains) {
                try await closeGap(before: event, in: room, after: earliest, from: source)
            }
        }
        try await judgeAndAppend(event, from: source)
    }

    /// Events before which this server has nothing: what comes after them is asked for, not they.
    private func historyEnds(of room: RoomRecord) async throws -> [EventID] {
        try await environment.database.read { try reader.log($0).historyEnds(room: room.nid).map(\.id) }
    }

    /// Whether an event is a message of the time of which messages were taken out, or one of those: it would come as news.
    private func isPurged(_ event: PDU, in room: RoomRecord) async throws -> Bool {
        guard !event.isState, event.originServerTimestamp < environment.clock.now() - Self.purgedAge else {
            return false
        }
        let sealer = environment.sealer
        guard let end = try await environment.database.read({ try HistoryPurge($0, sealer).end(room: room.nid) }) else {
            return false
        }
        return event.originServerTimestamp < end.before && event.depth <= end.depth
    }

    /// Whether an event is in the log with a verdict; an outlier is not. If what is there is not whole and this copy is, its
    /// body is taken from it.
    /// - Throws: `Unacceptable` where another event has the id.
    private func isInLog(_ event: VerifiedPDU) async throws -> Bool {
        guard let stored = try await reader.event(event.id) else { return false }
        guard event.pdu.isCopy(of: stored.pdu) else { throw Unacceptable(reason: "its id is another event's") }
        try await writer.restore([event], of: [event.id: stored], in: event.roomID)
        return !stored.flags.contains(.outlier)
    }

    /// Those of `ids` after which the room's state is not known.
    private func unknown(_ ids: [EventID], in room: RoomRecord) async throws -> [EventID] {
        let known = try await environment.database.read { connection in
            try reader.log(connection).events(ids: ids).filter {
                $0.value.roomNID == room.nid && $0.value.stateAfter != nil
            }
        }
        return ids.filter { known[$0] == nil }
    }

    /// Fetches the events between ours and this one, as far as they are to be had, and judges them, earlier ones first.
    private func closeGap(
        before event: VerifiedPDU, in room: RoomRecord, after earliest: Set<EventID>, from source: Source
    ) async throws {
        let missing = try source.asked()
        let known = try await environment.database.read { connection in
            Array(try reader.log(connection).ids(room.extremities.suffix(Self.namedExtremities)).values)
        }
        let stops = Array((known + earliest.sorted()).prefix(MissingEvents.prevEventsPerRequest))
        var found: [EventID: VerifiedPDU] = [:]
        var latest = [event.id]
        for _ in 0..<Self.gapRounds {
            let answer = await missing.before(
                latest, room: room.id, version: room.version, having: stops, from: source.origin)
            let new = answer.filter {
                $0.id != event.id && found[$0.id] == nil && !$0.prevEvents.isEmpty && !earliest.contains($0.id)
            }
            guard !new.isEmpty else { break }
            for earlier in new { found[earlier.id] = earlier }
            let above = Set(found.values.flatMap(\.prevEvents)).subtracting(found.keys)
            let open = Set(try await unknown(Array(above), in: room)).subtracting(earliest)
            guard !open.isEmpty else { break }
            latest = found.values.filter { !open.isDisjoint(with: $0.prevEvents) }.map(\.id)
        }
        // Who does not tell what comes before several will not tell it of the rest. Of those, what needs no telling is judged, and
        // the time is left for the event itself.
        var (asking, failures) = (source, 0)
        let ordered = RoomImport.ordered(found, by: \.prevEvents)
        for earlier in try await whole(ordered, in: room, toldBy: source.origin) {
            do {
                if try await isInLog(earlier) { continue }
                try await judgeAndAppend(earlier, from: asking)
            } catch let error where error is Unjudgeable || error is Unacceptable || error is LacksEvents {
                failures += 1
                if failures == Self.failuresInGap { asking.missing = nil }
                environment.logger.info(
                    "an earlier event could not be judged",
                    metadata: ["event": "\(earlier.id)", "cause": "\(error)"])
            }
        }
    }

    private func judgeAndAppend(_ event: VerifiedPDU, from source: Source) async throws {
        for _ in 0..<Self.judgements {
            do { return try await judgeAndAppendOnce(event, from: source) } catch is RoomKnowledgeChanged {}
        }
        throw Unjudgeable(reason: "more of the room becomes known all the time")
    }

    private func judgeAndAppendOnce(_ event: VerifiedPDU, from source: Source) async throws {
        guard let room = try await reader.record(event.roomID) else { throw Unacceptable(reason: "unknown room") }
        let judged = try await judge(event, in: room, from: source)
        if case .rejected(let reason) = judged.verdict {
            environment.logger.info("rejected", metadata: ["event": "\(event.id)", "reason": "\(reason)"])
        }
        let newcomer = try await newcomer(by: judged, in: room)
        try await writer.append([judged], to: room.id)
        if let newcomer { try await writer.sendEnds(of: room.id, to: [newcomer]) }
        do { try await remindOfRemoval(by: judged, in: room) } catch {
            // The event is judged, whatever becomes of that.
            environment.logger.warning("no reminder", metadata: ["room": "\(room.id)", "cause": "\(error)"])
        }
    }

    /// Sends a server that speaks in a room in which it has nobody any more what took its user out: it may not have learned of it,
    /// for an event that could not be judged is given up, and who is in the room sends it nothing else.
    private func remindOfRemoval(by judged: JudgedPDU, in room: RoomRecord) async throws {
        let sender = judged.pdu.sender
        guard judged.verdict != .accepted, !environment.isLocal(sender), !room.isPartial,
            try await !reader.joinedServers(room).contains(sender.serverName)
        else { return }
        let now = environment.clock.monotonic()
        let reminder = Reminder(room: room.nid, user: sender)
        if let last = reminded.value(reminder), now - last < Self.reminderPause { return }
        guard try await writer.sendRemoval(of: sender, from: room) else { return }
        reminded.put(reminder, now, cost: Self.bytesPerReminder)
    }

    /// The server of a user who joined, by another and as its first. It is sent what was said here and the join does not
    /// follow: nobody did so while it was out of the room, or it took nothing in.
    private func newcomer(by judged: JudgedPDU, in room: RoomRecord) async throws -> ServerName? {
        let server = judged.pdu.sender.serverName
        guard judged.verdict == .accepted, judged.pdu.type == .member, !environment.isLocal(judged.pdu.sender),
            (try? RoomMember(judged.pdu).membership) == .join, !room.isPartial,
            try await !reader.joinedServers(room).contains(server)
        else { return nil }
        return server
    }

    private func judge(_ verified: VerifiedPDU, in room: RoomRecord, from source: Source) async throws -> JudgedPDU {
        let event = verified.pdu
        let rules = room.version.rules
        guard let create = try await reader.stateEvent(room, .create) else {
            throw Unjudgeable(reason: "the room has no create event")
        }
        // By its auth events.
        let auth = try await authEvents(of: event, in: room, from: source)
        if let reason = Self.refusal(of: event, by: auth, create.pdu, rules) {
            // It changes nothing: with the state before it, what follows it can be judged without asking.
            let before =
                room.isPartial
                ? try await reader.partialStateBefore(event, auth: [], in: room)
                : try await reader.stateBefore(event.prevEvents, in: room)
            return judged(event, .rejected("auth events: \(reason)"), at: before, in: room)
        }
        if room.isPartial {
            var judged = try await judgePartially(event, auth: auth.events, in: room, create: create.pdu)
            guard case .accepted = judged.verdict else { return judged }
            if let signed = try await recommended(event, in: room, from: source) {
                judged.pdu = signed
            } else {
                judged.verdict = .softFailed("the policy server did not sign")
            }
            return judged
        }
        // By the state before it.
        let (before, origin) = try await stateBefore(event, in: room, from: source)
        func result(_ event: PDU, _ verdict: Verdict) -> JudgedPDU {
            var judged = judged(event, verdict, at: before, in: room)
            judged.isStateAssumed = origin == .assumed
            return judged
        }
        if let reason = try await refusal(of: event, at: before, create.pdu, rules) {
            return result(event, .rejected("state before: \(reason)"))
        }
        // By the current state. That knows nothing of what is missing before the event, which the state told does: whoever
        // joined there would have no say.
        let current = origin == .told ? try await reader.merged([room.state, before], in: room) : room.state
        if before != current, let reason = try await refusal(of: event, at: current, create.pdu, rules) {
            return result(event, .softFailed(reason))
        }
        if try await isPurged(event, in: room) { return result(event, .softFailed("older than what is kept")) }
        // By the policy server.
        guard let signed = try await recommended(event, in: room, from: source) else {
            return result(event, .softFailed("the policy server did not sign"))
        }
        return result(signed, .accepted)
    }

    /// An event as it was judged by what is known of its room.
    func judged(_ event: PDU, _ verdict: Verdict, at before: StateRoot?, in room: RoomRecord) -> JudgedPDU {
        JudgedPDU(pdu: event, verdict: verdict, stateBefore: before, knowledge: room.knowledge)
    }

    /// An event with the signature of the room's policy server, where there is one, which is asked for it if need be; nil
    /// when it does not sign.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#validating-policy-server-signatures>
    private func recommended(_ event: PDU, in room: RoomRecord, from source: Source) async throws -> PDU? {
        guard let policy = try await reader.policy(of: room), RoomPolicy.covers(event.type, stateKey: event.stateKey),
            !policy.recommends(event)
        else { return event }
        // Whoever else is asked may take its time, which is taken outside of the room's line.
        if policy.server != environment.serverName { _ = try source.asked() }
        do { return try await writer.recommended(event, by: policy) } catch {
            // A failure of this server's own says nothing of the event.
            guard error.status != MatrixError.unknown.status else {
                throw Unjudgeable(reason: "whether the policy server signs is not known")
            }
            return nil
        }
    }

    /// Why its auth events do not allow an event of long ago; those we lack are fetched.
    /// - Throws: `Unjudgeable` where they cannot be had.
    func refusalByAuthEvents(
        of event: PDU, in room: RoomRecord, _ create: PDU, from origin: ServerName, by missing: MissingEvents
    ) async throws -> String? {
        let auth = try await authEvents(of: event, in: room, from: Source(origin: origin, missing: missing))
        return Self.refusal(of: event, by: auth, create, room.version.rules)
    }

    /// Why its own auth events do not allow an event.
    static func refusal(
        of event: PDU, by auth: (events: [StoredEvent], rejected: Set<EventID>), _ create: PDU,
        _ rules: RoomVersionRules
    ) -> String? {
        let pdus = auth.events.map(\.pdu)
        do throws(Rejection) {
            try checkAuthEvents(event, authEvents: pdus, by: rules, isRejected: { auth.rejected.contains($0) })
            let allowing = pdus + (rules.roomIDIsCreateEventHash ? [create] : [])
            try authorize(event, given: RoomState(allowing), by: rules, create: create)
            return nil
        } catch { return error.reason }
    }

    func refusal(
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
        of event: PDU, in room: RoomRecord, from source: Source
    ) async throws -> (events: [StoredEvent], rejected: Set<EventID>) {
        var known = try await stored(event.authEvents)
        if known.count < Set(event.authEvents).count {
            try await keep(await source.asked().authChain(of: event, from: source.origin), in: room)
            known = try await stored(event.authEvents)
        }
        guard known.count == Set(event.authEvents).count else {
            throw Unjudgeable(reason: "auth events could not be fetched")
        }
        let events = event.authEvents.compactMap { known[$0] }
        return (events, Set(events.filter { $0.flags.contains(.rejected) }.map(\.id)))
    }

    func stored(_ ids: [EventID]) async throws -> [EventID: StoredEvent] {
        try await environment.database.read { try reader.log($0).events(ids: ids) }
    }

    /// Judges state events by their auth events alone and keeps them as outliers, those of them that we lack. The room's create
    /// event is here, so any other is of another room.
    func keep(_ events: [VerifiedPDU], in room: RoomRecord) async throws {
        let known = try await stored(events.map(\.id))
        try await writer.restore(events, of: known, in: room.id)
        let new = Dictionary(
            events.filter { known[$0.id] == nil && $0.isState && StateKey(of: $0.pdu) != StateKey(.create, "") }
                .map { ($0.id, $0.pdu) },
            uniquingKeysWith: { first, _ in first })
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
        // In parts, so that others get their turn to write.
        for start in stride(from: 0, to: judged.count, by: Self.outliersPerAppend) {
            let part = judged[start..<min(start + Self.outliersPerAppend, judged.count)]
            try await writer.append(Array(part), to: room.id)
        }
    }

    /// The state before an event: from the events before it, else as the origin tells it.
    private func stateBefore(
        _ event: PDU, in room: RoomRecord, from source: Source
    ) async throws -> (root: StateRoot, origin: StateOrigin) {
        if let root = try await reader.stateBefore(event.prevEvents, in: room) { return (root, .known) }
        let missing = try source.asked()
        do {
            let told = try await toldState(
                before: event, in: room, by: missing, from: source.origin, source.completeness)
            return (told.root, .told)
        } catch let error as Unjudgeable {
            guard source.completeness == .whatIsHad, try await isNewRemoval(event) else { throw error }
            return (room.state, .assumed)
        }
    }

    /// Whence the state before an event is known.
    private enum StateOrigin {
        case known
        case told
        /// Nobody tells it: the room's current state stands for it.
        case assumed
    }

    /// Whether an event takes a user of ours out of a room, and did not do so before what that user is there now by: then it would
    /// be part of an auth chain here. Whoever was not in the room when it was made, as far as all others know, is told by nobody
    /// what led to it; what speaks for it must do.
    private func isNewRemoval(_ event: PDU) async throws -> Bool {
        guard takesOutOurs(event) else { return false }
        return try await reader.event(event.id) == nil
    }

    /// Whether another server's user takes one of ours out of a room by an event.
    func takesOutOurs(_ event: PDU) -> Bool {
        guard event.type == .member, let user = event.stateKey.flatMap({ try? UserID($0) }), environment.isLocal(user),
            !environment.isLocal(event.sender), let membership = try? RoomMember(event).membership
        else { return false }
        return membership == .leave || membership == .ban
    }
}
