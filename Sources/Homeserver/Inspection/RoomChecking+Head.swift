internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What the room's row and tables say of it as a whole.
extension RoomChecking {
    mutating func compareHead() throws {
        // The head of a room whose members are not known yet is for the time being.
        guard !room.isPartial else { return }
        compareExtremities()
        do {
            if let state = try currentState() {
                if state.root != room.state {
                    ownStates.merge(state)
                    report.add(.currentState, nil, try difference(of: state.root, and: room.state))
                }
                try compareMembers(state)
            }
        } catch is CorruptState {
            report.add(.stateUnreadable, nil, "the room's current state: nodes are missing or damaged")
        } catch let failure as ResolutionFailure {
            report.add(.stateUnreadable, nil, "the room's current state cannot be resolved: \(failure)")
        }
        try compareBackwardExtremities()
    }

    /// The newest: live events that none of the others refers to. What is only behind withheld events that others refer to may
    /// be among them or not, as these came late or in time; and so may what came before this server was let in again.
    private func newest() -> Set<Int64> {
        var found: Set<Int64> = []
        var before: Set<Int64> = []
        for node in nodes.values where node.position ?? 0 > 0 {
            found.insert(node.nid)
            before.formUnion(node.prev)
        }
        found.subtract(before)
        let stored = Set(room.extremities)
        let late = behindWithheld(before)
        // What came before that may have got its place only later.
        let lastJoin = lastJoin
        found = found.filter { nid in
            stored.contains(nid)
                || !late.contains(nid) && nid >= lastJoin.nid && nodes[nid]?.position ?? 0 >= lastJoin.position
        }
        guard let purged else { return found }
        // What followed these may have been taken out.
        return found.filter { stored.contains($0) || nodes[$0]?.depth ?? 0 > purged.depth }
    }

    /// The number and the place of the last join of ours before which nobody of this server was in the room; 0 where there is
    /// none.
    private var lastJoin: (nid: Int64, position: Int64) {
        let memberships = nodes.values.compactMap { node in
            node.ownMember.flatMap { member in node.position.map { (node.nid, position: $0, member: member) } }
        }
        var joined: Set<String> = []
        var last: (nid: Int64, position: Int64) = (0, 0)
        for (nid, position, member) in memberships.sorted(by: { $0.position < $1.position }) where position > 0 {
            if member.isJoined, joined.isEmpty { last = (nid, position) }
            if member.isJoined { joined.insert(member.user) } else { joined.remove(member.user) }
        }
        return last
    }

    private func behindWithheld(_ nids: Set<Int64>) -> Set<Int64> {
        var behind: Set<Int64> = []
        var level = nids
        while !level.isEmpty {
            let withheld = level.compactMap { nodes[$0] }.filter {
                !$0.flags.isDisjoint(with: [.rejected, .softFailed])
            }
            level = Set(withheld.flatMap(\.prev)).subtracting(behind)
            behind.formUnion(level)
        }
        return behind
    }

    private mutating func compareExtremities() {
        // What a damaged event refers to is not known.
        guard damaged.isEmpty else { return }
        let newest = self.newest()
        let stored = Set(room.extremities)
        if newest != stored {
            let missing = newest.subtracting(stored).sorted().prefix(5).map { name($0) }
            let wrong = stored.subtracting(newest).sorted().prefix(5).map { name($0) }
            report.add(
                .extremities, nil,
                "missing: \(missing.joined(separator: " ")); too many: \(wrong.joined(separator: " "))")
        }
        let depth = newest.compactMap { nodes[$0]?.depth }.max() ?? 0
        if newest == stored, depth != room.depth {
            report.add(.extremities, nil, "their depth is \(depth), the room's row has \(room.depth)")
        }
    }

    /// What the newest events resolve to; nil when the state after one of them is not known.
    private func currentState() throws -> StateChange? {
        let newest = damaged.isEmpty ? self.newest() : Set(room.extremities)
        let roots = newest.sorted().compactMap { nodes[$0]?.state }
        guard !roots.isEmpty, roots.count == newest.count else { return nil }
        return try StateMerge(connection, sealer: environment.sealer, states: states, events: cache)
            .resolve(roots, version: room.version, pending: ownStates)
    }

    private mutating func compareMembers(_ state: StateChange) throws {
        var expected: [UserID: Int64] = [:]
        for (key, nid) in try StateReader(connection, states, pending: state).all(at: state.root)
        where key.type == .member {
            if let user = try? UserID(key.stateKey) { expected[user] = nid }
        }
        var kept: Set<UserID> = []
        for chunk in try RoomStore(connection).members(room: room.nid).chunked(into: RoomCheck.rowsAtOnce) {
            let nids = Set(chunk.compactMap { expected[$0.user] }.filter { nodes[$0] != nil })
            let events = try cache.events(nids, from: log)
            for row in chunk {
                kept.insert(row.user)
                guard let nid = expected[row.user], let pdu = events[nid]?.pdu else {
                    report.add(.members, nil, "\(row.user) is in room_members and not in the state")
                    continue
                }
                let member = RoomMember(pdu)
                var differing: [String] = []
                if row.eventNID != nid { differing.append("event_nid") }
                if row.membership != (try? member.membership) { differing.append("membership") }
                if row.displayName != member.displayName { differing.append("displayname") }
                if row.avatarURL != member.avatarURL { differing.append("avatar_url") }
                guard !differing.isEmpty else { continue }
                report.add(.members, pdu.id, "\(row.user): \(differing.joined(separator: ", "))")
            }
        }
        for (user, nid) in expected where !kept.contains(user) {
            // A membership that nobody can read has no row.
            guard let pdu = try cache.events([nid], from: log)[nid]?.pdu,
                (try? RoomMember(pdu).membership) != nil
            else { continue }
            report.add(.members, pdu.id, "\(user) is not in room_members")
        }
    }

    /// What is referred to and not here, or here without what comes before it. An event that was not let in may be listed,
    /// and what such a one follows: it may have been shown until the room's whole state was known.
    private mutating func compareBackwardExtremities() throws {
        var expected = unknown
        var tolerated = unknownToTimeline
        let ids = Dictionary(numbers.map { ($1, $0) }) { first, _ in first }
        for node in nodes.values where !node.flags.contains(.outlier) {
            for prev in node.prev {
                guard let flags = nodes[prev]?.flags, let id = ids[prev] else { continue }
                guard node.position != nil else {
                    if flags.contains(.outlier) { tolerated.insert(id) }
                    continue
                }
                if flags.contains(.outlier) { expected.insert(id) }
                if !flags.isDisjoint(with: [.rejected, .softFailed]) { tolerated.insert(id) }
            }
        }
        let ends = try log.historyEnds(room: room.nid)
        let stored = Set(ends.map(\.id))
        // Whether an event here refers to what was taken out is not always known.
        tolerated.formUnion(ends.lazy.filter(\.isPurged).map(\.id))
        for id in expected.subtracting(stored).sorted() {
            report.add(.backwardExtremities, id, "it is referred to and not here, and not listed")
        }
        for id in stored.subtracting(expected).subtracting(tolerated).sorted() {
            report.add(.backwardExtremities, id, "it is listed, but it is here or nobody refers to it")
        }
    }
}
