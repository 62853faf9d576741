public import MatrixModel
internal import SQLDatabase

/// What the graph of a room is made of, without its events' bodies.
extension EventLog {
    /// Those of a room's newest events that its next event follows, at most `limit`: where there are more, one half of them
    /// the deepest, which most others follow too, and the other half the oldest, so that every one gets its turn.
    /// - Throws: `DatabaseError`.
    public func prevEvents(among extremities: [Int64], limit: Int) throws -> [StoredEvent] {
        guard extremities.count > limit else { return Array(try events(nids: extremities).values) }
        var depths: [(nid: Int64, depth: Int64)] = []
        for chunk in extremities.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT event_nid, depth FROM events WHERE event_nid IN \(list: chunk)")
            {
                depths.append((try row.integer(0), try row.integer(1)))
            }
        }
        depths.sort { ($0.depth, $0.nid) > ($1.depth, $1.nid) }
        let deepest = depths.prefix(limit - limit / 2).map(\.nid)
        let oldest = Set(depths.map(\.nid)).subtracting(deepest).sorted().prefix(limit / 2)
        return Array(try events(nids: deepest + oldest).values)
    }

    /// The events that lie behind withheld ones (rejected, or soft-failed): what these follow, through others withheld, as
    /// far as `limit` of them go. Who follows a withheld event follows what it was built on too.
    /// - Parameters:
    ///   - nids: events of which some may be withheld.
    ///   - judgedAnew: the flags that events will have, by number, where they differ from those in the log.
    /// - Throws: `DatabaseError`.
    public func behindWithheld(
        _ nids: some Collection<Int64>, limit: Int, judgedAnew: [Int64: EventFlags] = [:]
    ) throws -> Set<Int64> {
        var behind: Set<Int64> = []
        var seen: Set<Int64> = []
        var level = Set(nids)
        while !level.isEmpty, seen.count < limit {
            let unseen = level.subtracting(seen)
            let withheld = try self.withheld(among: unseen.filter { judgedAnew[$0] == nil })
                .union(unseen.filter { judgedAnew[$0]?.isDisjoint(with: [.rejected, .softFailed]) == false })
            guard !withheld.isEmpty else { break }
            seen.formUnion(withheld)
            let events = try events(nids: withheld).values
            guard let room = events.first?.roomNID else { break }
            let prev = try self.nids(events.flatMap(\.pdu.prevEvents), room: room)
            behind.formUnion(prev.values)
            level = Set(prev.values)
        }
        return behind
    }

    /// Those of some events that were rejected or soft-failed.
    /// - Throws: `DatabaseError`.
    public func withheld(among nids: Set<Int64>) throws -> Set<Int64> {
        let flags = EventFlags.rejected.rawValue | EventFlags.softFailed.rawValue
        var found: Set<Int64> = []
        for chunk in Array(nids).chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                "SELECT event_nid FROM events WHERE event_nid IN \(list: chunk) AND (flags & \(flags)) <> 0")
            {
                found.insert(try row.integer(0))
            }
        }
        return found
    }

    /// Withheld events behind which history was missing when something that is shown came to follow them.
    /// - Throws: `DatabaseError`.
    public func withheldHistoryEnds(room: Int64) throws -> [StoredEvent] {
        let flags = EventFlags.rejected.rawValue | EventFlags.softFailed.rawValue
        let nids = try connection.query(
            """
            SELECT e.event_nid FROM backward_extremities b JOIN events e ON e.event_id = b.event_id
            WHERE b.room_nid = \(room) AND b.purged = 0 AND (e.flags & \(flags)) <> 0
            """
        ).map { try $0.integer(0) }
        return nids.isEmpty ? [] : Array(try events(nids: nids).values)
    }

    /// What is to be asked for where a room's history ends: the events that are not here; and where one is here but withheld,
    /// what it follows in its place, for whoever rejected it too tells nothing of it.
    /// - Parameters:
    ///   - ends: backward extremities.
    ///   - limit: withheld events that are looked through.
    /// - Throws: `DatabaseError`.
    public func missing(at ends: [EventID], limit: Int) throws -> [EventID] {
        var missing: [EventID] = []
        var seen: Set<EventID> = []
        var passed = 0
        var open = ends
        while !open.isEmpty {
            let level = open.filter { seen.insert($0).inserted }
            open = []
            let events = try self.events(ids: level)
            for id in level {
                guard let event = events[id], event.position == nil, !event.flags.contains(.outlier) else {
                    if events[id]?.position == nil { missing.append(id) }
                    continue
                }
                passed += 1
                if passed <= limit { open += event.pdu.prevEvents }
            }
        }
        return missing
    }
}
