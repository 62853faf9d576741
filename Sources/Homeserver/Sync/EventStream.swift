internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The events of all of a user's rooms, or of one that the user may read, in the order in which they came; and what is
/// fleeting beside them. Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events>
struct EventStream: Sendable {
    /// A piece of the stream.
    struct Page: Sendable {
        var body: [UInt8]
        var count: Int
    }

    /// A room with the stretch of its timeline that the user may see.
    private struct Stretch {
        var visibility: TimelineVisibility
        var room: RoomID
        var end: Int64
    }

    let reading: RoomReading
    let requester: Requester
    /// Only this room.
    let room: RoomID?
    var start = SyncToken()

    private var user: UserID { requester.user }
    private var environment: Environment { reading.environment }

    /// The number of the room that is followed. Throws `M_FORBIDDEN` for one that the user may not read.
    func followed() async throws -> Int64? {
        guard let room else { return nil }
        return try await environment.database.read { connection in
            try RoomAccess(room, user: user, rooms: reading.rooms, connection).room.nid
        }
    }

    /// What there is now behind `start`; what does not fit comes with the next.
    func page() async throws -> Page {
        try await environment.database.read { connection in try page(connection) }
    }

    private func page(_ connection: any SQLConnection) throws -> Page {
        let current = SyncToken(try StreamPositions(connection).current())
        var end = current
        let (entries, reached) = try entries(upTo: current.events, connection)
        end.events = reached
        let others = try fleeting(upTo: current, connection)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("start")
        writer.string(start.description)
        writer.key("end")
        writer.string(end.description)
        writer.key("chunk")
        writer.beginArray()
        try reading.write(
            entries.map { ($0.event, $0.membership) }, for: reading.reader(requester), into: &writer, connection)
        for event in others { writer.raw(event) }
        writer.endArray()
        writer.endObject()
        return Page(body: writer.bytes, count: entries.count + others.count)
    }

    // MARK: Events

    private func entries(
        upTo: Int64, _ connection: any SQLConnection
    ) throws -> (entries: [TimelineWindow.Entry], reached: Int64) {
        guard start.events < upTo else { return ([], upTo) }
        let ignored = try IgnoredUsers.of(user, environment.sealer, connection)
        let limit = SyncLimits.eventStreamPage
        var found: [TimelineWindow.Entry] = []
        var reached = upTo
        for stretch in try stretches(upTo: upTo, ignored, connection, &found) {
            let timeline = TimelineReading(
                rooms: reading.rooms, connection: connection, visibility: stretch.visibility, filter: .all,
                ignored: ignored)
            let read = try timeline.read(after: start.events, upTo: stretch.end, limit: limit, newestFirst: false)
            found += read.entries
            if read.hasMore, let last = read.reached { reached = min(reached, last) }
        }
        found.sort { $0.position < $1.position }
        if found.count > limit { reached = min(reached, found[limit - 1].position) }
        return (found.filter { $0.position <= reached }, reached)
    }

    /// The rooms that have news; invites are found at once.
    private func stretches(
        upTo: Int64, _ ignored: Set<String>, _ connection: any SQLConnection,
        _ invites: inout [TimelineWindow.Entry]
    ) throws -> [Stretch] {
        if let room {
            let access = try RoomAccess(room, user: user, rooms: reading.rooms, connection)
            return [Stretch(visibility: access.visibility, room: room, end: min(access.end ?? upTo, upTo))]
        }
        var stretches: [Stretch] = []
        let blocksInvites = try InviteBlocking.isOn(for: user, environment.sealer, connection)
        let log = reading.rooms.log(connection)
        for room in try SyncRooms(connection).changed(of: user, after: start.events) {
            guard let event = try reading.rooms.events.events([room.memberNID], from: log)[room.memberNID] else {
                continue
            }
            let place = try event.position ?? log.position(of: event.id) ?? room.memberPosition
            switch room.membership {
            case .invite, .knock:
                let isShown = !blocksInvites && !ignored.contains(event.pdu.sender.text)
                if isShown, place > start.events, place <= upTo {
                    invites.append(.init(event: event, position: place, membership: room.membership))
                }
            case .join, .leave, .ban:
                let visibility = try TimelineVisibility(
                    rooms: reading.rooms, connection: connection, user: user, roomNID: room.nid,
                    membership: room.membership, memberNID: room.memberNID)
                stretches.append(
                    Stretch(visibility: visibility, room: room.id, end: room.membership == .join ? upTo : place))
            }
        }
        return stretches
    }

    // MARK: What is fleeting

    private func fleeting(upTo current: SyncToken, _ connection: any SQLConnection) throws -> [[UInt8]] {
        var names: [Int64: RoomID] = [:]
        var only: Int64?
        if let room, let record = try RoomStore(connection).room(room) {
            only = record.nid
            names[record.nid] = room
        }
        func name(_ nid: Int64) throws -> RoomID? {
            if let known = names[nid] { return known }
            names[nid] = try RoomStore(connection).room(nid: nid)?.id
            return names[nid]
        }
        var events: [JSONValue] = []
        let receipts = try ReceiptStore(connection).changes(for: user, after: start.receipts, upTo: current.receipts)
        for (nid, list) in Dictionary(grouping: receipts, by: \.roomNID).sorted(by: { $0.key < $1.key })
        where only == nil || only == nid {
            guard let room = try name(nid) else { continue }
            events += ReceiptContent.contents(of: list).map {
                ["type": "m.receipt", "room_id": .string(room.text), "content": $0]
            }
        }
        let typing = TypingStore(connection)
        let now = environment.clock.now()
        for nid in try typing.changedRooms(for: user, after: start.typing, upTo: current.typing).sorted()
        where only == nil || only == nid {
            guard let room = try name(nid) else { continue }
            let users = try typing.users(room: nid, now: now).map { JSONValue.string($0.text) }
            events.append([
                "type": "m.typing", "room_id": .string(room.text), "content": ["user_ids": .array(users)],
            ])
        }
        var written = events.map { $0.serialized() }
        guard room == nil else { return written }
        if environment.configuration.presence.isEnabled {
            for presence in try PresenceStore(connection).changes(
                for: user, after: start.presence, upTo: current.presence)
            {
                var writer = JSONWriter()
                PresenceContent.writeEvent(presence, now: now, into: &writer)
                written.append(writer.bytes)
            }
        }
        let data = try AccountDataStore(connection, environment.sealer).changes(
            user, after: start.accountData, upTo: current.accountData)
        for entry in data {
            var writer = JSONWriter()
            writer.accountData(entry, withRoom: true)
            written.append(writer.bytes)
        }
        return written
    }
}
