internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// State events of before a join that could not be had then, because nobody told the keys of their servers: a server that was
/// away just then would else be out of the room here for good.
extension StateCompletion {
    /// How long the servers may take, all together.
    private static let timePerTry = Duration.seconds(120)

    /// Asks for what was left out once more. What is had now is taken into the state since the join, and what followed it is
    /// judged again.
    /// - Throws: `Unjudgeable` when nothing was had.
    func amend(_ partial: PartialRoom) async throws {
        let reader = judgement.reader
        guard let record = try await reader.record(partial.roomID), !record.isPartial else { return }
        guard environment.clock.now() < partial.leftOutUntil else { return try await giveUp(partial, "a day is over") }
        let servers = try await servers(for: partial)
        let missing = judgement.missing.within(Self.timePerTry)
        let leftOut = Set(partial.leftOut.flatMap(\.events))
        for server in servers {
            let known = try await environment.database.read {
                try reader.log($0).nids(Array(leftOut), room: partial.roomNID)
            }
            let lacking = leftOut.subtracting(known.keys).sorted()
            guard !lacking.isEmpty else { break }
            // Each time others come first, so that the many of a server that is away do not hide the few of another.
            let first = partial.failures * MissingEvents.stateEventsOneByOne % lacking.count
            for part in Array(lacking[first...] + lacking[..<first]).chunked(into: MissingEvents.stateEventsOneByOne) {
                try await fetch(part, in: record, by: missing, from: server)
                // A server whose members are thousands may still be away: then these cost no more than a few.
                guard try await !judgement.stored(part).isEmpty else { break }
            }
        }
        let known = try await judgement.stored(Array(leftOut))
        let had = known.filter { !$0.value.flags.contains(.rejected) && $0.value.roomNID == record.nid }
        guard !had.isEmpty else {
            if known.count == leftOut.count { return try await giveUp(partial, "it is not good") }
            throw PDUJudgement.Unjudgeable(reason: "what was left out cannot be had yet")
        }
        var joins: [RoomCompletion.Join] = []
        var gone: Set<Int64> = []
        var told: [EventID: StateRoot] = [:]
        for join in partial.leftOut {
            guard let event = try await environment.database.read({ try reader.log($0).event(nid: join.nid) }),
                let before = try await state(before: event, in: record)
            else {
                gone.insert(join.nid)
                continue
            }
            let found = join.events.compactMap { had[$0] }
            if found.isEmpty {
                told[event.id] = before
            } else {
                joins.append(
                    RoomCompletion.Join(nid: join.nid, before: try await adding(found, to: before, in: record)))
            }
        }
        var completion = RoomCompletion(joinNID: partial.joinNID, joins: joins, before: told, isAmendment: true)
        while let first = completion.joins.first {
            completion.leftOut = partial.lacking(known, without: gone)
            do {
                return try await judgement.writer.complete(completion, of: partial.roomID)
            } catch let lacks as LacksStates {
                // What was told of these stays as it was.
                let stored = try await judgement.stored(lacks.events.map(\.id))
                for id in lacks.events.map(\.id) {
                    let event = stored[id]
                    let last = completion.joins.last { $0.nid <= event?.nid ?? 0 } ?? first
                    completion.before[id] = last.before
                    if let event, let root = try await state(before: event, in: record) {
                        completion.before[id] = root
                    }
                }
            } catch is TooManyToAmend {
                gone.insert(first.nid)
                completion.joins.removeFirst()
            }
        }
        try await giveUp(
            partial, joins.isEmpty ? "the join is gone" : "too much has followed the join",
            but: partial.lacking(known, without: gone))
    }

    /// A state with events that it lacks.
    private func adding(_ events: [StoredEvent], to told: StateRoot, in room: RoomRecord) async throws -> StateRoot {
        let reader = judgement.reader
        var changes: [StateKey: Int64?] = [:]
        for event in events { if let key = StateKey(of: event.pdu) { changes[key] = event.nid } }
        let there = try await reader.state(at: told, keys: Array(changes.keys))
        return try await reader.storeState(changes.filter { there[$0.key] == nil }, on: told, room: room)
    }

    /// - Parameter rest: what is still asked for.
    private func giveUp(_ partial: PartialRoom, _ reason: String, but rest: LeftOutState? = nil) async throws {
        environment.logger.notice(
            "state that a room had when it was joined stays unknown",
            metadata: [
                "room": "\(partial.roomID)", "cause": "\(reason)",
                "still_asked_for": "\(rest?.joins.reduce(0) { $0 + $1.events.count } ?? 0)",
            ])
        try await environment.database.write {
            try PartialRoomStore($0).setLeftOut(rest, of: partial.roomNID, join: partial.joinNID)
        }
    }

    private func fetch(
        _ ids: [EventID], in room: RoomRecord, by missing: MissingEvents, from server: ServerName
    ) async throws {
        for event in await missing.events(ids, room: room.id, version: room.version, from: server) {
            var events = [event]
            // The chain of one often has what the next needs.
            if try await judgement.stored(event.authEvents).count < Set(event.authEvents).count {
                events += await missing.authChain(of: event.pdu, from: server)
            }
            try await judgement.keep(events, in: room)
        }
    }

    /// The state before an event that is in the log: that after it, without it. Nil where it is not known.
    private func state(before event: StoredEvent, in room: RoomRecord) async throws -> StateRoot? {
        guard let root = event.stateAfter else { return nil }
        let reader = judgement.reader
        guard let key = StateKey(of: event.pdu), try await reader.state(at: root, keys: [key])[key]?.nid == event.nid
        else { return root }
        return try await reader.storeState([key: event.replaces], on: root, room: room)
    }
}

extension PartialRoom {
    /// What is still asked for, when some of it is known and some joins are given up.
    fileprivate func lacking(_ known: [EventID: StoredEvent], without gone: Set<Int64>) -> LeftOutState? {
        let joins = leftOut.map { join in
            LackingJoin(nid: join.nid, events: gone.contains(join.nid) ? [] : join.events.filter { known[$0] == nil })
        }
        return LeftOutState(joins: joins, resident: resident, until: leftOutUntil)
    }
}
