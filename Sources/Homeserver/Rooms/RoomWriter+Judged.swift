internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Appending events that were judged: others', and ours that others signed too.
extension RoomWriter {
    func append(_ judged: [JudgedPDU], room: RoomID, lane: RoomLane) async throws -> [StoredEvent] {
        let numbers = try await reader.numbers(
            of: judged.filter { !$0.isOutlier && !$0.verdict.isRejection }.compactMap { StateKey(of: $0.pdu) })
        return try await retrying(lane, room) {
            let nids = try await eventNumbers(judged.count)
            let plan = try await environment.database.read { connection in
                guard let record = try RoomStore(connection).room(room) else {
                    throw MatrixError(.notFound, "The room is not known here")
                }
                var planning = JudgedPlanning(
                    writer: self, connection: connection, room: record, stateKeyNumbers: numbers)
                for (event, nid) in zip(judged, nids) { try planning.add(event, nid: nid) }
                return try planning.finish()
            }
            guard let append = plan.append else { return plan.events }
            let appended = try await environment.database.groupedWrite {
                try EventLog($0, environment.sealer).append(append)
            }
            if append.head != nil { lane.head = nil }
            reader.events.forget(append.redactions.map(\.target) + append.events.filter(\.isKnown).map(\.nid))
            return plan.events.map { event in
                guard let position = appended.positions[event.nid] else { return event }
                return StoredEvent(
                    nid: event.nid, pdu: event.pdu, roomNID: event.roomNID, position: position, flags: event.flags,
                    stateAfter: event.stateAfter, replaces: event.replaces, redactedBy: event.redactedBy)
            }
        }
    }
}

extension Verdict {
    var isRejection: Bool { if case .rejected = self { true } else { false } }
}

/// Works out, within one reading transaction, what appending judged events changes.
struct JudgedPlanning {
    struct Plan: Sendable {
        /// Nil when all was known already.
        var append: RoomAppend?
        var events: [StoredEvent]
    }

    private let writer: RoomWriter
    private let connection: any SQLConnection
    private let log: EventLog
    private let stateKeyNumbers: [StateKey: Int64]
    private let room: RoomRecord
    private var append: RoomAppend
    private var state: StateRoot
    private var extremities: [Int64]
    private var depth: Int64
    private var headMoves = false
    /// By the position at which a gap ends: the place before the gap, and the last place filled.
    private var gapFloors: [Int64: Int64] = [:]
    private var filled: [Int64: Int64] = [:]
    private var events: [StoredEvent] = []
    /// What this plan adds, by id.
    private var added: [EventID: StoredEvent] = [:]
    private var addedByNID: [Int64: StoredEvent] = [:]

    init(
        writer: RoomWriter, connection: any SQLConnection, room: RoomRecord, stateKeyNumbers: [StateKey: Int64]
    ) {
        self.writer = writer
        self.connection = connection
        self.room = room
        self.stateKeyNumbers = stateKeyNumbers
        log = EventLog(connection, writer.environment.sealer)
        state = room.state
        extremities = room.extremities
        depth = room.depth
        append = RoomAppend(
            roomNID: room.nid, roomID: room.id, version: room.version, expectedHeadVersion: room.headVersion,
            head: nil, state: StateChange(room.state), now: writer.environment.clock.now())
    }

    mutating func add(_ judged: JudgedPDU, nid newNID: Int64) throws {
        let pdu = judged.pdu
        guard pdu.roomID == room.id else { throw MatrixError(.notFound, "The event is of another room") }
        // An outlier and history have no part in the current state.
        let isOfTheState = !judged.isOutlier && !judged.isBackfilled
        guard !isOfTheState || judged.knowledge == room.knowledge else { throw RoomKnowledgeChanged() }
        let existing = try added[pdu.id] ?? log.event(pdu.id)
        guard existing.map({ pdu.isCopy(of: $0.pdu) }) ?? true else {
            throw PDUJudgement.Unacceptable(reason: "its id is another event's")
        }
        if let existing, judged.isOutlier || existing.stateAfter != nil || existing.position != nil {
            events.append(existing)
            return
        }
        let nid = existing?.nid ?? newNID
        // A body that was redacted meanwhile stays so.
        let stored = existing?.pdu ?? pdu
        let key = StateKey(of: pdu)
        var flags = existing?.flags.subtracting(.outlier) ?? []
        if judged.isStateAssumed { flags.insert(.assumedState) }
        var place = EventInsertion.Place.live
        switch judged.verdict {
        case .accepted: if judged.isBackfilled, !judged.isOutlier { place = try historyPlace(before: judged.gapEnd) }
        case .softFailed:
            flags.insert(.softFailed)
            place = .none
        case .rejected:
            flags.insert(.rejected)
            place = .none
        }
        if judged.isOutlier {
            flags.insert(.outlier)
            place = .none
        }
        if isOfTheState, room.isPartial {
            flags.insert(.partialState)
            // The head is compared in any case, so that the room is not made whole meanwhile.
            headMoves = true
        }
        if isOfTheState { append.expectedKnowledge = room.knowledge }
        // What is known of a part of the room's state says nothing of its past.
        let stateBefore = judged.isBackfilled && room.isPartial ? nil : judged.stateBefore
        var replaces: Int64?
        var stateAfter = stateBefore
        if let before = stateBefore, let key, !judged.verdict.isRejection {
            replaces = try StateReader(connection, writer.reader.states, pending: append.state)
                .event(at: before, key.type, key.stateKey)
            stateAfter = try apply(key, nid, to: before)
        }
        let event = StoredEvent(
            nid: nid, pdu: stored, roomNID: room.nid, position: nil, flags: flags, stateAfter: stateAfter,
            replaces: replaces, redactedBy: existing?.redactedBy)
        events.append(event)
        added[event.id] = event
        addedByNID[nid] = event
        append.events.append(
            EventInsertion(
                nid: nid, pdu: stored, place: place, flags: flags, stateAfter: stateAfter, replaces: replaces,
                authNIDs: try numbers(of: pdu.authEvents).values.sorted(), origin: judged.origin,
                destinations: judged.destinations, isKnown: existing != nil))
        guard place != .none else { return }
        try link(event, isLive: place == .live)
        try RedactionPlanning(reader: writer.reader, connection: connection, room: room)
            .redact(event, before: judged.stateBefore ?? state, current: state, in: &append, unstored: added)
    }

    func finish() throws -> Plan {
        guard !append.events.isEmpty else { return Plan(append: nil, events: events) }
        var append = append
        if headMoves {
            append.head = RoomAppend.Head(state: state, extremities: extremities, depth: depth)
            try noteMembers(in: &append)
            try tellRemoved(in: &append)
        }
        if append.events.contains(where: { $0.place != .none }) {
            for end in try log.withheldHistoryEnds(room: room.nid) where try !hidesGap(end.nid) {
                append.closedBackwardExtremities.append(end.id)
            }
        }
        return Plan(append: append, events: events)
    }

    /// The next free place before a gap's end, as long as there is one after what comes before the gap.
    private mutating func historyPlace(before end: Int64?) throws -> EventInsertion.Place {
        guard let end, let floor = try gapFloors[end] ?? log.lastPosition(room: room.nid, before: end) else {
            return .backfilled
        }
        gapFloors[end] = floor
        let position = (filled[end] ?? end) - 1
        guard position > floor else { return .backfilled }
        filled[end] = position
        return .filled(position)
    }

    // MARK: Graph and state

    private mutating func apply(_ key: StateKey, _ nid: Int64, to root: StateRoot) throws -> StateRoot {
        guard let number = stateKeyNumbers[key] else { throw CorruptState() }
        var base = append.state
        base.root = root
        append.state = try StateWriter(connection, writer.reader.states).applying([number: nid], to: base)
        return append.state.root
    }

    /// Puts an event among the room's newest, or at the end of its history.
    private mutating func link(_ event: StoredEvent, isLive: Bool) throws {
        let prev = try numbers(of: event.pdu.prevEvents)
        // What is known only as part of a state has its history missing too, and what was withheld may hide that.
        let outliers = try log.outliers(among: prev.values.filter { addedByNID[$0] == nil })
        let withheld = try withheld(among: Set(prev.values))
        for id in event.pdu.prevEvents where !append.newBackwardExtremities.contains(id) {
            if let nid = prev[id], !outliers.contains(nid) {
                guard withheld.contains(nid), try hidesGap(nid) else { continue }
            }
            append.newBackwardExtremities.append(id)
        }
        let isFollowed =
            try append.newBackwardExtremities.contains(event.id) || log.isBackwardExtremity(event.id, room: room.nid)
        append.newBackwardExtremities.removeAll { $0 == event.id }
        append.closedBackwardExtremities.append(event.id)
        if isLive { headMoves = true }
        // Who follows a withheld event follows what that was built on.
        var replaced = Set(prev.values)
        if isLive { replaced.formUnion(try log.behindWithheld(prev.values, limit: RoomLimits.withheldSteps)) }
        let rest = extremities.filter { !replaced.contains($0) && $0 != event.nid }
        // However late it came: something in the timeline follows it already, so it is not among the newest, and what it
        // follows is no longer.
        guard isLive, !isFollowed else {
            guard !rest.isEmpty, rest.count < extremities.count else { return }
            headMoves = true
            extremities = rest
            append.state = try merge.state(
                after: rest, current: state, newest: state, pending: append.state, unstored: addedByNID)
            state = append.state.root
            return
        }
        let limits = writer.environment.configuration.limits
        let isOneTooMany = rest.count == extremities.count && rest.count >= limits.forwardExtremities
        extremities = isOneTooMany ? rest : rest + [event.nid]
        depth = extremities.count == 1 ? event.pdu.depth : max(depth, event.pdu.depth)
        guard let after = event.stateAfter else { return }
        guard extremities.count > 1 else {
            state = after
            return
        }
        append.state = try merge.state(
            after: rest + [event.nid], current: state, newest: after, pending: append.state, unstored: addedByNID)
        state = append.state.root
    }

    private func withheld(among nids: Set<Int64>) throws -> Set<Int64> {
        let added = nids.filter { addedByNID[$0]?.flags.isDisjoint(with: [.rejected, .softFailed]) == false }
        return try log.withheld(among: nids.filter { addedByNID[$0] == nil }).union(added)
    }

    /// Whether an event was withheld and something that it follows, perhaps by way of others withheld, is not here: nothing in
    /// the timeline refers to that, so it would never be fetched.
    private func hidesGap(_ nid: Int64) throws -> Bool {
        var level: Set<Int64> = [nid]
        var seen: Set<Int64> = []
        while seen.count < RoomLimits.withheldSteps {
            let withheld = try withheld(among: level.subtracting(seen))
            guard !withheld.isEmpty else { return false }
            seen.formUnion(withheld)
            let events =
                withheld.compactMap { addedByNID[$0] }
                + Array(try log.events(nids: withheld.filter { addedByNID[$0] == nil }).values)
            let named = Set(events.flatMap(\.pdu.prevEvents))
            let prev = try numbers(of: Array(named))
            let outliers = try log.outliers(among: prev.values.filter { addedByNID[$0] == nil })
            let missing = named.filter { id in prev[id].map(outliers.contains) ?? true }
            if !missing.isEmpty {
                let purged = Set(try log.historyEnds(room: room.nid).lazy.filter(\.isPurged).map(\.id))
                if !missing.isSubset(of: purged) { return true }
            }
            level = Set(prev.values)
        }
        return false
    }

    private var merge: HeadMerge { HeadMerge(reader: writer.reader, connection: connection, room: room) }

    /// The numbers of events of the room, in the log or added here.
    private func numbers(of ids: [EventID]) throws -> [EventID: Int64] {
        var found = try log.nids(ids.filter { added[$0] == nil }, room: room.nid)
        for id in ids { if let event = added[id] { found[id] = event.nid } }
        return found
    }

    /// The memberships that differ between the head that was and the one that will be.
    private func noteMembers(in append: inout RoomAppend) throws {
        var new = append.state
        new.root = state
        append.members += try merge.members(in: new, unstored: addedByNID)
        append.concerned += append.members.map(\.user).filter(writer.environment.isLocal)
    }

    /// Sends the servers of those whom events take out of the room what did so, where its sender did not know them for joined:
    /// it told those that were in the room in the state before it, and nobody sends the others anything else, so that they would
    /// take themselves for joined. Where no event names them, any state event that came may have done it.
    private func tellRemoved(in append: inout RoomAppend) throws {
        let store = RoomStore(connection)
        let live = append.events.indices.filter {
            append.events[$0].place == .live && append.events[$0].pdu.isState
        }
        for change in append.members where !writer.environment.isLocal(change.user) {
            guard change.event.flatMap({ try? RoomMember($0.pdu).membership }) != .join,
                let known = try store.membership(of: change.user, in: room.nid), known.membership == .join
            else { continue }
            let naming = live.first { append.events[$0].nid == change.event?.nid }
            if let naming, append.events[naming].replaces == known.eventNID { continue }
            let server = change.user.serverName
            for index in naming.map({ [$0] }) ?? live
            where append.events[index].pdu.sender.serverName != server
                && !append.events[index].destinations.contains(server)
            {
                append.events[index].destinations.append(server)
            }
        }
    }
}
