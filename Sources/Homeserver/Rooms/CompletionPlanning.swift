internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Works out, within one reading transaction, what a room's whole state changes.
struct CompletionPlanning {
    private let completion: RoomCompletion
    private let room: RoomRecord
    private let join: PDU
    private let create: PDU
    private let stateKeyNumbers: [StateKey: Int64]
    private let policy: RoomPolicy?
    private let writer: RoomWriter
    private let connection: any SQLConnection
    private let log: EventLog
    /// The events that were judged by a part of the state, by id.
    private let partial: [EventID: StoredEvent]
    private var change: StateChange
    /// The whole state before and after events.
    private var before: [EventID: StateRoot] = [:]
    private var after: [EventID: StateRoot] = [:]
    /// Events of which it turned out otherwise whether they are rejected, by number.
    private var overturned: [Int64: StoredEvent] = [:]
    /// Those of them that were rejected and are not now.
    private var revived: [StoredEvent] = []
    private var lacking: [PDU] = []
    private var result: RoomAppend

    init(
        _ completion: RoomCompletion, of room: RoomRecord, _ partial: PartialRoom, stateKeyNumbers: [StateKey: Int64],
        policy: RoomPolicy?, writer: RoomWriter, connection: any SQLConnection
    ) throws {
        self.completion = completion
        self.stateKeyNumbers = stateKeyNumbers
        self.policy = policy
        self.room = room
        self.writer = writer
        self.connection = connection
        log = EventLog(connection, writer.environment.sealer)
        let events = try completion.events(log, room.nid)
        self.partial = Dictionary(events.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        change = StateChange(completion.beforeJoin)
        let createKey = StateKey(.create, "")
        guard let join = events.first(where: { $0.nid == partial.joinNID })?.pdu,
            let create = try writer.reader.state(at: completion.beforeJoin, keys: [createKey], in: connection)[
                createKey]
        else { throw CorruptState() }
        self.join = join
        self.create = create.pdu
        result = RoomAppend(
            roomNID: room.nid, roomID: room.id, version: room.version, expectedHeadVersion: room.headVersion, head: nil,
            state: change, now: writer.environment.clock.now())
        let leftOut = LeftOutState(
            joinNID: partial.joinNID, resident: partial.resident, events: completion.leftOut,
            until: completion.isAmendment
                ? partial.leftOutUntil : writer.environment.clock.now() + RoomLimits.leftOutTime)
        result.completeness = .whole(completion.leftOut.isEmpty ? nil : leftOut)
    }

    mutating func append() throws -> RoomAppend {
        for event in RoomImport.ordered(partial.mapValues(\.pdu), by: \.prevEvents) {
            if let stored = partial[event.id] { try judge(stored) }
        }
        guard lacking.isEmpty else { throw LacksStates(events: lacking) }
        for event in revived.sorted(by: { $0.nid < $1.nid }) { try admit(event) }
        let head = try head()
        result.head = head
        try setMembers(at: head.state)
        result.state = change
        return result
    }

    // MARK: Events

    private mutating func judge(_ stored: StoredEvent) throws {
        let pdu = stored.pdu
        let before = try stateBefore(pdu)
        let reason = try refusal(of: pdu, at: before)
        guard pdu.id != join.id || reason == nil else {
            throw PDUJudgement.Unjudgeable(reason: "the join is not allowed")
        }
        var flags = stored.flags.subtracting([.partialState, .rejected])
        if reason != nil { flags.insert(.rejected) }
        var root = before
        var replaces: Int64?
        if reason == nil, let key = StateKey(of: pdu) {
            replaces = try states.event(at: before, key.type, key.stateKey)
            // An event that came in since the numbers were read has none: it is all read again.
            guard let number = stateKeyNumbers[key] else { throw RoomHeadMoved() }
            change.root = before
            change = try StateWriter(connection, writer.reader.states).applying([number: stored.nid], to: change)
            root = change.root
        }
        self.before[pdu.id] = before
        after[pdu.id] = root
        let place: EventInsertion.Place
        switch (stored.position, reason) {
        case (_, .some): place = .none
        case (.some, nil): place = .kept
        case (nil, nil): place = stored.flags.contains(.softFailed) ? .none : .live
        }
        result.events.append(
            EventInsertion(
                nid: stored.nid, pdu: pdu, place: place, flags: flags, stateAfter: root, replaces: replaces,
                isKnown: true))
        guard flags.contains(.rejected) != stored.flags.contains(.rejected) else { return }
        let event = StoredEvent(
            nid: stored.nid, pdu: pdu, roomNID: stored.roomNID, position: stored.position, flags: flags,
            stateAfter: root, replaces: replaces, redactedBy: stored.redactedBy)
        overturned[stored.nid] = event
        if reason == nil, place == .live { revived.append(event) }
    }

    /// Asks about an event that was rejected before what is asked of one that comes: the current state, as it would have been
    /// then, and whether the policy server signed; and carries it out. Else whoever was banned before it came would speak.
    private mutating func admit(_ event: StoredEvent) throws {
        guard let index = result.events.firstIndex(where: { $0.nid == event.nid }), let before = before[event.id] else {
            throw CorruptState()
        }
        let current = try head(beforeEvent: event.nid).state
        let isRecommended =
            policy.map { !RoomPolicy.covers(event.pdu.type, stateKey: event.pdu.stateKey) || $0.recommends(event.pdu) }
            ?? true
        guard isRecommended, try refusal(of: event.pdu, at: current) == nil else {
            result.events[index].place = .none
            result.events[index].flags.insert(.softFailed)
            return
        }
        let prev = try log.nids(event.pdu.prevEvents)
        let outliers = try log.outliers(among: Array(prev.values))
        result.newBackwardExtremities += event.pdu.prevEvents.filter { prev[$0].map(outliers.contains) ?? true }
        result.closedBackwardExtremities.append(event.id)
        result.state = change
        try RedactionPlanning(reader: writer.reader, connection: connection, room: room)
            .redact(event, before: before, current: current, in: &result, unstored: [event.id: event])
    }

    private var states: StateReader { StateReader(connection, writer.reader.states, pending: change) }

    private mutating func stateBefore(_ pdu: PDU) throws -> StateRoot {
        if pdu.id == join.id { return completion.beforeJoin }
        if let told = completion.before[pdu.id] { return told }
        let stored = try log.events(ids: pdu.prevEvents.filter { after[$0] == nil })
        var roots: [StateRoot] = []
        for id in pdu.prevEvents {
            if let root = after[id] {
                roots.append(root)
            } else if let event = stored[id], event.roomNID == room.nid, let root = event.stateAfter,
                !event.flags.contains(.partialState)
            {
                roots.append(root)
            } else if join.prevEvents == [id] {
                // What was before the join was after the one event that it followed.
                roots.append(completion.beforeJoin)
            } else {
                lacking.append(pdu)
                return completion.beforeJoin
            }
        }
        return try merge(roots)
    }

    private mutating func merge(_ roots: [StateRoot]) throws -> StateRoot {
        change = try StateMerge(
            connection, sealer: writer.environment.sealer, states: writer.reader.states, events: writer.reader.events
        ).resolve(roots, version: room.version, pending: change, unstored: overturned)
        return change.root
    }

    /// Why its auth events, or the state before it, do not allow an event.
    private func refusal(of pdu: PDU, at before: StateRoot) throws -> String? {
        let rules = room.version.rules
        let auth = try log.events(ids: pdu.authEvents).mapValues { overturned[$0.nid] ?? $0 }
        let pdus = pdu.authEvents.compactMap { auth[$0]?.pdu }
        let keys = Set(authEventKeys(for: pdu) + [StateKey(.create, ""), StateKey(.powerLevels, "")])
        let nids = try states.events(at: before, keys: keys)
        let state = RoomState(try writer.reader.events.events(Set(nids.values), from: log).values.map(\.pdu))
        do throws(Rejection) {
            try checkAuthEvents(
                pdu, authEvents: pdus, by: rules, isRejected: { auth[$0]?.flags.contains(.rejected) ?? true })
            try authorize(
                pdu, given: RoomState(pdus + (rules.roomIDIsCreateEventHash ? [create] : [])), by: rules, create: create
            )
            try authorize(pdu, given: state, by: rules, create: create)
            return nil
        } catch { return error.reason }
    }

    // MARK: The room

    /// The newest events that are not withheld, and the state after them.
    /// - Parameter limit: leaves out this event and those that came later, if it is given.
    private mutating func head(beforeEvent limit: Int64? = nil) throws -> RoomAppend.Head {
        let judgedAnew = Dictionary(result.events.map { ($0.nid, $0.flags) }, uniquingKeysWith: { first, _ in first })
        let accepted = result.events.filter { $0.place != .none && $0.nid < limit ?? .max }
        // Who follows a withheld event follows what that was built on.
        let prev = try log.nids(accepted.flatMap(\.pdu.prevEvents)).values
        let followed = Set(prev).union(
            try log.behindWithheld(prev, limit: RoomLimits.withheldSteps, judgedAnew: judgedAnew))
        // Those that were known whole all the time, if there are any.
        let others = try log.events(nids: room.extremities.filter { judgedAnew[$0] == nil && $0 < limit ?? .max })
            .values
        var newest = accepted.map { (nid: $0.nid, depth: $0.pdu.depth, state: $0.stateAfter) }
        newest += others.map { ($0.nid, $0.pdu.depth, $0.stateAfter) }
        newest = newest.filter { !followed.contains($0.nid) && $0.state != nil }
        newest.sort { ($0.depth, $0.nid) > ($1.depth, $1.nid) }
        newest = Array(newest.prefix(writer.environment.configuration.limits.forwardExtremities))
        // As `HeadMerge` has it: thousands of forks must not cost as many states.
        let state = try merge(newest.prefix(RoomLimits.statesResolved).compactMap(\.state))
        return RoomAppend.Head(
            state: state, extremities: newest.map(\.nid), depth: newest.first?.depth ?? room.depth)
    }

    /// The memberships that are not yet, or otherwise, in the room's list of members.
    private mutating func setMembers(at root: StateRoot) throws {
        let listed = Dictionary(
            try RoomStore(connection).members(room: room.nid).map { ($0.user.text, $0.eventNID) },
            uniquingKeysWith: { first, _ in first })
        let current = try states.all(at: root).filter { $0.key.type == .member }
        let changed = current.filter { listed[$0.key.stateKey] != $0.value }
        // Not through the cache, which so many events would empty.
        let events = try log.events(nids: Array(changed.values))
        for (key, nid) in changed {
            guard let user = try? UserID(key.stateKey), let event = events[nid] else { continue }
            result.members.append(MemberChange(user: user, event: (nid, event.pdu)))
            if writer.environment.isLocal(user) { result.concerned.append(user) }
        }
        for name in listed.keys where current[StateKey(.member, name)] == nil {
            guard let user = try? UserID(name) else { continue }
            result.members.append(MemberChange(user: user, event: nil))
            if writer.environment.isLocal(user) { result.concerned.append(user) }
        }
    }
}
