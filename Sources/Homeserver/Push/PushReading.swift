internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// An event that a user is to be notified of.
struct PushableEvent: Sendable {
    /// Its position in the stream `events`.
    var position: Int64
    var event: PDU
    /// nil for an invite to a room that this server is not in.
    var room: SyncRoom?
    var outcome: PushOutcome
    /// Stripped state of a room that this server is not in: a JSON array.
    var strippedState: [UInt8] = []

    var roomNID: Int64 { room?.nid ?? 0 }
}

/// Finds what users are to be notified of: in the stream `events` after a position, by their push rules, when it is asked
/// for. There is no row for a user and an event.
struct PushReading: Sendable {
    /// What was found.
    struct Found: Sendable {
        var events: [PushableEvent] = []
        /// Everything up to it was looked at.
        var upTo: Int64
        /// Whether more lies behind it.
        var isCut = false
    }

    let rooms: RoomReader
    let evaluation: PushEvaluation

    /// What a user is to be notified of after a position, in order.
    /// - Parameters:
    ///   - upTo: the last position that is looked at; nil for all.
    ///   - nids: the rooms that have something new, if that is known.
    ///   - limit: the most events that are found.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func events(
        for user: UserID, after: Int64, upTo: Int64?, in nids: Set<Int64>?, limit: Int, _ connection: any SQLConnection
    ) throws -> Found {
        let newest = try StreamPositions(connection).current("events")
        let end = max(after, min(newest, upTo ?? newest))
        var found = Found(upTo: end)
        guard after < end else { return found }
        let store = SyncRooms(connection)
        let changed = try nids.map { try store.joined($0, of: user) } ?? store.changed(of: user, after: after)
        let log = rooms.log(connection)
        var places: [(place: EventLog.Place, room: SyncRoom)] = []
        for room in changed.sorted(by: { $0.nid < $1.nid }) {
            switch room.membership {
            case .join:
                let new = try log.places(
                    room: room.nid, after: after, upTo: end, limit: PushLimits.eventsPerRoom, newestFirst: false)
                places += new.map { ($0, room) }
                if new.count == PushLimits.eventsPerRoom, let last = new.last {
                    found.upTo = min(found.upTo, last.position)
                    found.isCut = true
                }
            case .invite where room.memberPosition > after:
                places.append((.init(position: room.memberPosition, nid: room.memberNID), room))
            case .invite, .knock, .leave, .ban: continue
            }
        }
        let invites = nids == nil ? try received(by: user, after: after, connection) : []
        guard !places.isEmpty || !invites.isEmpty else { return found }
        places.sort { $0.place.position < $1.place.position }
        let ignored = try IgnoredUsers.of(user, rooms.sealer, connection)
        let rules = try evaluation.rules(of: user, connection)
        var events = try judged(places, upTo: found.upTo, user, rules, ignored, connection)
        for invite in invites where !ignored.contains(invite.sender.text) && invite.position <= found.upTo {
            if let event = try judged(invite, user, rules, connection) { events.append(event) }
        }
        events.sort { $0.position < $1.position }
        if events.count > limit {
            events.removeLast(events.count - limit)
            found.upTo = events.last?.position ?? found.upTo
            found.isCut = true
        }
        found.events = events
        return found
    }

    private func judged(
        _ places: [(place: EventLog.Place, room: SyncRoom)], upTo end: Int64, _ user: UserID, _ rules: PushRuleset,
        _ ignored: Set<String>, _ connection: any SQLConnection
    ) throws -> [PushableEvent] {
        let log = rooms.log(connection)
        let stored = try rooms.events.events(places.map(\.place.nid), from: log)
        var visibility: [Int64: TimelineVisibility] = [:]
        var follows: [Int64: Bool] = [:]
        for inRoom in Dictionary(grouping: places, by: \.room.nid).values {
            guard let room = inRoom.first?.room else { continue }
            let events = inRoom.compactMap { stored[$0.place.nid] }
            follows.merge(try evaluation.follows(events, in: room, user, connection)) { $1 }
        }
        var found: [PushableEvent] = []
        for (place, room) in places where place.position <= end {
            guard let event = stored[place.nid], event.pdu.sender != user, !ignored.contains(event.pdu.sender.text),
                let outcome = try evaluation.outcome(
                    of: event.pdu, in: room, for: user, by: rules, followsThread: follows[event.nid], connection),
                outcome.notifies
            else { continue }
            if room.membership == .join {
                let look = try visibility[room.nid] ?? self.visibility(of: room, for: user, connection)
                visibility[room.nid] = look
                guard try Self.concerns(event, at: place.position, look, user) else { continue }
            }
            found.append(.init(position: place.position, event: event.pdu, room: room, outcome: outcome))
        }
        return found
    }

    /// Who may see which events of a room.
    /// - Throws: `DatabaseError`.
    func visibility(
        of room: SyncRoom, for user: UserID, _ connection: any SQLConnection
    ) throws -> TimelineVisibility {
        try TimelineVisibility(
            rooms: rooms, connection: connection, user: user, roomNID: room.nid, membership: room.membership,
            memberNID: room.memberNID)
    }

    /// Whether a user was in the room at an event, or is invited by it: what was said before one came is no news.
    static func concerns(
        _ event: StoredEvent, at position: Int64, _ visibility: TimelineVisibility, _ user: UserID
    ) throws -> Bool {
        let look = try visibility.look(event, at: position)
        let isOwn = event.pdu.type == .member && event.pdu.stateKey == user.text
        return look.isVisible && (look.membership == .join || isOwn)
    }

    // MARK: Invites from other servers

    private func received(
        by user: UserID, after: Int64, _ connection: any SQLConnection
    ) throws -> [ReceivedInvite] {
        try RoomStore(connection).invites(of: user, sealer: rooms.sealer)
            .filter { $0.membership == .invite && $0.position > after }
    }

    /// What the rules say about an invite to a room that this server is not in.
    func judged(
        _ invite: ReceivedInvite, _ user: UserID, _ rules: PushRuleset, _ connection: any SQLConnection
    ) throws -> PushableEvent? {
        guard let document = try? JSONDocument(invite.event),
            let pdu = try? PDU(parsing: document.root, version: invite.version)
        else { return nil }
        var pushed = PushedEvent(
            document.root, sender: invite.sender, roomID: invite.roomID, memberCount: 0
        ) { _ in false }
        guard let outcome = pushed.outcome(for: user, by: rules), outcome.notifies else { return nil }
        return PushableEvent(
            position: invite.position, event: pdu, room: nil, outcome: outcome, strippedState: invite.strippedState)
    }
}
