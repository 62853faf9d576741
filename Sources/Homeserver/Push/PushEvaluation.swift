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
        if let known = rulesets.value(user), known.position == position { return known.rules }
        let found =
            try AccountDataStore(connection, rooms.sealer).pushRules(of: [user])[user] ?? PushRuleset(user: user)
        rulesets.put(user, (position, found), cost: found.rules.count * 512)
        return found
    }

    /// What the rules say about an event of a room in its current state; nil when they say nothing, and for what the user
    /// sent.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func outcome(
        of event: PDU, in room: SyncRoom, for user: UserID, by rules: PushRuleset, _ connection: any SQLConnection
    ) throws -> PushOutcome? {
        guard event.sender != user else { return nil }
        let members = try summaries.counts(room: room.nid, state: room.state, connection).joined
        var pushed = PushedEvent(
            event.document.root, sender: event.sender, roomID: room.id, memberCount: members
        ) { key in mayNotify(event.sender, key, room, connection) }
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
