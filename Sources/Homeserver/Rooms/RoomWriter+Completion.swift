internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The whole state before the events that were judged by a part of it, as far as the log does not tell it. All are stored.
struct RoomCompletion: Sendable {
    /// The number of the join by which this server came in; a room that was left and joined again is not completed by this.
    var joinNID: Int64
    /// Before the join by which this server came in.
    var beforeJoin: StateRoot
    /// Before others.
    var before: [EventID: StateRoot] = [:]
    /// State events of before the join that could not be had.
    var leftOut: [EventID]
    /// Whether the room was whole but for what was left out: then what followed the join is judged again.
    var isAmendment = false

    /// What is still to be done for the room, if this is about it.
    fileprivate func room(_ nid: Int64, _ connection: any SQLConnection) throws -> PartialRoom? {
        let rooms = PartialRoomStore(connection)
        let found = isAmendment ? try rooms.roomWithLeftOut(nid) : try rooms.room(nid)
        return found?.joinNID == joinNID ? found : nil
    }

    /// The events to be judged again.
    /// - Throws: `TooManyToAmend`.
    fileprivate func events(_ log: EventLog, _ room: Int64) throws -> [StoredEvent] {
        guard isAmendment else { return try log.partialEvents(room: room) }
        let since = try log.events(since: joinNID, room: room, limit: RoomLimits.eventsAmended + 1)
        guard since.count <= RoomLimits.eventsAmended else { throw TooManyToAmend() }
        // Only what builds on the join has its state by it.
        var following: [EventID: StoredEvent] = [:]
        let byID = Dictionary(since.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        for pdu in RoomImport.ordered(byID.mapValues(\.pdu), by: \.prevEvents) {
            guard let event = byID[pdu.id] else { continue }
            if event.nid == joinNID || pdu.prevEvents.contains(where: { following[$0] != nil }) {
                following[pdu.id] = event
            }
        }
        return Array(following.values)
    }
}

/// More followed a join than is judged again.
struct TooManyToAmend: Error {}

/// The state before these events cannot be told from the log.
struct LacksStates: Error, Sendable {
    var events: [PDU]
}

/// Making a room whole that was joined without its members.
extension RoomWriter {
    /// Judges again what was judged by a part of the room's state, and makes the whole state the current one. A room that is
    /// whole already stays as it is.
    /// - Throws: `LacksStates`; `DatabaseError`, `CorruptState`, `ResolutionFailure`; `MatrixError` when the room changes all
    ///   the time.
    func complete(_ completion: RoomCompletion, room: RoomID, lane: RoomLane) async throws {
        try await retrying(lane, room) { () async throws -> Void in
            let keys: [StateKey] = try await environment.database.read { connection in
                guard let record = try RoomStore(connection).room(room) else { return [] }
                return try completion.events(EventLog(connection, environment.sealer), record.nid)
                    .compactMap { StateKey(of: $0.pdu) }
            }
            let numbers = try await reader.numbers(of: keys)
            let append: RoomAppend? = try await environment.database.read { connection in
                guard let record = try RoomStore(connection).room(room),
                    let partial = try completion.room(record.nid, connection)
                else { return nil }
                var planning = try CompletionPlanning(
                    completion, of: record, partial, stateKeyNumbers: numbers, writer: self, connection: connection)
                return try planning.append()
            }
            guard let append else { return }
            _ = try await environment.database.groupedWrite {
                try EventLog($0, environment.sealer).append(append)
            }
            lane.head = nil
            reader.events.forget(append.events.map(\.nid))
        }
    }
}

/// Works out, within one reading transaction, what a room's whole state changes.
struct CompletionPlanning {
    private let completion: RoomCompletion
    private let room: RoomRecord
    private let join: PDU
    private let create: PDU
    private let stateKeyNumbers: [StateKey: Int64]
    private let writer: RoomWriter
    private let connection: any SQLConnection
    private let log: EventLog
    /// The events that were judged by a part of the state, by id.
    private let partial: [EventID: StoredEvent]
    private var change: StateChange
    /// The whole state after events.
    private var after: [EventID: StateRoot] = [:]
    /// Events of which it turned out otherwise whether they are rejected, by number.
    private var overturned: [Int64: StoredEvent] = [:]
    private var lacking: [PDU] = []
    private var result: RoomAppend

    init(
        _ completion: RoomCompletion, of room: RoomRecord, _ partial: PartialRoom, stateKeyNumbers: [StateKey: Int64],
        writer: RoomWriter, connection: any SQLConnection
    ) throws {
        self.completion = completion
        self.stateKeyNumbers = stateKeyNumbers
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
        try setHead()
        try setMembers()
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
        if flags.contains(.rejected) != stored.flags.contains(.rejected) {
            overturned[stored.nid] = StoredEvent(
                nid: stored.nid, pdu: pdu, roomNID: stored.roomNID, position: stored.position, flags: flags,
                stateAfter: root, replaces: replaces)
        }
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

    private mutating func setHead() throws {
        let accepted = result.events.filter { $0.place != .none }
        let followed = Set(accepted.flatMap(\.pdu.prevEvents))
        let known = Set(partial.values.map(\.nid))
        var newest = accepted.filter { !followed.contains($0.pdu.id) }.map { (nid: $0.nid, depth: $0.pdu.depth) }
        var roots = accepted.filter { !followed.contains($0.pdu.id) }.compactMap(\.stateAfter)
        // Those that were known whole all the time, if there are any.
        for event in try log.events(nids: room.extremities.filter { !known.contains($0) }).values
        where !followed.contains(event.id) {
            guard let root = event.stateAfter else { continue }
            newest.append((event.nid, event.pdu.depth))
            roots.append(root)
        }
        result.head = RoomAppend.Head(
            state: try merge(roots), extremities: newest.map(\.nid), depth: newest.map(\.depth).max() ?? room.depth)
    }

    /// The memberships that are not yet, or otherwise, in the room's list of members.
    private mutating func setMembers() throws {
        guard let root = result.head?.state else { throw CorruptState() }
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
