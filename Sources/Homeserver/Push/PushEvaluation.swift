internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Asks users' push rules about events. Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-rules>
struct PushEvaluation: Sendable {
    let rooms: RoomReader
    let summaries: RoomSummaries
    private let rulesets = BoundedCache<UserID, (position: Int64, rules: PushRuleset)>(budget: PushLimits.rulesetBytes)

    init(rooms: RoomReader, summaries: RoomSummaries) {
        self.rooms = rooms
        self.summaries = summaries
    }

    /// A user's rules as they are now.
    /// - Throws: `DatabaseError`.
    func rules(of user: UserID, _ connection: any SQLConnection) throws -> PushRuleset {
        let position =
            try connection.query(
                """
                SELECT position FROM account_data
                WHERE user_id = \(user.text) AND room_id = '' AND type = 'm.push_rules'
                """
            ).first?.integer(0) ?? 0
        return try rules(of: user, at: position, connection)
    }

    /// A user's rules, of which is known when they last changed.
    /// - Parameter position: of the stream `account_data`; where other changes count as well, always those.
    /// - Throws: `DatabaseError`.
    func rules(of user: UserID, at position: Int64, _ connection: any SQLConnection) throws -> PushRuleset {
        if let known = rulesets.value(user), known.position == position { return known.rules }
        let found =
            try AccountDataStore(connection, rooms.sealer).pushRules(of: [user])[user] ?? PushRuleset(user: user)
        rulesets.put(user, (position, found), cost: found.rules.count * 512)
        return found
    }

    /// Whether a user follows the threads that events of a room are in: only of those that are in one.
    /// - Throws: `DatabaseError`.
    func follows(
        _ events: some Sequence<StoredEvent>, in room: SyncRoom, _ user: UserID, _ connection: any SQLConnection
    ) throws -> [Int64: Bool] {
        var relations: [Int64: (type: String, target: String)] = [:]
        for event in events where !event.pdu.isState {
            if let relation = Relation(event.pdu.content) {
                relations[event.nid] = (relation.type, relation.target.text)
            }
        }
        guard !relations.isEmpty else { return [:] }
        let roots = try ThreadFinding.threads(of: relations, rooms.log(connection))
        let followed = try ThreadSubscriptionStore(connection).followed(
            by: user, room: room.nid, of: Set(roots.values))
        return roots.mapValues(followed.contains)
    }

    /// What the rules say about an event of a room in its current state; nil when they say nothing, and for what the user
    /// sent.
    /// - Parameter followsThread: whether the user follows the thread that the event is in; nil where it is in none.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func outcome(
        of event: PDU, in room: SyncRoom, for user: UserID, by rules: PushRuleset, followsThread: Bool?,
        _ connection: any SQLConnection
    ) throws -> PushOutcome? {
        guard event.sender != user else { return nil }
        let members = try summaries.counts(room: room.nid, state: room.state, connection).joined
        var pushed = PushedEvent(
            event.document.root, sender: event.sender, roomID: room.id, memberCount: members
        ) { key in mayNotify(event.sender, key, room, connection) }
        pushed.followsThread = followsThread
        return pushed.outcome(for: user, by: rules)
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
}
