public import HomeserverStorage
internal import MatrixAPI
public import MatrixModel
public import MatrixRooms
public import SQLDatabase

/// Reads rooms: their heads, states and members. What cannot change is cached, bounded in bytes; the rest is read.
public struct RoomReader: Sendable {
    public let database: any Database
    public let sealer: StorageSealer
    /// Nodes of states and the numbers of state keys.
    public let states: StateCache
    /// Events by number. Hand the database's notifications to `received`.
    public let events: EventCache
    private let servers: BoundedCache<StateRoot, [ServerName]>
    private let accessLists = BoundedCache<AccessListKey, ServerACL>(budget: RoomLimits.accessListCacheBytes)

    /// An access list by its event, of which the content may go by a redaction, or come when it was not whole.
    private struct AccessListKey: Hashable, Sendable {
        var nid: Int64
        var contentBytes: Int
    }

    /// A reader with caches as the configuration's limits have them.
    public init(environment: Environment) {
        let limits = environment.configuration.limits
        self.init(
            database: environment.database, sealer: environment.sealer, stateCacheBytes: limits.stateCacheBytes,
            eventCacheBytes: limits.eventCacheBytes)
    }

    /// A reader of a database, with caches of so many bytes.
    public init(database: any Database, sealer: StorageSealer, stateCacheBytes: Int, eventCacheBytes: Int) {
        self.database = database
        self.sealer = sealer
        states = StateCache(bytes: stateCacheBytes)
        events = EventCache(bytes: eventCacheBytes)
        servers = BoundedCache(budget: RoomLimits.serverCacheBytes)
    }

    /// Takes note of a notification of the database: what changed or went leaves the caches.
    public func received(_ notification: String) {
        events.received(notification)
        states.received(notification)
    }

    // MARK: Within a transaction of the caller's

    /// The log as a transaction sees it.
    public func log(_ connection: any SQLConnection) -> EventLog { EventLog(connection, sealer) }

    /// The events that hold `keys` (all when nil) in a state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func state(
        at root: StateRoot, keys: [StateKey]? = nil, in connection: any SQLConnection
    ) throws -> [StateKey: StoredEvent] {
        let reader = StateReader(connection, states)
        let nids = try keys.map { try reader.events(at: root, keys: $0) } ?? reader.all(at: root)
        let found = try events.events(Array(nids.values), from: log(connection))
        return nids.compactMapValues { found[$0] }
    }

    /// The servers with a joined member now; where members are not known yet, also those that are said to have one.
    /// - Throws: `DatabaseError`.
    public func joinedServers(_ room: RoomRecord, in connection: any SQLConnection) throws -> [ServerName] {
        // Where members are not known yet, the state does not tell.
        if room.isPartial { return try RoomStore(connection).joinedServers(room: room.nid) }
        if let known = servers.value(room.state) { return known }
        // Only with the head of the same snapshot do the members belong to this state.
        guard let current = try RoomStore(connection).room(nid: room.nid) else { return [] }
        let found = try RoomStore(connection).joinedServers(room: room.nid)
        if !current.isPartial { servers.put(current.state, found, cost: found.count * 80 + 64) }
        return found
    }

    /// Whether a room's access list lets a server take part.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomserver_acl>
    /// - Throws: `DatabaseError`, `CorruptState`.
    func allows(_ server: ServerName, in room: RoomRecord, _ connection: any SQLConnection) throws -> Bool {
        let key = StateKey(.serverACL, "")
        guard let event = try state(at: room.state, keys: [key], in: connection)[key] else { return true }
        let name = AccessListKey(nid: event.nid, contentBytes: event.pdu.content.rawBytes.count)
        if let list = accessLists.value(name) { return list.allows(server) }
        let list = ServerACL(event.pdu.content)
        accessLists.put(name, list, cost: event.pdu.content.rawBytes.count * 4 + 256)
        return list.allows(server)
    }

    // MARK: In a transaction of its own

    /// Whether a room's access list lets a server take part.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func allows(_ server: ServerName, in room: RoomRecord) async throws -> Bool {
        try await database.read { try allows(server, in: room, $0) }
    }

    /// A room; nil when this server does not have it.
    /// - Throws: `DatabaseError`.
    public func record(_ id: RoomID) async throws -> RoomRecord? {
        try await database.read { try RoomStore($0).room(id) }
    }

    /// Checks that users of ours may enter a room.
    /// - Throws: `MatrixError`: `M_FORBIDDEN` where the operator refuses it, or it is being deleted; `DatabaseError`.
    func checkOpen(_ id: RoomID) async throws {
        if try await database.read({ try PurgeJobs($0).isClosed(id) }) {
            throw MatrixError(.forbidden, "This server does not take part in the room")
        }
    }

    /// One event; nil when it is not known.
    /// - Throws: `DatabaseError`.
    public func event(_ id: EventID) async throws -> StoredEvent? {
        try await database.read { try log($0).event(id) }
    }

    /// The whole current state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func currentState(_ room: RoomRecord) async throws -> RoomState {
        RoomState(try await state(at: room.state).mapValues(\.pdu))
    }

    /// One event of the current state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func stateEvent(
        _ room: RoomRecord, _ type: EventType, _ stateKey: String = ""
    ) async throws -> StoredEvent? {
        let key = StateKey(type, stateKey)
        return try await state(at: room.state, keys: [key])[key]
    }

    /// The events that hold `keys` (all when nil) in a state.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func state(at root: StateRoot, keys: [StateKey]? = nil) async throws -> [StateKey: StoredEvent] {
        try await database.read { try state(at: root, keys: keys, in: $0) }
    }

    /// A user's current membership; nil when there never was one.
    /// - Throws: `DatabaseError`.
    public func membership(of user: UserID, in room: RoomID) async throws -> RoomMembership? {
        try await database.read { connection in
            let store = RoomStore(connection)
            guard let record = try store.room(room) else { return nil }
            return try store.membership(of: user, in: record.nid)
        }
    }

    /// Whether a user is joined.
    /// - Throws: `DatabaseError`.
    public func isJoined(_ user: UserID, in room: RoomID) async throws -> Bool {
        try await membership(of: user, in: room)?.membership == .join
    }

    /// The joined members.
    /// - Throws: `DatabaseError`.
    public func joinedMembers(_ room: RoomRecord) async throws -> [RoomMembership] {
        try await database.read { try RoomStore($0).members(room: room.nid, membership: .join) }
    }

    /// The servers with a joined member now; cached by state.
    /// - Throws: `DatabaseError`.
    public func joinedServers(_ room: RoomRecord) async throws -> [ServerName] {
        try await database.read { try joinedServers(room, in: $0) }
    }

    /// The state before an event whose previous events are `prevEvents`: theirs, merged where they differ. Nil where one is
    /// not known, or its state is not.
    /// - Parameters:
    ///   - after: the states after some of them, where these are not in the log.
    ///   - takesAssumed: whether a state that was assumed counts as known: for what builds on this server's own newest events.
    /// - Throws: `DatabaseError`, `CorruptState`, `ResolutionFailure`.
    public func stateBefore(
        _ prevEvents: [EventID], in room: RoomRecord, after: [EventID: StateRoot] = [:], takesAssumed: Bool = false
    ) async throws -> StateRoot? {
        let merged: StateChange? = try await database.read { connection in
            let found = try log(connection).events(ids: prevEvents.filter { after[$0] == nil })
            var roots: [StateRoot] = []
            for id in prevEvents {
                if let root = after[id] {
                    roots.append(root)
                    continue
                }
                guard let event = found[id], event.roomNID == room.nid, let root = event.stateAfter,
                    takesAssumed || !event.flags.contains(.assumedState)
                else { return nil }
                roots.append(root)
            }
            guard !roots.isEmpty else { return nil }
            return try StateMerge(connection, sealer: sealer, states: states, events: events)
                .resolve(roots, version: room.version)
        }
        guard let merged else { return nil }
        return try await stored(merged, room)
    }

    /// The state that states of a room resolve to, stored as these are.
    /// - Throws: `DatabaseError`, `CorruptState`, `ResolutionFailure`.
    func merged(_ roots: [StateRoot], in room: RoomRecord) async throws -> StateRoot {
        let merged = try await database.read { connection in
            try StateMerge(connection, sealer: sealer, states: states, events: events)
                .resolve(roots, version: room.version)
        }
        return try await stored(merged, room)
    }

    private func stored(_ change: StateChange, _ room: RoomRecord) async throws -> StateRoot {
        if !change.isStored {
            try await database.groupedWrite { try StateWriter($0, states).store(change, room: room.nid) }
        }
        return change.root
    }

    /// Makes a state of events that are in the log, as `/state_ids` of another server tells it, and stores it.
    /// - Parameter events: state events of the room, each key once; all known to the log.
    /// - Throws: `DatabaseError`, `CorruptState`.
    public func storeState(of events: [StoredEvent], room: RoomRecord) async throws -> StateRoot {
        var changes: [StateKey: Int64?] = [:]
        for event in events { if let key = StateKey(of: event.pdu) { changes[key] = event.nid } }
        return try await storeState(changes, on: .empty, room: room)
    }

    /// Stores a state with some of its events replaced.
    /// - Parameter changes: the numbers of the events in their places; nil takes one out.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func storeState(_ changes: [StateKey: Int64?], on root: StateRoot, room: RoomRecord) async throws -> StateRoot {
        let numbers = try await numbers(of: Array(changes.keys))
        let change: StateChange = try await database.read { connection in
            var numbered: [Int64: Int64?] = [:]
            for (key, nid) in changes { if let number = numbers[key] { numbered[number] = nid } }
            return try StateWriter(connection, states).applying(numbered, to: StateChange(root))
        }
        return try await stored(change, room)
    }

    /// The numbers of state keys, given out where there were none.
    func numbers(of keys: [StateKey]) async throws -> [StateKey: Int64] {
        var found: [StateKey: Int64] = [:]
        for key in keys { if let number = states.number(of: key) { found[key] = number } }
        guard found.count < Set(keys).count else { return found }
        // In parts, so that others get their turn to write.
        for start in stride(from: 0, to: keys.count, by: RoomLimits.keysNumberedAtOnce) {
            let part = Array(keys[start..<min(start + RoomLimits.keysNumberedAtOnce, keys.count)])
            let numbered = try await database.groupedWrite { try StateWriter($0, states).number(part) }
            states.remember(numbered)
            found.merge(numbered) { first, _ in first }
        }
        return found
    }
}
