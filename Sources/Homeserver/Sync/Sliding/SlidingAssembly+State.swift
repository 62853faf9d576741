internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

extension SlidingAssembly {
    /// What is sent of a room's state.
    struct StateSelection {
        /// The numbers of events.
        var events: Set<Int64> = []
        /// Keys that are wanted and set no more.
        var deleted: [StateKey] = []
        /// The membership events among `events` that are sent because they are of use.
        var members: Set<Int64> = []
        /// The keys that changed since the room was sent.
        var changed: Set<StateKey> = []
        /// What the client has of the state now.
        var remembered: RequiredState
    }

    /// Chooses what to send of a state.
    /// - Parameters:
    ///   - sent: up to where the client has the room; nil for one it does not have.
    ///   - known: what it was sent.
    ///   - knownConfig: what was wanted of the state then; nil for a room it does not have.
    mutating func select(
        _ room: SyncRoom, _ end: End, _ config: RequiredState, since sent: Int64?, known: SentRoom,
        knownConfig: RequiredState?, _ timeline: SlidingRoom.Timeline?
    ) throws -> StateSelection {
        var selection = StateSelection(remembered: config)
        // Whoever left is told so in any case.
        if let departure = end.departure, sent.map({ room.memberPosition > $0 }) ?? true {
            selection.events.insert(departure.nid)
        }
        guard end.isShown else { return selection }
        var isUnchanged = true
        if let sent, let old = known.state, let knownConfig {
            let showsAllMembers =
                config.lazyMembers && !(timeline?.isLimited ?? false) && !room.becameWhole(after: sent)
            for change in try states.difference(from: old, to: end.state) {
                selection.changed.insert(change.key)
                let isWanted = config.allows(change.key)
                if isWanted || (showsAllMembers && change.key.type == .member) {
                    if let new = change.new {
                        selection.events.insert(new)
                    } else {
                        selection.deleted.append(change.key)
                    }
                    if !isWanted, let new = change.new { selection.members.insert(new) }
                } else if knownConfig.allows(change.key) {
                    isUnchanged = false
                }
            }
            if !knownConfig.covers(config) {
                for (key, nid) in try matching(config, at: end.state)
                where !knownConfig.allows(key) && !known.members.contains(nid) {
                    selection.events.insert(nid)
                }
            }
            // What was wanted before and has not changed, the client still has.
            if isUnchanged, !config.covers(knownConfig) {
                var both = knownConfig
                both.formUnion(config)
                if both.rules.count <= SyncLimits.stateRules { selection.remembered = both }
            }
        } else {
            selection.events.formUnion(try matching(config, at: end.state).values)
        }
        if config.lazyMembers {
            try addMembers(timeline, end, known: known, knownConfig: knownConfig, into: &selection)
        }
        return selection
    }

    /// Adds the members whom the timeline shows, unless the client has them.
    private func addMembers(
        _ timeline: SlidingRoom.Timeline?, _ end: End, known: SentRoom, knownConfig: RequiredState?,
        into selection: inout StateSelection
    ) throws {
        var users: Set<String> = []
        for entry in timeline?.entries ?? [] {
            users.insert(entry.event.pdu.sender.text)
            if entry.event.pdu.type == .member, let target = entry.event.pdu.stateKey { users.insert(target) }
        }
        guard !users.isEmpty else { return }
        let sent = Set(known.members)
        for (key, nid) in try states.events(at: end.state, keys: users.map { StateKey(.member, $0) }) {
            if sent.contains(nid) || selection.events.contains(nid) { continue }
            if let knownConfig, knownConfig.allows(key), !selection.changed.contains(key) { continue }
            selection.events.insert(nid)
            selection.members.insert(nid)
        }
    }

    /// What a state has of what is wanted. Keys that are named are looked up, so that this costs what is wanted and not
    /// what there is.
    private mutating func matching(_ config: RequiredState, at root: StateRoot) throws -> [StateKey: Int64] {
        var keys: Set<StateKey> = []
        for rule in config.rules {
            guard let text = rule.pattern.type else { return try wholeState(config, at: root) }
            guard let type = try? EventType(text) else { continue }
            if let key = rule.pattern.stateKey {
                keys.insert(StateKey(type, key))
            } else {
                guard type != .member, let found = try self.keys(of: type) else {
                    return try wholeState(config, at: root)
                }
                keys.formUnion(found)
            }
        }
        return try states.events(at: root, keys: keys).filter { config.allows($0.key) }
    }

    private func wholeState(_ config: RequiredState, at root: StateRoot) throws -> [StateKey: Int64] {
        try states.all(at: root).filter { config.allows($0.key) }
    }

    private mutating func keys(of type: EventType) throws -> [StateKey]? {
        if let known = keysOfTypes[type] { return known }
        let found = try states.keys(of: type, limit: SyncLimits.keysOfType)
        keysOfTypes.updateValue(found, forKey: type)
        return found
    }
}
