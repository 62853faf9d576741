internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Gives events and states of rooms to servers that are in them, as far as they may see them.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#retrieving-events>
struct RoomServing: RouteGroup {
    static let maximumBackfill = 100
    static let maximumMissing = 50

    let environment: Environment
    let reader: RoomReader
    /// Whose words are hidden from servers that came later.
    var erased: ErasedUsers?

    func register(on router: inout Router) {
        router.onServer(.getEvent) { request, origin in try await event(request, origin) }
        router.onServer(.federationGetRoomState) { request, origin in try await state(request, origin, idsOnly: false) }
        router.onServer(.getRoomStateIds) { request, origin in try await state(request, origin, idsOnly: true) }
        router.onServer(.getEventAuth) { request, origin in try await eventAuth(request, origin) }
        router.onServer(.backfillRoom) { request, origin in try await backfill(request, origin) }
        router.onServer(.getMissingPreviousEvents) { request, origin in try await missingEvents(request, origin) }
    }

    // MARK: Who may ask

    /// The room, if the access list allows the server and it is in the room; or was when the events came that it asks about,
    /// and so may know what came before them. Else one whose last user was removed while it was away could never judge that.
    func room(_ id: RoomID, for origin: ServerName, about events: [EventID] = []) async throws -> RoomRecord {
        guard let room = try await reader.record(id) else { throw MatrixError(.notFound, "The room is not known here") }
        guard try await reader.allows(origin, in: room) else { throw Self.notInRoom }
        if try await reader.joinedServers(room).contains(origin) { return room }
        if try await wasJoined(origin, before: events, in: room) { return room }
        guard try await wasTold(origin, of: events, in: room) else { throw Self.notInRoom }
        return room
    }

    private static let notInRoom = MatrixError(.forbidden, "The server is not in the room")

    /// Whether a user of the server was joined before each of these events.
    private func wasJoined(_ server: ServerName, before ids: [EventID], in room: RoomRecord) async throws -> Bool {
        try await environment.database.read { connection in
            let log = reader.log(connection)
            let events = try log.events(ids: ids)
            guard !ids.isEmpty, events.count == Set(ids).count else { return false }
            return try events.values.allSatisfy { event in
                guard event.roomNID == room.nid, let after = event.stateAfter else { return false }
                return try isJoined(server, at: after, before: event, connection)
            }
        }
    }

    /// Whether these events are state that this server told the other of, which had a user in the room when they came. One
    /// whose user was banned beforehand is told that, too, and was not in.
    private func wasTold(_ server: ServerName, of ids: [EventID], in room: RoomRecord) async throws -> Bool {
        try await environment.database.read { connection in
            guard !ids.isEmpty, let told = try Outbox(connection).newest(in: room.nid, for: server.text) else {
                return false
            }
            let log = reader.log(connection)
            let events = try log.events(ids: ids)
            guard events.count == Set(ids).count else { return false }
            return try events.values.allSatisfy { event in
                guard event.roomNID == room.nid, event.pdu.isState, let position = event.position, position <= told,
                    let root = try log.stateRoot(room: room.nid, at: position - 1)
                else { return false }
                return try isJoined(server, at: root, connection)
            }
        }
    }

    /// Whether a user of a server is joined in a state, or was before the event that made it.
    private func isJoined(
        _ server: ServerName, at root: StateRoot, before event: StoredEvent? = nil, _ connection: any SQLConnection
    ) throws -> Bool {
        var members = try StateReader(connection, reader.states).all(at: root).filter { key, _ in
            key.type == .member && (try? UserID(key.stateKey))?.serverName == server
        }
        if let event, let key = StateKey(of: event.pdu), members[key] == event.nid { members[key] = event.replaces }
        return try reader.events.events(Array(members.values), from: reader.log(connection)).values.contains {
            (try? RoomMember($0.pdu).membership) == .join
        }
    }

    // MARK: Answers

    private func event(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        guard let stored = try await reader.event(request.eventID()), !stored.flags.contains(.rejected) else {
            throw MatrixError(.notFound, "The event is not known here")
        }
        _ = try await room(stored.pdu.roomID, for: origin, about: [stored.id])
        guard isSettled(stored) else { throw MatrixError.partialState(status: 404) }
        return try await transaction([stored], for: origin)
    }

    private func state(_ request: APIRequest, _ origin: ServerName, idsOnly: Bool) async throws -> APIResponse {
        let eventID: EventID = try request.identifier("event_id")
        let room = try await room(request.roomID(), for: origin, about: [eventID])
        guard let event = try await reader.event(eventID), event.roomNID == room.nid, let after = event.stateAfter
        else {
            throw MatrixError(.notFound, "The state at that event is not known here")
        }
        guard !event.flags.contains(.partialState) else { throw MatrixError.partialState(status: 403) }
        var state = try await reader.state(at: after)
        if let key = StateKey(of: event.pdu), !event.flags.contains(.rejected) {
            let old = try await environment.database.read { connection in
                try event.replaces.flatMap { try reader.log(connection).event(nid: $0) }
            }
            state[key] = old
        }
        let events = Array(state.values)
        let chain = try await authChain(of: events)
        if idsOnly {
            return .json([
                "pdu_ids": .array(events.map { .string($0.id.text) }),
                "auth_chain_ids": .array(chain.map { .string($0.id.text) }),
            ])
        }
        return .json { writer in
            writer.beginObject()
            writer.key("auth_chain")
            Self.write(chain, into: &writer)
            writer.key("pdus")
            Self.write(events, into: &writer)
            writer.endObject()
        }
    }

    private func eventAuth(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let room = try await room(request.roomID(), for: origin, about: [request.eventID()])
        guard let event = try await reader.event(request.eventID()), event.roomNID == room.nid else {
            throw MatrixError(.notFound, "The event is not known here")
        }
        let chain = try await authChain(of: [event])
        return .json { writer in
            writer.beginObject()
            writer.key("auth_chain")
            Self.write(chain, into: &writer)
            writer.endObject()
        }
    }

    /// All that events of one room lead to by their auth events.
    func authChain(of events: [StoredEvent]) async throws -> [StoredEvent] {
        try await environment.database.read { connection in
            let log = reader.log(connection)
            // Edges are kept for state events only; a message's are read from itself.
            // What was rejected may name events of other rooms.
            guard let room = events.first?.roomNID else { return [] }
            let direct = try log.nids(Array(Set(events.flatMap(\.pdu.authEvents))), room: room)
            let all = try log.authChain(of: direct.values).union(direct.values)
            return Array(try reader.events.events(all, from: log).values)
        }
    }

    private func backfill(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let from = request.queryValues("v").prefix(20).compactMap { try? EventID($0) }
        let room = try await room(request.roomID(), for: origin, about: from)
        let limit = try request.queryInteger("limit", default: 10, in: 1...Self.maximumBackfill)
        return try await transaction(try await walk(back: Array(from), in: room, limit: limit, stop: []), for: origin)
    }

    private func missingEvents(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        func ids(_ key: String) throws(MatrixError) -> [EventID] {
            (try request.optionalArray(key) ?? []).prefix(50).compactMap { $0.string.flatMap { try? EventID($0) } }
        }
        let limit = min(max(Int(try request.optionalInteger("limit") ?? 10), 1), Self.maximumMissing)
        let minimumDepth = try request.optionalInteger("min_depth") ?? 0
        let latest = try ids("latest_events")
        let room = try await room(request.roomID(), for: origin, about: latest)
        let earliest = Set(try ids("earliest_events"))
        let start = try await prevEvents(of: latest, in: room)
        var found = try await walk(
            back: start.filter { !earliest.contains($0) }, in: room, limit: limit, stop: earliest)
        found = found.filter { $0.pdu.depth >= minimumDepth }.sorted { ($0.pdu.depth, $0.id) < ($1.pdu.depth, $1.id) }
        let visible = try await visible(found, to: origin)
        return .json { writer in
            writer.beginObject()
            writer.key("events")
            writer.beginArray()
            for pdu in visible { writer.raw(pdu.canonicalJSON) }
            writer.endArray()
            writer.endObject()
        }
    }

    private func prevEvents(of ids: [EventID], in room: RoomRecord) async throws -> [EventID] {
        try await environment.database.read { connection in
            try reader.log(connection).events(ids: ids).values.filter { $0.roomNID == room.nid }
                .flatMap(\.pdu.prevEvents)
        }
    }

    /// Events reached from some by their previous events, these included, newest first by depth. Those that were rejected are
    /// left out, but not what they follow: it may be reached by them alone.
    private func walk(
        back from: [EventID], in room: RoomRecord, limit: Int, stop: Set<EventID>
    ) async throws -> [StoredEvent] {
        try await environment.database.read { connection in
            let log = reader.log(connection)
            var found: [EventID: StoredEvent] = [:]
            var passed: Set<EventID> = []
            var open = Set(from)
            while found.count < limit, !open.isEmpty {
                let events = try log.events(ids: Array(open)).values
                    .filter { $0.roomNID == room.nid }
                    .sorted { ($0.pdu.depth, $0.id) > ($1.pdu.depth, $1.id) }
                open = []
                for event in events where found.count < limit {
                    if event.flags.contains(.rejected) {
                        guard passed.count < limit, passed.insert(event.id).inserted else { continue }
                    } else {
                        found[event.id] = event
                    }
                    let earlier = event.pdu.prevEvents.filter { found[$0] == nil && !passed.contains($0) }
                    open.formUnion(earlier.filter { !stop.contains($0) })
                }
            }
            return found.values.sorted { ($0.pdu.depth, $0.id) > ($1.pdu.depth, $1.id) }
        }
    }

    // MARK: What a server may see

    /// Whether it is certain what becomes of an event: events of others that were judged by a part of the room's state are
    /// judged again, and not passed on before.
    private func isSettled(_ event: StoredEvent) -> Bool {
        !event.flags.contains(.partialState) || environment.isLocal(event.pdu.sender)
    }

    /// Events as a server may see them: those of times when none of its users could see them are redacted.
    private func visible(_ events: [StoredEvent], to server: ServerName) async throws -> [PDU] {
        var known: [StateRoot: Bool] = [:]
        var pdus: [PDU] = []
        let hidden = try await hidden(events, to: server)
        for event in events where isSettled(event) {
            if !hidden.contains(event.id), try await isVisible(event, to: server, &known) {
                pdus.append(event.pdu)
            } else if let redacted = try? event.pdu.redacted() {
                pdus.append(try await staysWhole(event, redacted) ? event.pdu : redacted)
            }
        }
        return pdus
    }

    /// What users said who asked to be forgotten, when no user of the server was in the room.
    private func hidden(_ events: [StoredEvent], to server: ServerName) async throws -> Set<EventID> {
        guard let erased else { return [] }
        let said = events.filter { !$0.pdu.isState && environment.isLocal($0.pdu.sender) }
        guard !said.isEmpty else { return [] }
        return try await environment.database.read { connection in
            let senders = try erased.among(Set(said.map(\.pdu.sender)), connection)
            var wasThere: [StateRoot: Bool] = [:]
            var hidden: Set<EventID> = []
            for event in said where senders.contains(event.pdu.sender) {
                var isThere = false
                if let root = event.stateAfter {
                    isThere =
                        try wasThere[root]
                        ?? members(of: server, at: root, connection).contains {
                            (try? RoomMember($0.pdu).membership) == .join
                        }
                    wasThere[root] = isThere
                }
                if !isThere { hidden.insert(event.id) }
            }
            return hidden
        }
    }

    /// The member events of a server's users in a state.
    private func members(
        of server: ServerName, at root: StateRoot, _ connection: any SQLConnection
    ) throws -> [StoredEvent] {
        let nids = try StateReader(connection, reader.states).all(at: root).filter { key, _ in
            key.type == .member && (try? UserID(key.stateKey))?.serverName == server
        }
        return Array(try reader.events.events(Array(nids.values), from: reader.log(connection)).values)
    }

    /// Whether a server that is in the room may see an event of it.
    func isVisible(_ event: StoredEvent, to server: ServerName) async throws -> Bool {
        var known: [StateRoot: Bool] = [:]
        return try await isVisible(event, to: server, &known)
    }

    private func isVisible(
        _ event: StoredEvent, to server: ServerName, _ known: inout [StateRoot: Bool]
    ) async throws -> Bool {
        // While the members are not known, a server that is said to be in the room is. Of what is known only as a part of some
        // state, it is not known when it came.
        guard event.pdu.sender.serverName != server, event.flags.isDisjoint(with: [.partialState, .outlier]),
            !isMembership(event.pdu, of: server)
        else { return true }
        var root = event.stateAfter
        if root == nil {
            // Of history that was fetched, the state is not always known; the next that is must do.
            root = try await environment.database.read {
                try reader.log($0).stateRoot(room: event.roomNID, near: event.position ?? 0)
            }
        }
        guard let root else { return false }
        if let answer = known[root] { return answer }
        let answer = try await isVisible(at: root, to: server)
        known[root] = answer
        return answer
    }

    /// Whether a server may see what was said in a state.
    private func isVisible(at root: StateRoot, to server: ServerName) async throws -> Bool {
        let key = StateKey(.historyVisibility, "")
        let text = try await reader.state(at: root, keys: [key])[key]?.pdu.content["history_visibility"]?.string
        let visibility = text.flatMap { HistoryVisibility(rawValue: $0) } ?? .shared
        // A server that is in the room now, as the one that asks is, sees what is shared.
        if visibility == .shared || visibility == .worldReadable { return true }
        let found = try await environment.database.read { connection in
            try members(of: server, at: root, connection)
        }
        return EventAudience(visibility).serverCanSee(
            found.map {
                EventAudience.Viewer(try? RoomMember($0.pdu).membership, joinedLater: true)
            })
    }

    private func transaction(_ events: [StoredEvent], for origin: ServerName) async throws -> APIResponse {
        let pdus = try await visible(events, to: origin)
        let now = environment.clock.now()
        return .json { writer in
            writer.beginObject()
            writer.key("origin")
            writer.string(environment.serverName.text)
            writer.key("origin_server_ts")
            writer.integer(now)
            writer.key("pdus")
            writer.beginArray()
            for pdu in pdus { writer.raw(pdu.canonicalJSON) }
            writer.endArray()
            writer.endObject()
        }
    }

    static func write(_ events: [StoredEvent], into writer: inout JSONWriter) {
        writer.beginArray()
        for event in events { writer.raw(event.pdu.canonicalJSON) }
        writer.endArray()
    }
}
