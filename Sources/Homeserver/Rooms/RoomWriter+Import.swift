public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// A user of ours is in a room already: what another server tells of its state does not replace what is known.
struct RoomIsHere: Error, Sendable {}

/// Taking in a room from a server that is in it.
extension RoomWriter {
    /// Writes a room this server joins: the state before the join and its auth chain as outliers, the join as its newest
    /// event. A room that was here before goes on from there; what was newest of it and the join does not follow stays so
    /// beside the join, so that the next event names it, and others learn what they never got.
    /// - Parameters:
    ///   - room: the room; the version, that of its create event.
    ///   - join: the join of one of our users, signed by all who must.
    ///   - state: the room's state before the join; each key once, all allowed and their signatures checked.
    ///   - authChain: the auth events of all these; may overlap.
    ///   - partial: where the state lacks the room's members: who told it, and the servers in the room.
    ///   - leftOut: events of the state that could not be had, and who told them.
    ///   - followed: of the newest events of before those that the join follows, or whoever answered it has.
    /// - Throws: `RoomIsHere` where a user of ours is joined; `DatabaseError`, `CorruptState`; `MatrixError` when the
    ///   room changes all the time.
    @discardableResult
    public func importRoom(
        _ room: RoomID, version: RoomVersion, join: PDU, state: [PDU], authChain: [PDU],
        partial: (resident: ServerName, servers: [ServerName])? = nil,
        leftOut: (resident: ServerName, events: [EventID])? = nil, following followed: Set<EventID> = []
    ) async throws -> RoomRecord {
        let lane = lanes.lane(of: room)
        var outliers: [EventID: PDU] = [:]
        for event in authChain + state where event.id != join.id { outliers[event.id] = event }
        let events = Array(outliers.values)
        var merges = false
        if partial == nil, try await hasLooseEnds(room, join, followed) {
            // States are merged by events that are in the log.
            try await append(
                RoomImport.inAuthOrder(outliers).map {
                    JudgedPDU(pdu: $0, verdict: .accepted, stateBefore: nil, isOutlier: true)
                }, to: room)
            merges = true
        }
        let keyNumbers = try await reader.numbers(
            of: state.compactMap { StateKey(of: $0) } + [StateKey(.member, join.stateKey ?? "")])
        let roomNumber = try await environment.database.groupedWrite {
            try NumberBlocks($0).take(.room, count: 1).lowerBound
        }
        let sealer = environment.sealer
        let record = try await retrying(lane, room) { [merges] () async throws -> RoomRecord in
            let nids = try await eventNumbers(events.count + 1)
            let (append, record) = try await environment.database.read { connection in
                var (append, record) = try importPlan(
                    join: join, state: state, isPartial: partial != nil, events: events, nids: nids,
                    keyNumbers: keyNumbers, newRoom: (roomNumber, version), in: connection)
                if merges { try keepLooseEnds(join, followed, in: &append, &record, connection) }
                if let partial, let index = append.events.indices.last {
                    append.events[index].flags.insert(.partialState)
                    append.completeness = .partial(
                        PartialJoin(
                            nid: append.events[index].nid, resident: partial.resident, servers: partial.servers))
                    record.knowledge.isPartial = true
                } else {
                    append.completeness = .whole(try lacking(append, leftOut, connection))
                }
                return (append, record)
            }
            let appended = try await environment.database.groupedWrite { connection in
                try EventLog(connection, sealer).append(append)
            }
            var result = record
            result.lastPosition = appended.last ?? record.lastPosition
            return result
        }
        lane.head = nil
        return record
    }

    /// What a join lacks, and earlier ones, for what was rejected without that is still to be judged again.
    private func lacking(
        _ append: RoomAppend, _ leftOut: (resident: ServerName, events: [EventID])?, _ connection: any SQLConnection
    ) throws -> LeftOutState? {
        guard let join = append.events.last, let leftOut else { return nil }
        let earlier = try PartialRoomStore(connection).leftOut(of: append.roomNID, now: append.now)
        return LeftOutState(
            joins: (earlier?.leftOut ?? []) + [LackingJoin(nid: join.nid, events: leftOut.events)],
            resident: leftOut.resident.text,
            until: leftOut.events.isEmpty ? earlier?.leftOutUntil ?? 0 : append.now + RoomLimits.leftOutTime)
    }

    private func importPlan(
        join: PDU, state: [PDU], isPartial: Bool, events: [PDU], nids: [Int64], keyNumbers: [StateKey: Int64],
        newRoom: (nid: Int64, version: RoomVersion), in connection: any SQLConnection
    ) throws -> (RoomAppend, RoomRecord) {
        let log = EventLog(connection, environment.sealer)
        let rooms = RoomStore(connection)
        let existing = try rooms.room(join.roomID)
        if let existing, try !rooms.joinedMembers(room: existing.nid, of: environment.serverName).isEmpty {
            throw RoomIsHere()
        }
        let roomNID = existing?.nid ?? newRoom.nid
        var numbers = try log.nids(events.map(\.id) + [join.id] + join.prevEvents, room: roomNID)
        let known = Set(numbers.keys)
        for (event, nid) in zip(events + [join], nids) where numbers[event.id] == nil { numbers[event.id] = nid }
        guard let joinNID = numbers[join.id] else { throw CorruptState() }

        var changes: [Int64: Int64?] = [:]
        for event in state {
            guard let key = StateKey(of: event), let number = keyNumbers[key], let nid = numbers[event.id] else {
                continue
            }
            changes[number] = nid
        }
        let writer = StateWriter(connection, reader.states)
        let before = try writer.applying(changes, to: StateChange(.empty))
        let joinKey = StateKey(.member, join.stateKey ?? "")
        guard let joinNumber = keyNumbers[joinKey] else { throw CorruptState() }
        let after = try writer.applying([joinNumber: joinNID], to: before)

        var append = RoomAppend(
            roomNID: roomNID, roomID: join.roomID, version: existing?.version ?? newRoom.version,
            expectedHeadVersion: existing?.headVersion,
            head: RoomAppend.Head(state: after.root, extremities: [joinNID], depth: join.depth), state: after,
            now: environment.clock.now())
        for event in events where !known.contains(event.id) {
            guard let nid = numbers[event.id] else { continue }
            append.events.append(
                EventInsertion(
                    nid: nid, pdu: event, place: .none, flags: .outlier, stateAfter: nil,
                    authNIDs: event.authEvents.compactMap { numbers[$0] }))
        }
        append.events.append(
            EventInsertion(
                nid: joinNID, pdu: join, place: .live, stateAfter: after.root,
                replaces: changes[joinNumber] ?? nil, authNIDs: join.authEvents.compactMap { numbers[$0] },
                isKnown: known.contains(join.id)))
        append.replacesAllMembers = true
        // Who is out stays so, and is not told once more. Where the members follow later, so do those who are out.
        let former = try rooms.formerMembers(
            room: roomNID, of: environment.serverName, limit: RoomLimits.formerMembers)
        var kept = isPartial ? former : [:]
        for event in state.filter({ $0.type == .member && StateKey(of: $0) != joinKey }) + [join] {
            guard let user = event.stateKey.flatMap({ try? UserID($0) }), let nid = numbers[event.id] else { continue }
            kept[user] = former[user] == nid ? nid : nil
            guard kept[user] == nil else { continue }
            append.members.append(MemberChange(user: user, event: (nid, event)))
            if environment.isLocal(user) { append.concerned.append(user) }
        }
        append.keptMembers = Array(kept.keys)
        // What is known only as part of a state has its history missing too.
        let outliers = try log.outliers(among: join.prevEvents.compactMap { numbers[$0] })
        append.newBackwardExtremities = join.prevEvents.filter { id in
            !known.contains(id) || numbers[id].map(outliers.contains) ?? true
        }
        append.closedBackwardExtremities = [join.id]
        let record = RoomRecord(
            nid: roomNID, id: join.roomID, version: append.version, headVersion: (existing?.headVersion ?? 0) + 1,
            state: after.root, extremities: [joinNID], depth: join.depth,
            knowledge: RoomKnowledge(changes: existing.map { $0.knowledge.changes + 1 } ?? 0))
        return (append, record)
    }
}
