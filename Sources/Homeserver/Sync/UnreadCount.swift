internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Brings the counts of one user and room up to date: walks the timeline from where they end, oldest first.
struct UnreadCount {
    let rooms: RoomReader
    let evaluation: PushEvaluation
    let connection: any SQLConnection
    let room: SyncRoom
    let asking: UnreadCounts.Asking
    let rules: PushRuleset
    /// The place up to which the user has read all of the room, by receipts.
    let whole: Int64?
    /// The same for what is in no thread.
    let main: Int64?
    /// The same for threads that were asked for.
    private var threadPlaces: [String: Int64] = [:]
    /// The first events that are to be looked at, if they were read already.
    private let ahead: UnreadCounts.Arrivals?

    init(
        rooms: RoomReader, evaluation: PushEvaluation, connection: any SQLConnection, room: SyncRoom,
        asking: UnreadCounts.Asking, rules: PushRuleset, whole: Int64?, main: Int64?,
        ahead: UnreadCounts.Arrivals? = nil
    ) {
        self.rooms = rooms
        self.evaluation = evaluation
        self.connection = connection
        self.room = room
        self.asking = asking
        self.rules = rules
        self.whole = whole
        self.main = main
        self.ahead = ahead
    }

    /// The record of a room that was never counted: it begins where the user joined, or has read to.
    func fresh() throws -> UnreadRecord {
        UnreadRecord(from: max(try joined(), whole ?? Int64.min), rules: asking.rules)
    }

    /// Counts what came since, until the budget is spent.
    /// - Throws: `DatabaseError`, `CorruptState`.
    mutating func bringUpToDate(_ record: inout UnreadRecord, _ budget: inout UnreadBudget) throws {
        if record.rules != asking.rules { record.recount(rules: asking.rules) }
        if let whole { record.counted = max(record.counted, whole) }
        try learnPlaces(of: record.threads.keys)
        for name in record.threads.keys { record.threads[name]?.reach(place(name)) }
        while record.complete < room.lastPosition, !budget.isSpent { try step(&record, &budget) }
    }

    // MARK: What was read

    /// The place up to which receipts say that a thread is read.
    private func place(_ thread: String) -> Int64 {
        let own = thread == UnreadRecord.main ? main : threadPlaces[thread]
        return max(whole ?? Int64.min, own ?? Int64.min)
    }

    private mutating func learnPlaces(of names: some Sequence<String>) throws {
        let unknown = names.filter { $0 != UnreadRecord.main && threadPlaces[$0] == nil }
        guard !unknown.isEmpty else { return }
        let found = try ReceiptStore(connection).places(of: asking.user, rooms: [room.nid], threads: unknown)[room.nid]
        for name in unknown { threadPlaces[name] = found?[name] ?? Int64.min }
    }

    /// Where the user joined; changes of the profile since then are passed over.
    private func joined() throws -> Int64 {
        let log = rooms.log(connection)
        var place: Int64?
        try MembershipHistory(rooms: rooms, connection: connection, user: asking.user).walk(from: room.memberNID) {
            event, membership in
            guard membership == .join else { return false }
            place = try event.position ?? log.position(of: event.id) ?? place
            return true
        }
        return place ?? room.memberPosition
    }

    // MARK: Walking

    /// An event with the thread it is in.
    private struct Candidate {
        var arrival: EventLog.Arrival
        var thread: String
    }

    private mutating func step(_ record: inout UnreadRecord, _ budget: inout UnreadBudget) throws {
        let log = rooms.log(connection)
        let start = record.complete
        var limit = min(SyncLimits.unreadRowsPerStep, budget.rows)
        let arrivals: [EventLog.Arrival]
        if let ahead, ahead.after == start {
            limit = min(limit, SyncLimits.unreadRowsAhead)
            arrivals = Array(ahead.list.prefix(limit))
        } else {
            arrivals = try log.arrivals(room: room.nid, after: start, upTo: room.lastPosition, limit: limit)
        }
        budget.rows -= max(1, arrivals.count)
        var end = room.lastPosition
        if arrivals.count == limit, let last = arrivals.last { end = last.position }

        let threads = try ThreadFinding.threads(
            of: Dictionary(arrivals.compactMap { arrival in arrival.relation.map { (arrival.nid, $0) } }) { $1 }, log)
        try noteOwn(arrivals, threads, &record, log)
        var candidates: [Candidate] = []
        for arrival in arrivals where arrival.sender != asking.user.text && !asking.ignored.contains(arrival.sender) {
            candidates.append(Candidate(arrival: arrival, thread: threads[arrival.nid] ?? UnreadRecord.main))
        }
        try learnPlaces(of: Set(candidates.map(\.thread)))
        candidates.removeAll { candidate in
            let counted = record.threads[candidate.thread]
            let from = counted.map { max($0.counted, $0.read) } ?? max(record.counted, place(candidate.thread))
            return candidate.arrival.position <= from
        }
        if candidates.count > budget.events {
            candidates = Array(candidates.prefix(budget.events))
            if let last = candidates.last { end = last.arrival.position }
        }
        budget.events -= candidates.count
        try count(candidates, &record, log)
        let redacted = try redacted(by: arrivals.filter { $0.position <= end }, before: start, record, log)
        record.reach(end)
        for name in redacted { record.recount(name) }
    }

    /// To send is to have read: the thread up to the event, and the whole room where the user came in.
    private func noteOwn(
        _ arrivals: [EventLog.Arrival], _ threads: [Int64: String], _ record: inout UnreadRecord, _ log: EventLog
    ) throws {
        for arrival in arrivals where arrival.sender == asking.user.text {
            switch try ownEvent(arrival, log) {
            case .message: record.threads[threads[arrival.nid] ?? UnreadRecord.main]?.reach(arrival.position)
            case .entrance:
                for name in record.threads.keys { record.threads[name]?.reach(arrival.position) }
                record.counted = max(record.counted, arrival.position)
            case .profile: break
            }
        }
    }

    /// What the user's own events are to what was read.
    private enum OwnEvent {
        /// Anything sent into the room.
        case message
        /// The user came in, or went.
        case entrance
        /// The user has another name now; that is sent to all rooms at once and says nothing of having read them.
        case profile
    }

    private func ownEvent(_ arrival: EventLog.Arrival, _ log: EventLog) throws -> OwnEvent {
        guard arrival.type == EventType.member.text,
            let event = try rooms.events.events([arrival.nid], from: log)[arrival.nid],
            event.pdu.stateKey == asking.user.text
        else { return .message }
        let before = try event.replaces.flatMap { try rooms.events.events([$0], from: log)[$0] }
        let was = before.flatMap { try? RoomMember($0.pdu).membership }
        return was == .join && (try? RoomMember(event.pdu).membership) == .join ? .profile : .entrance
    }

    /// The threads in which something was counted that is redacted now.
    private func redacted(
        by arrivals: [EventLog.Arrival], before start: Int64, _ record: UnreadRecord, _ log: EventLog
    ) throws -> [String] {
        let redactions = arrivals.filter { $0.type == EventType.redaction.text && $0.position > record.counted }
        guard !redactions.isEmpty, record.threads.contains(where: { $0.value.last != nil }) else { return [] }
        let events = try rooms.events.events(redactions.map(\.nid), from: log)
        let targets = try events.values.compactMap(\.pdu.redacts).compactMap { try log.position(of: $0) }
        return record.threads.filter { entry in
            targets.contains { $0 <= start && $0 > entry.value.read && $0 <= entry.value.last ?? Int64.min }
        }.map(\.key)
    }

    // MARK: Judging

    private func count(_ candidates: [Candidate], _ record: inout UnreadRecord, _ log: EventLog) throws {
        guard !candidates.isEmpty else { return }
        let events = try rooms.events.events(candidates.map(\.arrival.nid), from: log)
        let roots = Set(candidates.map(\.thread)).subtracting([UnreadRecord.main])
        let followed = try ThreadSubscriptionStore(connection).followed(by: asking.user, room: room.nid, of: roots)
        for candidate in candidates {
            guard let event = events[candidate.arrival.nid], event.redactedBy == nil,
                let outcome = try evaluation.outcome(
                    of: event.pdu, in: room, for: asking.user, by: rules,
                    followsThread: roots.contains(candidate.thread) ? followed.contains(candidate.thread) : nil,
                    connection), outcome.notifies
            else { continue }
            var name = candidate.thread
            if record.threads[name] == nil {
                // Beyond so many unread threads the others count with the room.
                if record.threads.count < SyncLimits.unreadThreads {
                    let read = max(record.counted, place(name))
                    record.threads[name] = .init(read: read, counted: read)
                } else {
                    name = UnreadRecord.main
                }
            }
            record.threads[name]?.notifications += 1
            if outcome.highlights { record.threads[name]?.highlights += 1 }
            let last = record.threads[name]?.last ?? candidate.arrival.position
            record.threads[name]?.last = max(last, candidate.arrival.position)
        }
    }
}
