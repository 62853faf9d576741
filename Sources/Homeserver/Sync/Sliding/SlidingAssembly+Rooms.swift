internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

extension SlidingAssembly {
    /// Types whose events move a room up in the lists of clients. Spec: MSC4186, `bump_stamp`
    private static let bumpTypes: [EventType] = [
        .create, .message, .encrypted, .sticker, .callInvite, .pollStart, "org.matrix.msc3381.poll.start",
        "m.beacon_info", "org.matrix.msc3672.beacon_info",
    ]

    /// Adds the rooms that the request is about and that there is something to say of.
    mutating func addRooms() throws {
        (wanted, counts, matched) = try list.choose(request)
        let (known, connection) = (sync.rooms, connection)
        // Of very many rooms there is mostly something to say of few.
        if request.shape == .simplified, from != nil, !wanted.isEmpty {
            counting.partial = Set(try UnreadStore(connection).partialRooms(of: request.user))
        }
        let all = wanted
        let open = all.filter { !isSettled($0.value) }.sorted { $0.key < $1.key }
        try readAhead(open.map(\.value.entry))
        for (id, wanted) in open {
            switch wanted.entry.kind {
            case .room(let room) where room.membership == .invite || room.membership == .knock:
                try addInvited(id, wanted) {
                    guard let preview = try InvitePreview(room, known, connection) else { return nil }
                    var writer = JSONWriter()
                    writer.beginArray()
                    for event in preview.events { StrippedState.write(event.pdu, into: &writer) }
                    writer.endArray()
                    return writer.bytes
                }
            case .room(let room): try add(room, wanted)
            case .invite(let invite): try addInvited(id, wanted) { invite.strippedState }
            case .withdrawn: try addWithdrawn(id, wanted)
            }
        }
    }

    /// Whether it is plain that the client has all there is of a room.
    private mutating func isSettled(_ wanted: SlidingRoomList.Wanted) -> Bool {
        guard let from, let record = state[wanted.entry.id], record.events == .now, !record.isInvite,
            let room = wanted.entry.room, room.membership == .join, wanted.entry.activity <= from.events,
            record.state == room.state, wanted.config.timelineLimit <= record.timeline, changedReceipts.isEmpty,
            changedData?.contains(where: { $0.room == nil }) == false, !counting.partial.contains(room.nid),
            wanted.lists.count == 1, !wanted.isSubscribed,
            let list = wanted.lists.first
        else { return false }
        let pair = Coverage(config: record.stateConfig, list: list)
        if let known = coverage[pair] { return known }
        let covers = state.required(record).covers(wanted.config.requiredState)
        coverage[pair] = covers
        return covers
    }

    // MARK: Rooms the user is not in

    private mutating func addInvited(
        _ id: RoomID, _ wanted: SlidingRoomList.Wanted, _ stripped: () throws -> [UInt8]?
    ) throws {
        let record = state[id]
        if let record, let from, let sent = record.events.position(at: from.events), wanted.entry.activity <= sent {
            state[id]?.events = .now
            return
        }
        guard let stripped = try stripped() else { return }
        var room = SlidingRoom(wanted.entry.membership)
        room.bumpStamp = wanted.entry.activity
        room.isInitial = record == nil
        room.stripped = stripped
        let direct = try list.directRooms().contains(id)
        if direct { room.isDirect = true }
        var next = SentRoom()
        next.events = .now
        next.isInvite = true
        next.isDirect = direct
        state[id] = next
        try write(room, id, wanted)
    }

    /// An invite to a room elsewhere that was withdrawn or declined.
    private mutating func addWithdrawn(_ id: RoomID, _ wanted: SlidingRoomList.Wanted) throws {
        var room = SlidingRoom(.leave)
        room.bumpStamp = wanted.entry.activity
        room.isInitial = true
        let member: [String: JSONValue] = [
            "type": .string(EventType.member.text), "state_key": .string(request.user.text),
            "sender": .string(request.user.text), "content": ["membership": "leave"],
        ]
        if request.shape == .stable {
            room.stripped = JSONValue.array([.object(member)]).serialized()
        } else {
            // Clients of this shape take stripped state for an invite, and learn of a departure from an event only.
            room.departure = .object(
                member.merging([
                    "event_id": .string("$withdrawn-\(wanted.entry.activity)"),
                    "origin_server_ts": .integer(eventReader.now),
                ]) { $1 })
        }
        state[id] = nil
        try write(room, id, wanted)
    }

    // MARK: Rooms the user is or was in

    private mutating func add(_ room: SyncRoom, _ wanted: SlidingRoomList.Wanted) throws {
        let config = wanted.config
        // Where members are not known yet, a client that wants them all is told later.
        if room.isPartial, config.requiredState.wantsAllMembers { return }
        guard let end = try end(of: room) else { return }
        let record = state[room.id]
        var sent = from.flatMap { record?.events.position(at: $0.events) }
        if record?.isInvite == true { sent = nil }
        let isRejoined = try sent.map { sent in
            try room.membership == .join && room.memberPosition > sent
                && history.membership(in: room, at: sent) != .join
        }
        if isRejoined == true { sent = nil }
        let hasEvents = sent.map { wanted.entry.activity > $0 } ?? true
        let isExpanded = sent != nil && end.isShown && config.timelineLimit > record?.timeline ?? 0
        let old = record.map { state.required($0) } ?? RequiredState()
        let hasReadOn = sent != nil && request.shape == .simplified && self.hasReadOn(room)
        let isDirect = try isDirect(room.id, record)
        let isSettled = !hasEvents && record?.state == end.state
        if isSettled, !isExpanded, !hasReadOn, old.covers(config.requiredState), isDirect == record?.isDirect {
            if record?.events != .now { state[room.id]?.events = .now }
            return
        }

        var result = SlidingRoom(room.membership)
        var next = sent == nil ? SentRoom() : record ?? SentRoom()
        result.isInitial = sent == nil
        result.isExpanded = isExpanded
        result.hasReadOn = hasReadOn
        if isDirect != (record?.isDirect ?? false) || (sent == nil && isDirect) { result.isDirect = isDirect }
        result.timeline = try timeline(
            room, end, limit: config.timelineLimit, after: isExpanded ? nil : sent, hasEvents: hasEvents || isExpanded)
        let selection = try select(
            room, end, config.requiredState, since: sent, known: next, knownConfig: sent == nil ? nil : old,
            result.timeline)
        let events = try sync.rooms.events.events(Array(selection.events), from: log)
        result.state = events.values.sorted { $0.nid < $1.nid }
        result.deleted = selection.deleted
        try describe(room, end, selection, into: &result)
        result.bumpStamp = try bumpStamp(room, result)

        next.events = .now
        next.isInvite = false
        next.isDirect = isDirect
        next.state = end.state
        next.stateConfig = state.number(of: selection.remembered)
        next.add(members: selection.members)
        if let timeline = result.timeline, sent == nil || isExpanded || timeline.isLimited {
            next.timeline = timeline.isLimited ? config.timelineLimit : SentRoom.wholeTimeline
        }
        // What else was sent of a room that is new to the client is sent again.
        state[room.id] = next
        if from == nil || result.isNews { try write(result, room.id, wanted) }
    }

    /// Where what the user may see of a room ends.
    struct End {
        var position: Int64
        var state: StateRoot
        /// The user's membership event, of a user who left.
        var departure: StoredEvent?
        /// Whether the user ever was in the room.
        var isShown: Bool
    }

    private func end(of room: SyncRoom) throws -> End? {
        if room.membership == .join { return End(position: current.events, state: room.state, isShown: true) }
        guard let event = try sync.rooms.events.events([room.memberNID], from: log)[room.memberNID] else { return nil }
        let place = try event.position ?? log.position(of: event.id)
        return End(
            position: place ?? room.memberPosition, state: event.stateAfter ?? room.state, departure: event,
            isShown: try history.hasJoined(room.memberNID))
    }

    private func timeline(
        _ room: SyncRoom, _ end: End, limit: Int, after: Int64?, hasEvents: Bool
    ) throws -> SlidingRoom.Timeline? {
        guard hasEvents, limit > 0 else { return nil }
        var window = TimelineWindow(end: end.position)
        if end.isShown {
            let reading = try TimelineReading(
                room, for: request.user, filter: .all, ignoring: ignored, sync.rooms, connection)
            let found = try reading.read(after: after, upTo: end.position, limit: limit, newestFirst: true)
            window.entries = found.entries.reversed()
            window.isLimited = found.hasMore
        } else if let departure = end.departure {
            window.entries = [.init(event: departure, position: end.position, membership: room.membership)]
        }
        let live = from.map { from in window.entries.count { $0.position > from.events } } ?? 0
        return .init(entries: window.entries, isLimited: window.isLimited, start: window.start, live: live)
    }

    /// Name, avatar, heroes and counts, as far as they are news.
    private mutating func describe(
        _ room: SyncRoom, _ end: End, _ selection: StateSelection, into result: inout SlidingRoom
    ) throws {
        guard end.isShown else {
            // Clients of the older shape take stripped state for an invite.
            if request.shape == .stable, let departure = end.departure {
                var writer = JSONWriter()
                writer.beginArray()
                StrippedState.write(departure.pdu, into: &writer)
                writer.endArray()
                result.stripped = writer.bytes
            }
            return
        }
        let isNew = result.isInitial
        let hasNewName = isNew || selection.changed.contains(StateKey(.name, ""))
        let hasNewAvatar = isNew || selection.changed.contains(StateKey(.avatar, ""))
        let hasNewMembers = isNew || selection.changed.contains { $0.type == .member }
        if hasNewName || hasNewAvatar || hasNewMembers {
            let traits = try reader.traits.current(at: end.state, connection)
            if hasNewName, !isNew || traits.name != nil { result.name = .now(traits.name) }
            if hasNewAvatar, !isNew || traits.avatar != nil { result.avatar = .now(traits.avatar) }
            if room.membership == .join, traits.name == nil, hasNewName || hasNewMembers {
                let rooms = SyncRooms(connection)
                let heroes = try rooms.heroes(room: room.nid, for: request.user, limit: SyncLimits.heroes)
                result.heroes = try rooms.profiles(of: heroes, room: room.nid).map {
                    .init(user: $0.user, displayName: $0.displayName, avatarURL: $0.avatarURL)
                }
            }
        }
        guard room.membership == .join else { return }
        if hasNewMembers {
            result.members = try sync.summaries.counts(room: room.nid, state: room.state, connection)
        }
        if request.shape == .simplified, result.isNews { result.unread = try unread(room) }
    }

    private func bumpStamp(_ room: SyncRoom, _ result: SlidingRoom) throws -> Int64? {
        guard room.membership == .join else { return max(0, room.memberPosition) }
        let entries = result.timeline?.entries ?? []
        if let entry = entries.last(where: { Self.bumpTypes.contains($0.event.pdu.type) }) {
            return max(0, entry.position)
        }
        guard result.isInitial || (result.timeline?.isLimited ?? true) else { return nil }
        let newest = try log.lastPosition(
            room: room.nid, of: Self.bumpTypes, upTo: current.events, limit: SyncLimits.bumpEvents)
        return max(0, newest ?? room.memberPosition)
    }

    /// Whether the user's own receipts went on in a room, or counting what is unread there.
    private func hasReadOn(_ room: SyncRoom) -> Bool {
        counting.partial.contains(room.nid)
            || changedReceipts.contains { $0.roomNID == room.nid && $0.user == request.user }
    }

    /// Whether a room is direct. Read anew only where that may not be what the client was told.
    private mutating func isDirect(_ room: RoomID, _ record: SentRoom?) throws -> Bool {
        let changed = changedData?.contains { $0.room == nil && $0.type == EventType.direct.text } ?? true
        if let record, record.events == .now, !changed { return record.isDirect }
        return try list.directRooms().contains(room)
    }
}
