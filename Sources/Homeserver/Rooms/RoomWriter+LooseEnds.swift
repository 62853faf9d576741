internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What servers do not have of a room because they, or this one, were out of it: its newest events of before, and what took them
/// out.
extension RoomWriter {
    /// Whether something stays beside a join.
    func hasLooseEnds(_ room: RoomID, _ join: PDU, _ followed: Set<EventID>) async throws -> Bool {
        try await environment.database.read { connection in
            guard let record = try RoomStore(connection).room(room) else { return false }
            return try !looseEnds(of: record, join, followed, connection).isEmpty
        }
    }

    /// Those of a room's newest events that a join does not follow, as many as an event may name beside it.
    private func looseEnds(
        of room: RoomRecord, _ join: PDU, _ followed: Set<EventID>, _ connection: any SQLConnection
    ) throws -> [StoredEvent] {
        guard !room.isPartial else { return [] }
        let named = followed.union(join.prevEvents).union([join.id])
        return try reader.log(connection).prevEvents(among: room.extremities, limit: RoomLimits.prevEvents - 1)
            .filter { event in
                event.stateAfter != nil && event.flags.isDisjoint(with: [.partialState, .assumedState])
                    && !named.contains(event.id)
            }
            .sorted { $0.nid < $1.nid }
    }

    /// Lets what a join does not follow stay among the newest events, and merges the states.
    /// - Parameters:
    ///   - append: the join as the room's only newest event; it and its state's events are in the log, or in here.
    ///   - record: the room after that.
    func keepLooseEnds(
        _ join: PDU, _ followed: Set<EventID>, in append: inout RoomAppend, _ record: inout RoomRecord,
        _ connection: any SQLConnection
    ) throws {
        guard append.expectedHeadVersion != nil, let existing = try RoomStore(connection).room(join.roomID),
            let inserted = append.events.last
        else { return }
        let ends = try looseEnds(of: existing, join, followed, connection)
        guard !ends.isEmpty else { return }
        let joined = StoredEvent(
            nid: inserted.nid, pdu: join, roomNID: record.nid, position: nil, flags: [],
            stateAfter: inserted.stateAfter,
            replaces: inserted.replaces)
        let merge = HeadMerge(reader: reader, connection: connection, room: record)
        let state = try merge.state(
            after: ends.map(\.nid) + [joined.nid], current: record.state, newest: record.state, pending: append.state,
            unstored: [joined.nid: joined])
        let members = try merge.members(in: state, unstored: [joined.nid: joined])
        append.members += members
        append.concerned += members.map(\.user).filter(environment.isLocal)
        append.state = state
        record.state = state.root
        record.extremities = ends.map(\.nid) + [joined.nid]
        append.head = RoomAppend.Head(state: state.root, extremities: record.extremities, depth: record.depth)
    }

    /// Sends servers once more those of a room's newest events that are ours, as far as they may see them: they may have come
    /// when these were out of the room, and then nobody took them in.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func sendEnds(of room: RoomID, to servers: [ServerName]) async throws {
        guard environment.configuration.federation.isEnabled, let record = try await reader.record(room) else { return }
        let ends = try await environment.database.read { connection in
            try reader.log(connection).prevEvents(among: record.extremities, limit: RoomLimits.prevEvents)
                .filter { environment.isLocal($0.pdu.sender) }
        }
        guard !ends.isEmpty else { return }
        let serving = RoomServing(environment: environment, reader: reader)
        // In one order everywhere, so that two writers seldom wait for each other.
        let others = servers.filter { $0 != environment.serverName }.sorted()
        for part in others.chunked(into: RoomLimits.serversToldAtOnce) {
            var told: [(server: String, pdus: [Outbox.PendingPDU])] = []
            for server in part {
                var pdus: [Outbox.PendingPDU] = []
                for event in ends {
                    // What the state is they are told in any case.
                    let isTold = event.pdu.isState ? true : try await serving.isVisible(event, to: server)
                    guard let position = event.position, isTold else { continue }
                    pdus.append(Outbox.PendingPDU(position: position, eventNID: event.nid))
                }
                told.append((server.text, pdus))
            }
            let sent = told
            try await environment.database.groupedWrite { connection in
                let outbox = Outbox(connection)
                for (server, pdus) in sent {
                    try outbox.enqueueAgain(pdus, roomNID: record.nid, destination: server)
                }
            }
        }
    }

    /// Sends a server of which nobody is in a room once more what took a user of its out; or what says who may come in, where
    /// that came later and the user was in until then. Another server's removal is sent once it is a minute old, by the time
    /// that it tells: who removes sends it first, and all who are in the room would.
    /// - Returns: whether it was sent. It is not where something of the room is on its way to the server.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func sendRemoval(of user: UserID, from room: RoomRecord) async throws -> Bool {
        guard environment.configuration.federation.isEnabled else { return false }
        let named = try await placed(reader.stateEvent(room, .member, user.text))
        let closing = try await closing(to: user, room)
        guard let (event, position) = closing.map({ $0.position > named?.position ?? 0 }) == true ? closing : named,
            event.pdu.sender.serverName != user.serverName,
            environment.isLocal(event.pdu.sender)
                || event.pdu.originServerTimestamp < environment.clock.now() - RoomLimits.othersRemovalAge
        else { return false }
        let (server, sealer) = (user.serverName.text, environment.sealer)
        return try await environment.database.groupedWrite { connection in
            let outbox = Outbox(connection)
            guard try !outbox.waits(room: room.nid, for: server) else { return false }
            let pdus = try outbox.removal(
                Outbox.PendingPDU(position: position, eventNID: event.nid), of: server, sealer: sealer)
            try outbox.enqueueAgain(pdus, roomNID: room.nid, destination: server)
            return true
        }
    }

    private typealias Placed = (event: StoredEvent, position: Int64)

    /// An event with its place among what came by itself; nil where it has none.
    private func placed(_ event: StoredEvent?) async throws -> Placed? {
        guard let event else { return nil }
        // A place may have been given to it after it was read.
        let position = try await environment.database.read {
            try event.position ?? reader.log($0).position(of: event.id)
        }
        return position.flatMap { $0 > 0 ? (event, $0) : nil }
    }

    /// The join rules, if a user was in the room until they came.
    private func closing(to user: UserID, _ room: RoomRecord) async throws -> Placed? {
        guard let rules = try await placed(reader.stateEvent(room, .joinRules)) else { return nil }
        let root = try await environment.database.read {
            try reader.log($0).stateRoot(room: room.nid, at: rules.position - 1)
        }
        let key = StateKey(.member, user.text)
        guard let root, let member = try await reader.state(at: root, keys: [key])[key],
            (try? RoomMember(member.pdu).membership) == .join
        else { return nil }
        return rules
    }
}
