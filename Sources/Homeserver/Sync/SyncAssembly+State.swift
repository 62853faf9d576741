internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Which state a sync tells of a room.
extension SyncAssembly {
    /// Where a room's state is told from and to.
    struct StateSpan {
        /// The state at the end of the timeline.
        var end: StatePoint
        /// The state the client has; nil where it has none.
        var known: StateRoot?
        /// Whether all of the state is told, not only what changed.
        var isFull: Bool
    }

    /// Lets a timeline begin behind the last state event that does not hold its place at the end, for a fork was decided against
    /// it, or a later one has no place. Clients take what stands last in a timeline for the room's state; behind the gap it is
    /// only history, and `state` tells what holds.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#syncing>
    func leaveOutOvertaken(in window: inout TimelineWindow, at end: StatePoint) throws {
        guard request.stateAfterKey == nil else { return }
        var last: [StateKey: Int] = [:]
        for (index, entry) in window.entries.enumerated() {
            if let key = StateKey(of: entry.event.pdu) { last[key] = index }
        }
        guard !last.isEmpty else { return }
        let current = try end.events(Array(last.keys), states)
        var overtaken = last.filter { current[$0.key] != window.entries[$0.value].event.nid }
        guard !overtaken.isEmpty else { return }
        // What holds the place and stands behind it was kept out by the filter alone.
        let holders = try sync.rooms.events.events(overtaken.keys.compactMap { current[$0] }, from: log)
        overtaken = overtaken.filter { key, index in
            let holder = current[key].flatMap { holders[$0]?.position } ?? 0
            return holder <= window.entries[index].position
        }
        guard let index = overtaken.values.max() else { return }
        window.entries.removeFirst(index + 1)
        window.isLimited = true
    }

    /// The state a client needs: the changes, or all, to the begin of the timeline, or to its end where the client asked for
    /// that. Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>
    func stateChanges(_ room: SyncRoom, _ window: TimelineWindow, _ span: StateSpan) throws -> [StoredEvent] {
        let filter = request.filter.state
        guard filter.allows(room: room.id) else { return [] }
        let isAfter = request.stateAfterKey != nil
        var point = span.end
        if !isAfter, let first = window.entries.first {
            point = try StatePoint(before: first.event, at: first.position, log)
        }
        // These the timeline goes on from its begin; all else is as at its end, for a filter may have left it out, and the
        // timeline may begin in a fork that knew less.
        let told = isAfter ? [] : Set(window.entries.compactMap { StateKey(of: $0.event.pdu) })
        var changes: [StateKey: Int64] = [:]
        var haveMembersChanged = false
        if let known = span.known {
            let all = try span.end.changes(since: known, states)
            haveMembersChanged = all.contains { $0.key.type == .member }
            changes = all.filter { !told.contains($0.key) }
            if window.isLimited, !told.isEmpty {
                changes.merge(try point.changes(since: known, states).filter { told.contains($0.key) }) { $1 }
            }
        }
        if span.isFull {
            var all = try span.end.all(states)
            for key in told { all[key] = nil }
            if !told.isEmpty { all.merge(try point.events(Array(told), states)) { $1 } }
            changes.merge(all) { first, _ in first }
        }
        if request.filter.lazyLoadsMembers {
            try loadMembersLazily(&changes, room, window, span, at: point, haveMembersChanged)
        }
        let events = try sync.rooms.events.events(Array(changes.values), from: log)
        return events.values.filter { filter.allows($0.pdu) }.sorted { $0.nid < $1.nid }
    }

    /// Takes out members who are of no use, and adds those who are: who sent something, and heroes. Members who changed
    /// within a gap are told in any case.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members>
    private func loadMembersLazily(
        _ changes: inout [StateKey: Int64], _ room: SyncRoom, _ window: TimelineWindow, _ span: StateSpan,
        at point: StatePoint, _ haveMembersChanged: Bool
    ) throws {
        var needed = Set(window.entries.map(\.event.pdu.sender.text))
        if span.isFull { needed.insert(request.user.text) }
        if span.isFull || haveMembersChanged {
            for hero in try sync.summaries.heroes(of: room, for: request.user, connection) { needed.insert(hero.text) }
        }
        if span.isFull {
            let known = span.known
            let inGap = try known.map { try point.changes(since: $0, states) } ?? [:]
            changes = changes.filter {
                $0.key.type != .member || needed.contains($0.key.stateKey) || inGap[$0.key] != nil
            }
        }
        let keys = needed.map { StateKey(.member, $0) }.filter { changes[$0] == nil }
        changes.merge(try point.events(keys, states)) { first, _ in first }
        if room.isPartial { changes.merge(try span.end.events(keys, states)) { first, _ in first } }
        guard request.stateAfterKey == nil, !span.isFull else { return }
        // Whoever joins within the timeline before saying anything is known from there.
        var heard: Set<String> = []
        for entry in window.entries where heard.insert(entry.event.pdu.sender.text).inserted {
            if let key = StateKey(of: entry.event.pdu), key.type == .member, key.stateKey == entry.event.pdu.sender.text
            {
                changes[key] = nil
            }
        }
    }
}
