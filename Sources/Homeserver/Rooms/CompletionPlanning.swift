internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Works out, within one reading transaction, what a room's whole state changes.
struct CompletionPlanning {
    private let completion: RoomCompletion
    private let room: RoomRecord
    /// The joins of which the state before is known better now, as they came, and that.
    private let joins: [(event: PDU, before: StateRoot)]
    /// The last join, where what came before an earlier one is judged again.
    private let lastJoin: StoredEvent?
    /// The numbers of all joins of ours that lacked something, or came after such ones.
    private let taken: Set<Int64>
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
    /// Those of them that were rejected and are not now, by number.
    private var revived: [Int64: StoredEvent] = [:]
    /// What states resolve to, all of them judged anew.
    private var merged: [Set<StateRoot>: StateRoot] = [:]
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
        let createKey = StateKey(.create, "")
        let byNID = Dictionary(events.map { ($0.nid, $0.pdu) }, uniquingKeysWith: { first, _ in first })
        joins = completion.joins.compactMap { join in byNID[join.nid].map { ($0, join.before) } }
        guard let first = completion.joins.first?.before, joins.count == completion.joins.count,
            let create = try writer.reader.state(at: first, keys: [createKey], in: connection)[createKey]
        else { throw CorruptState() }
        change = StateChange(first)
        taken = completion.isAmendment ? Set(partial.leftOut.map(\.nid)) : []
        lastJoin =
            try completion.joins.first?.nid == partial.joinNID
            ? nil : log.event(nid: partial.joinNID)
        self.create = create.pdu
        result = RoomAppend(
            roomNID: room.nid, roomID: room.id, version: room.version, expectedHeadVersion: room.headVersion, head: nil,
            state: change, now: writer.environment.clock.now())
        result.completeness = .whole(completion.leftOut)
    }

    mutating func append() throws -> RoomAppend {
        for event in RoomImport.ordered(partial.mapValues(\.pdu), by: \.prevEvents) {
            if let stored = partial[event.id] { try judge(stored) }
        }
        guard lacking.isEmpty else { throw LacksStates(events: lacking) }
        try askCurrentState()
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
        // A join that was taken stays so, though events that allow it may be among what cannot be had.
        let reason = taken.contains(stored.nid) ? nil : try refusal(of: pdu, at: before)
        if joins.contains(where: { $0.event.id == pdu.id }), let reason {
            throw PDUJudgement.Unjudgeable(reason: "the join is not allowed: \(reason)")
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
        if reason == nil, place == .live { revived[event.nid] = event }
    }

    // MARK: The current state

    /// An event that is let in, or one of the newest that were known whole all the time.
    private struct Arrival {
        var nid: Int64
        var depth: Int64
        var state: StateRoot?
        /// Its place in `result.events`; nil for one that is not judged anew.
        var index: Int?
    }

    /// Asks what is asked of an event that comes, where it was not asked then: whether the current state allows it, as it
    /// would have been at that time. What it does not allow loses its place. Else whoever was banned before would speak, by
    /// following nothing that came after the ban.
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#soft-failure>
    private mutating func askCurrentState() throws {
        guard result.events.contains(where: { $0.place != .none && isToBeAsked($0) }) else { return }
        let numbers = try log.nids(result.events.filter { $0.place != .none }.flatMap(\.pdu.prevEvents), room: room.nid)
        var judgedAnew = judgedAnew
        var newest = NewestEvents()
        for arrival in try arrivals() {
            var behind: Set<Int64> = []
            if let index = arrival.index {
                guard try isAdmitted(index, after: newest) else {
                    result.events[index].place = .none
                    result.events[index].flags.insert(.softFailed)
                    judgedAnew[arrival.nid] = result.events[index].flags
                    continue
                }
                // Who follows a withheld event follows what that was built on.
                behind = Set(result.events[index].pdu.prevEvents.compactMap { numbers[$0] })
                behind.formUnion(
                    try log.behindWithheld(behind, limit: RoomLimits.withheldSteps, judgedAnew: judgedAnew))
            }
            // Whoever let us in again had gone on from what came before, save what stayed beside that join.
            if arrival.nid == lastJoin?.nid { newest.forget(allBut: Set(room.extremities)) }
            newest.take(arrival.nid, depth: arrival.depth, state: arrival.state, following: behind)
        }
    }

    /// Whether an event is still to be held against the current state: it was rejected, or came while that was known in
    /// part. What users of ours said then is not: they were told that it is sent.
    private func isToBeAsked(_ event: EventInsertion) -> Bool {
        if revived[event.nid] != nil { return true }
        guard let stored = partial[event.pdu.id], stored.flags.contains(.partialState) else { return false }
        return !writer.environment.isLocal(event.pdu.sender)
    }

    /// The events as they came: by their places in the timeline, and those that had none, or got one in a gap later, by
    /// their numbers.
    private func arrivals() throws -> [Arrival] {
        var placed: [(position: Int64, arrival: Arrival)] = []
        var others: [Arrival] = []
        func add(_ arrival: Arrival, _ position: Int64?) {
            if let position, position > 0, position % StreamPositions.eventStep == 0 {
                placed.append((position, arrival))
            } else {
                others.append(arrival)
            }
        }
        for (index, event) in result.events.enumerated() where event.place != .none {
            add(
                Arrival(nid: event.nid, depth: event.pdu.depth, state: event.stateAfter, index: index),
                partial[event.pdu.id]?.position)
        }
        for event in try unjudged(and: lastJoin.map { [$0.nid] } ?? []) {
            add(Arrival(nid: event.nid, depth: event.pdu.depth, state: event.stateAfter), event.position)
        }
        placed.sort { $0.position < $1.position }
        others.sort { $0.nid < $1.nid }
        var order: [Arrival] = []
        var rest = others[...]
        for (_, arrival) in placed {
            while let other = rest.first, other.nid < arrival.nid {
                order.append(other)
                rest.removeFirst()
            }
            order.append(arrival)
        }
        return order + rest
    }

    /// Whether the current state allows an event, and one that was rejected the policy server too; that is carried out.
    private mutating func isAdmitted(_ index: Int, after newest: NewestEvents) throws -> Bool {
        let event = result.events[index]
        let states = newest.states(limit: RoomLimits.statesResolved)
        guard isToBeAsked(event), let before = before[event.pdu.id], !states.isEmpty else { return true }
        var current = try mergedOnce(states)
        // What is missing before it the state told before it knows.
        if completion.before[event.pdu.id] != nil { current = try mergedOnce([current, before]) }
        guard try current == before || refusal(of: event.pdu, at: current) == nil else { return false }
        guard let revived = revived[event.nid] else { return true }
        return try admit(revived, before: before, current: current)
    }

    /// Carries out an event that was rejected before, unless the policy server did not sign it.
    private mutating func admit(_ event: StoredEvent, before: StateRoot, current: StateRoot) throws -> Bool {
        if let policy, RoomPolicy.covers(event.pdu.type, stateKey: event.pdu.stateKey), !policy.recommends(event.pdu) {
            return false
        }
        let prev = try log.nids(event.pdu.prevEvents, room: room.nid)
        let outliers = try log.outliers(among: Array(prev.values))
        result.newBackwardExtremities += event.pdu.prevEvents.filter { prev[$0].map(outliers.contains) ?? true }
        result.closedBackwardExtremities.append(event.id)
        result.state = change
        try RedactionPlanning(reader: writer.reader, connection: connection, room: room)
            .redact(event, before: before, current: current, in: &result, unstored: [event.id: event])
        return true
    }

    private mutating func mergedOnce(_ roots: Set<StateRoot>) throws -> StateRoot {
        if let known = roots.count == 1 ? roots.first : merged[roots] { return known }
        let root = try merge(Array(roots))
        merged[roots] = root
        return root
    }

    // MARK: States

    private var states: StateReader { StateReader(connection, writer.reader.states, pending: change) }

    private mutating func stateBefore(_ pdu: PDU) throws -> StateRoot {
        if let join = joins.first(where: { $0.event.id == pdu.id }) { return join.before }
        if let told = completion.before[pdu.id] { return told }
        let stored = try log.events(ids: pdu.prevEvents.filter { after[$0] == nil })
        var roots: [StateRoot] = []
        for id in pdu.prevEvents {
            if let root = after[id] {
                roots.append(root)
            } else if let event = stored[id], event.roomNID == room.nid, let root = event.stateAfter,
                event.flags.isDisjoint(with: [.partialState, .assumedState])
            {
                roots.append(root)
            } else if let join = joins.last(where: { $0.event.prevEvents == [id] }) {
                // What was before the join was after the one event that it followed.
                roots.append(join.before)
            } else {
                lacking.append(pdu)
                return joins[0].before
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

    /// The flags of the events that were judged anew, by number.
    private var judgedAnew: [Int64: EventFlags] {
        Dictionary(result.events.map { ($0.nid, $0.flags) }, uniquingKeysWith: { first, _ in first })
    }

    /// The newest events of before that were known whole all the time, if there are any, and others of which this is so.
    private func unjudged(and others: [Int64] = []) throws -> [StoredEvent] {
        let judged = Set(result.events.map(\.nid))
        return Array(try log.events(nids: Set(room.extremities + others).subtracting(judged)).values)
    }

    /// The newest events that are not withheld, and the state after them.
    private mutating func head() throws -> RoomAppend.Head {
        let accepted = result.events.filter { $0.place != .none }
        let unjudged = try unjudged()
        let left = leftBehind(accepted, besides: unjudged)
        let following = accepted.filter { !left.contains($0.nid) }
        // Who follows a withheld event follows what that was built on.
        let prev = try log.nids(following.flatMap(\.pdu.prevEvents), room: room.nid).values
        let followed = Set(prev).union(
            try log.behindWithheld(prev, limit: RoomLimits.withheldSteps, judgedAnew: judgedAnew))
        var newest = following.map { (nid: $0.nid, depth: $0.pdu.depth, state: $0.stateAfter) }
        newest += unjudged.map { ($0.nid, $0.pdu.depth, $0.stateAfter) }
        newest = newest.filter { !followed.contains($0.nid) && $0.state != nil }
        // What followed the last join may all be refused.
        if newest.isEmpty, let lastJoin { newest = [(lastJoin.nid, lastJoin.pdu.depth, lastJoin.stateAfter)] }
        newest.sort { ($0.depth, $0.nid) > ($1.depth, $1.nid) }
        newest = Array(newest.prefix(writer.environment.configuration.limits.forwardExtremities))
        // As `HeadMerge` has it: thousands of forks must not cost as many states.
        let state = try merge(newest.prefix(RoomLimits.statesResolved).compactMap(\.state))
        return RoomAppend.Head(
            state: state, extremities: newest.map(\.nid), depth: newest.first?.depth ?? room.depth)
    }

    /// What came before the last join: whoever let us in had gone on from there, save from what stayed beside that join, which
    /// is among the newest, and what builds on that. Several nodes number events in no order, but what a join follows is less
    /// deep.
    private func leftBehind(_ accepted: [EventInsertion], besides unjudged: [StoredEvent]) -> Set<Int64> {
        guard let lastJoin else { return [] }
        var beside = Set(accepted.filter { room.extremities.contains($0.nid) }.map(\.pdu.id) + unjudged.map(\.id))
        var left: Set<Int64> = []
        // Each comes after those that it follows.
        for event in accepted where !beside.contains(event.pdu.id) {
            let position = partial[event.pdu.id]?.position
            let isEarlier =
                position.map { $0 < lastJoin.position ?? 0 }
                ?? (event.nid < lastJoin.nid && event.pdu.depth < lastJoin.pdu.depth)
            if event.pdu.prevEvents.contains(where: beside.contains) {
                beside.insert(event.pdu.id)
            } else if isEarlier {
                left.insert(event.nid)
            }
        }
        return left
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
