internal import Homeserver
internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a server's database holds of a room, as the checks see it: read whole, without the server's caches.
struct ServerView: Sendable {
    let server: ServerName
    let version: RoomVersion
    /// The current state.
    let state: StateMap
    /// The room's newest events.
    let extremities: Set<EventID>
    /// All events of the room, outliers and rejected ones too.
    let events: [EventID: StoredEvent]
    /// The state after each event, as far as it is known; equal roots are equal states.
    let stateAfter: [StateRoot: StateMap]
    /// The users of this server that are joined, by its own account.
    let joined: Set<UserID>

    /// Events that are shown to clients.
    var shown: [EventID: StoredEvent] { events.filter { $0.value.position != nil } }

    /// Whether what servers did in parallel took this one's users out of the room, as it may in version 1: there an event that
    /// does not hold ends the search for a membership, whatever comes after it. Nobody sends it anything of the room any more, and
    /// what it says is soft-failed, so that no event ties the two together again. "Users who had joined the room may be removed
    /// from the room": <https://spec.matrix.org/v1.19/rooms/v1/#state-resolution>
    func wasTakenOut(by views: [ServerView]) -> Bool {
        let others = views.filter { $0.server != server }
        guard version.rules.stateResolution == .v1, !others.isEmpty else { return false }
        return others.allSatisfy { !$0.hasJoined(server) }
    }

    /// Whether a server has a joined user, in the current state.
    private func hasJoined(_ server: ServerName) -> Bool {
        state.contains { key, id in
            key.type == .member && (try? UserID(key.stateKey))?.serverName == server
                && events[id].flatMap { try? RoomMember($0.pdu).membership } == .join
        }
    }

    /// All that the server has of the room, a line for each event: for who looks into a finding.
    var lines: [String] {
        let current = Set(state.values)
        let head = "\(server): \(events.count) events, newest \(extremities.sorted().map(\.text))"
        return [head]
            + events.values.sorted { ($0.pdu.depth, $0.id) < ($1.pdu.depth, $1.id) }.map { event in
                let pdu = event.pdu
                let key = pdu.stateKey.map { " of '\($0)'" } ?? ""
                let membership = (try? RoomMember(pdu).membership).map { " \($0)" } ?? ""
                return "\(server) \(event.id) depth \(pdu.depth) \(pdu.type)\(key)\(membership) by \(pdu.sender) "
                    + "at \(event.position.map(String.init) ?? "no place"), flags \(event.flags.rawValue)"
                    + "\(current.contains(event.id) ? ", in the state" : ""), "
                    + "after \(pdu.prevEvents.map(\.text)) by \(pdu.authEvents.map(\.text))"
            }
    }

    /// `nil` where the server does not have the room, or is down.
    static func read(_ room: RoomID, on server: SimulatedServer) async throws -> ServerView? {
        guard let database = server.database else { return nil }
        let name = server.name
        let reader = RoomReader(database: database, sealer: .plain, stateCacheBytes: 8 << 20, eventCacheBytes: 8 << 20)
        return try await database.read { connection in
            guard let record = try RoomStore(connection).room(room) else { return nil }
            let log = EventLog(connection, .plain)
            let nids = try connection.query("SELECT event_nid FROM events WHERE room_nid = \(record.nid)")
                .map { try $0.integer(0) }
            var events: [EventID: StoredEvent] = [:]
            var ids: [Int64: EventID] = [:]
            for event in try log.events(nids: nids).values {
                events[event.id] = event
                ids[event.nid] = event.id
            }
            let states = StateReader(connection, reader.states)
            func map(_ root: StateRoot) throws -> StateMap {
                try states.all(at: root).compactMapValues { ids[$0] }
            }
            var stateAfter: [StateRoot: StateMap] = [:]
            for root in Set(events.values.compactMap(\.stateAfter)) { stateAfter[root] = try map(root) }
            return ServerView(
                server: name, version: record.version, state: try map(record.state),
                extremities: Set(record.extremities.compactMap { ids[$0] }), events: events, stateAfter: stateAfter,
                joined: Set(try RoomStore(connection).joinedMembers(room: record.nid, of: name)))
        }
    }
}
