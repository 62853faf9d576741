internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Finds the events that hold some words and that a user may see.
struct SearchFinding {
    struct Result {
        var candidate: SearchStore.Candidate
        var event: StoredEvent
        var membership: Membership
        var access: RoomAccess
    }

    struct Group {
        var key: SearchRequest.Grouping
        var value: String
        var results: [EventID] = []
        var next: SearchToken?
    }

    struct Found {
        var results: [Result] = []
        var count = 0
        var next: SearchToken?
        /// In the order of their first results.
        var groups: [Group] = []
        var highlights: [String] = []
    }

    let reading: RoomReading
    let wish: SearchRequest
    let user: UserID
    let connection: any SQLConnection

    private var rooms: RoomReader { reading.rooms }

    /// - Throws: `DatabaseError`, `CorruptState`.
    func find(_ term: SearchTerm) throws -> Found {
        let candidates = try SearchStore(connection).find(query(term))
        let visible = try visible(candidates)
        let first: Int =
            if case .ranked(let done)? = wish.token?.place { done } else { 0 }
        let rest = visible.filter { $0.index >= first }
        let page = rest.prefix(wish.limit)
        var found = Found()
        found.results = page.map(\.result)
        // All that was looked at was looked at for this, too: what the user may not see is not counted.
        found.count = wish.token?.count ?? visible.count
        let (group, value) = (wish.token?.group, wish.token?.value)
        if let last = page.last, rest.count > page.count {
            found.next = token(behind: last.result, index: last.index, count: found.count, group, value)
        } else if wish.isRecentFirst, candidates.count == SearchLimits.candidates, let last = candidates.last {
            found.next = SearchToken(
                place: .recent(timestamp: last.timestamp, nid: last.nid), count: found.count, group: group,
                value: value)
        }
        for grouping in wish.groupings {
            found.groups += groups(by: grouping, page: Array(page), rest: rest, candidates, count: found.count)
        }
        found.highlights = term.highlights(in: try texts(of: found.results))
        return found
    }

    private func query(_ term: SearchTerm) throws -> SearchStore.Query {
        var allowed: [Int64] = []
        var filter = wish.filter
        if let named = filter.rooms { filter.rooms = try withPredecessors(named) }
        for membership in try RoomStore(connection).memberships(of: user) {
            switch membership.membership {
            case .join, .leave, .ban: break
            default: continue
            }
            guard filter.allows(room: membership.roomID) else { continue }
            if wish.token?.group == SearchRequest.Grouping.room.rawValue,
                membership.roomID.text != wish.token?.value
            {
                continue
            }
            allowed.append(membership.roomNID)
        }
        var query = SearchStore.Query(
            term: term, kinds: wish.kinds, rooms: allowed, isRecentFirst: wish.isRecentFirst,
            limit: SearchLimits.candidates)
        query.senders = wish.filter.senders.map { $0.sorted() }
        if wish.token?.group == SearchRequest.Grouping.sender.rawValue, let sender = wish.token?.value {
            query.senders = query.senders?.contains(sender) == false ? [] : [sender]
        }
        query.notSenders = wish.filter.notSenders.sorted()
        if case .recent(let timestamp, let nid)? = wish.token?.place {
            query.after = SearchStore.Candidate(nid: nid, timestamp: timestamp)
        }
        return query
    }

    /// Rooms and those that they took the place of: a client names the one, and people remember what was said in the other.
    private func withPredecessors(_ named: Set<String>) throws -> Set<String> {
        var found = named
        var next = Array(named)
        while let text = next.popLast(), found.count < named.count + SearchLimits.predecessors {
            let key = StateKey(.create, "")
            guard let id = try? RoomID(text), let room = try RoomStore(connection).room(id),
                let create = try rooms.state(at: room.state, keys: [key], in: connection)[key],
                let old = create.pdu.content["predecessor"]?["room_id"]?.string, found.insert(old).inserted
            else { continue }
            next.append(old)
        }
        return found
    }

    /// Those that the user may see, each with its index among all.
    private func visible(
        _ candidates: [SearchStore.Candidate]
    ) throws -> [(index: Int, result: Result)] {
        let ignored = try IgnoredUsers.of(user, rooms.sealer, connection)
        let log = rooms.log(connection)
        var accesses: [Int64: RoomAccess?] = [:]
        func access(_ room: Int64) throws -> RoomAccess? {
            if let known = accesses[room] { return known }
            var access: RoomAccess?
            if let record = try RoomStore(connection).room(nid: room) {
                access = try RoomAccess.ifAllowed(record.id, user: user, rooms: rooms, connection)
            }
            accesses[room] = .some(access)
            return access
        }
        var found: [(index: Int, result: Result)] = []
        for start in stride(from: 0, to: candidates.count, by: SearchLimits.candidatesAtOnce) {
            let part = candidates[start..<min(start + SearchLimits.candidatesAtOnce, candidates.count)]
            let events = try rooms.events.events(part.map(\.nid), from: log)
            for (index, candidate) in zip(part.indices, part) {
                guard let event = events[candidate.nid], wish.filter.allows(event.pdu),
                    event.pdu.isState || !ignored.contains(event.pdu.sender.text),
                    let access = try access(candidate.room), RoomReading.isWithin(access, candidate.position)
                else { continue }
                let seen = try access.visibility.look(event, at: candidate.position)
                guard seen.isVisible else { continue }
                found.append(
                    (index, Result(candidate: candidate, event: event, membership: seen.membership, access: access)))
            }
        }
        return found
    }

    private func token(
        behind result: Result, index: Int, count: Int, _ group: String?, _ value: String?
    ) -> SearchToken {
        let place: SearchToken.Place =
            wish.isRecentFirst
            ? .recent(timestamp: result.candidate.timestamp, nid: result.candidate.nid) : .ranked(index + 1)
        return SearchToken(place: place, count: count, group: group, value: value)
    }

    private func groups(
        by grouping: SearchRequest.Grouping, page: [(index: Int, result: Result)],
        rest: [(index: Int, result: Result)], _ candidates: [SearchStore.Candidate], count: Int
    ) -> [Group] {
        func value(_ result: Result) -> String {
            switch grouping {
            case .room: result.event.pdu.roomID.text
            case .sender: result.event.pdu.sender.text
            }
        }
        var groups: [Group] = []
        var places: [String: Int] = [:]
        for (_, result) in page {
            let place = places[value(result)] ?? groups.count
            if place == groups.count { groups.append(Group(key: grouping, value: value(result))) }
            places[value(result)] = place
            groups[place].results.append(result.event.id)
        }
        // In a group one goes on behind its own last result, and only this token's group has a place among all.
        guard wish.token?.group == nil else { return groups }
        for place in groups.indices {
            let name = groups[place].value
            guard let last = page.last(where: { value($0.result) == name }),
                rest.contains(where: { $0.index > last.index && value($0.result) == name })
            else { continue }
            let before = rest.filter { $0.index <= last.index && value($0.result) == name }.count
            groups[place].next = token(
                behind: last.result, index: before - 1, count: count, grouping.rawValue, name)
        }
        return groups
    }

    private func texts(of results: [Result]) throws -> [String] {
        let edits = try Dictionary(grouping: results, by: \.candidate.room).flatMap { room, results in
            try RelationStore(connection).newestEdits(of: results.map(\.event.id), room: room)
        }
        let edited = Dictionary(edits, uniquingKeysWith: { first, _ in first })
        let events = try rooms.log(connection).events(nids: edited.values)
        return results.compactMap { result in
            SearchableText(result.event.pdu, edit: edited[result.event.id].flatMap { events[$0]?.pdu })?.text
        }
    }
}
