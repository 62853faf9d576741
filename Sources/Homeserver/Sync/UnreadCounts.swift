internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Counts what a user has not read, by the user's push rules, when a sync asks. A count is kept and only what came since is
/// looked at. Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>
struct UnreadCounts: Sendable {
    struct Counts: Sendable, Hashable {
        var notifications = 0
        var highlights = 0
    }

    private struct Key: Hashable {
        var user: UserID
        var room: Int64
    }

    private struct Kept {
        var counts: Counts
        var lastPosition: Int64
        var readPosition: Int64?
        var rulesPosition: Int64
    }

    private let rooms: RoomReader
    private let summaries: RoomSummaries
    private let kept = BoundedCache<Key, Kept>(budget: SyncLimits.unreadBytes / 2)
    private let rulesets = BoundedCache<UserID, (position: Int64, rules: PushRuleset)>(
        budget: SyncLimits.unreadBytes / 2)

    init(rooms: RoomReader, summaries: RoomSummaries) {
        self.rooms = rooms
        self.summaries = summaries
    }

    /// When the user's push rules changed: a position of the stream `account_data`.
    /// - Throws: `DatabaseError`.
    func rulesPosition(of user: UserID, _ connection: any SQLConnection) throws -> Int64 {
        try connection.query(
            """
            SELECT position FROM account_data
            WHERE user_id = \(user.text) AND room_id = '' AND type = 'm.push_rules'
            """
        ).first?.integer(0) ?? 0
    }

    /// The counts of a room in its current state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func counts(
        of room: SyncRoom, for user: UserID, rulesPosition: Int64, ignoring ignored: Set<String>,
        _ connection: any SQLConnection
    ) throws -> Counts {
        let key = Key(user: user, room: room.nid)
        let read = try ReceiptStore(connection).readPosition(of: user, room: room.nid)
        var counts = Counts()
        var after = read
        if let known = kept.value(key), known.readPosition == read, known.rulesPosition == rulesPosition,
            known.lastPosition <= room.lastPosition
        {
            if known.lastPosition == room.lastPosition { return known.counts }
            counts = known.counts
            after = max(known.lastPosition, read ?? known.lastPosition)
        }
        let log = rooms.log(connection)
        let places = try log.places(
            room: room.nid, after: after, upTo: room.lastPosition, limit: SyncLimits.unreadEvents, newestFirst: true)
        let events = try rooms.events.events(places.map(\.nid), from: log)
        let rules = try rules(of: user, at: rulesPosition, connection)
        var newer: [StoredEvent] = []
        for place in places {
            guard let event = events[place.nid] else { continue }
            // To send is to have read what came before.
            if event.pdu.sender == user {
                counts = Counts()
                break
            }
            newer.append(event)
        }
        let more = try count(newer, room, user, rules, ignored, connection)
        counts.notifications = min(counts.notifications + more.notifications, SyncLimits.unreadEvents)
        counts.highlights = min(counts.highlights + more.highlights, SyncLimits.unreadEvents)
        kept.put(
            key,
            Kept(counts: counts, lastPosition: room.lastPosition, readPosition: read, rulesPosition: rulesPosition),
            cost: 160)
        return counts
    }

    private func count(
        _ events: [StoredEvent], _ room: SyncRoom, _ user: UserID, _ rules: PushRuleset, _ ignored: Set<String>,
        _ connection: any SQLConnection
    ) throws -> Counts {
        var counts = Counts()
        for event in events {
            guard !ignored.contains(event.pdu.sender.text) else { continue }
            let members = try summaries.counts(room: room.nid, state: room.state, connection).joined
            var pushed = PushedEvent(
                event.pdu.document.root, sender: event.pdu.sender, roomID: room.id, memberCount: members
            ) { key in mayNotify(event.pdu.sender, key, room, connection) }
            guard let outcome = pushed.outcome(for: user, by: rules), outcome.notifies else { continue }
            counts.notifications += 1
            if outcome.highlights { counts.highlights += 1 }
        }
        return counts
    }

    private func mayNotify(_ sender: UserID, _ key: String, _ room: SyncRoom, _ connection: any SQLConnection) -> Bool {
        let keys = [StateKey(.create, ""), StateKey(.powerLevels, "")]
        guard let state = try? rooms.state(at: room.state, keys: keys, in: connection),
            let create = state[keys[0]]?.pdu
        else { return false }
        let levels = PowerLevels(state[keys[1]]?.pdu, create: create)
        guard let level = try? levels.level(of: sender), let required = try? levels.requiredForNotification(key) else {
            return false
        }
        return level >= required
    }

    private func rules(of user: UserID, at position: Int64, _ connection: any SQLConnection) throws -> PushRuleset {
        if let known = rulesets.value(user), known.position == position { return known.rules }
        let rules =
            try AccountDataStore(connection, rooms.sealer).pushRules(of: [user])[user] ?? PushRuleset(user: user)
        rulesets.put(user, (position, rules), cost: rules.rules.count * 512)
        return rules
    }
}
