internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What is said about a joined room beside its events.
private struct RoomExtras {
    var receipts: [ReceiptStore.Receipt] = []
    var hasTyping = false
    var accountData: [AccountDataStore.Entry] = []
}

extension SyncAssembly {
    /// Adds the rooms there is something to say about.
    mutating func addRooms() throws {
        let found = SyncRooms(connection)
        var rooms =
            try request.since.map { try found.changed(of: request.user, after: $0.events) }
            ?? found.all(of: request.user, includingLeft: request.filter.includesLeft)
        if request.fullState, request.since != nil {
            let known = Set(rooms.map(\.nid))
            rooms += try found.all(of: request.user, includingLeft: false).filter { !known.contains($0.nid) }
        }
        var extras = try extras(hasNewRooms: rooms.contains { isNew($0) })
        let unchanged = Set(extras.byNID.keys).subtracting(rooms.map(\.nid))
        rooms += try found.joined(unchanged, of: request.user)
        let known = Set(rooms.map(\.id))
        let others = try extras.dataByRoom.keys.filter { !known.contains($0) }
            .compactMap { try RoomStore(connection).room($0)?.nid }
        rooms += try found.joined(others, of: request.user)
        rooms.sort { $0.nid < $1.nid }
        for room in rooms where request.filter.rooms.allows(room: room.id) {
            switch room.membership {
            case .join where isHidden(room): break
            case .join:
                var own = extras.byNID.removeValue(forKey: room.nid) ?? RoomExtras()
                own.accountData = extras.dataByRoom[room.id] ?? []
                try addJoined(room, own)
            case .invite, .knock: try addInvited(room)
            case .leave, .ban: try addLeft(room)
            }
        }
        try addReceivedInvites(besides: Set(rooms.map(\.id)))
    }

    private func isNew(_ room: SyncRoom) -> Bool {
        request.since.map { room.membership == .join && room.memberPosition > $0.events } ?? true
    }

    /// Receipts, typing and account data by room. For a first sync receipts are read room by room.
    private func extras(
        hasNewRooms: Bool
    ) throws -> (byNID: [Int64: RoomExtras], dataByRoom: [RoomID: [AccountDataStore.Entry]]) {
        var byNID: [Int64: RoomExtras] = [:]
        let typing = TypingStore(connection)
        let changed: [Int64]
        if let since = request.since {
            for receipt in try ReceiptStore(connection).changes(
                for: request.user, after: since.receipts, upTo: current.receipts)
            {
                byNID[receipt.roomNID, default: RoomExtras()].receipts.append(receipt)
            }
            changed = try typing.changedRooms(for: request.user, after: since.typing, upTo: current.typing)
        } else {
            changed = try typing.rooms(for: request.user, now: request.now)
        }
        for room in changed { byNID[room, default: RoomExtras()].hasTyping = true }
        var dataByRoom: [RoomID: [AccountDataStore.Entry]] = [:]
        var data = accountData
        // A room that was joined just now may have account data from before.
        if hasNewRooms, request.since != nil {
            data = try AccountDataStore(connection, sync.environment.sealer).all(request.user)
        }
        for entry in data {
            guard let room = entry.room, request.filter.roomAccountData.allows(type: entry.type),
                request.filter.roomAccountData.allows(room: room)
            else { continue }
            dataByRoom[room, default: []].append(entry)
        }
        return (byNID, dataByRoom)
    }

    // MARK: Joined rooms

    private mutating func addJoined(_ room: SyncRoom, _ extras: RoomExtras) throws {
        var extras = extras
        let since = request.since
        let isWholeNow = isCompleted(room)
        let wasJoined = try self.wasJoined(room)
        if !wasJoined {
            extras.receipts = try ReceiptStore(connection).receipts(
                room: room.nid, readableBy: request.user, limit: SyncLimits.receiptsPerRoom)
        } else if let since {
            extras.accountData.removeAll { $0.position <= since.accountData }
        }
        let known = wasJoined ? since : nil
        let hasEvents = known.map { room.lastPosition > $0.events } ?? true
        var window = TimelineWindow(end: current.events)
        if hasEvents { window = try timeline(room, after: known?.events, upTo: current.events) }
        let old = try known.flatMap { try log.stateRoot(room: room.nid, at: $0.events) }
        if since != nil { try noteCompanions(room, since: old, wasJoined: wasJoined && !isWholeNow) }
        let isFull = !wasJoined || request.fullState
        let state = try stateChanges(
            room, window, end: StatePoint(root: room.state), since: isFull ? nil : old, hasEvents: hasEvents)
        let hasExtras = !extras.receipts.isEmpty || extras.hasTyping || !extras.accountData.isEmpty
        let isSilent = window.entries.isEmpty && !window.isLimited && state.isEmpty && !hasExtras
        if isSilent, !isFull, !isWholeNow { return }
        hasNews = true
        joined.key(room.id.text)
        joined.beginObject()
        try write(window, state, into: &joined)
        joined.key("ephemeral")
        try writeEphemeral(room, extras, into: &joined)
        joined.key("account_data")
        joined.events(extras.accountData) { $0.accountData($1) }
        let counts = try sync.summaries.counts(room: room.nid, state: room.state, connection)
        let heroes = try sync.summaries.heroes(of: room, for: request.user, connection)
        joined.key("summary")
        joined.beginObject()
        if !heroes.isEmpty {
            joined.key("m.heroes")
            joined.beginArray()
            for hero in heroes { joined.string(hero.text) }
            joined.endArray()
        }
        joined.key("m.joined_member_count")
        joined.integer(counts.joined)
        joined.key("m.invited_member_count")
        joined.integer(counts.invited)
        joined.endObject()
        let unread = try sync.unread.counts(
            of: room, for: request.user, rulesPosition: rulesPosition(), ignoring: ignored, connection)
        joined.key("unread_notifications")
        joined.beginObject()
        joined.key("highlight_count")
        joined.integer(unread.highlights)
        joined.key("notification_count")
        joined.integer(unread.notifications)
        joined.endObject()
        joined.endObject()
    }

    /// The user's membership of a room at a position of the stream `events`.
    func membership(in room: SyncRoom, at position: Int64) throws -> Membership? {
        if room.memberPosition <= position { return room.membership }
        guard let root = try log.stateRoot(room: room.nid, at: position),
            let nid = try states.event(at: root, .member, request.user.text)
        else { return nil }
        return try membership(nid)
    }

    private func membership(_ nid: Int64) throws -> Membership? {
        try sync.rooms.events.events([nid], from: log)[nid].flatMap { try? RoomMember($0.pdu).membership }
    }

    private mutating func rulesPosition() throws -> Int64 {
        if let pushRulesPosition { return pushRulesPosition }
        let position = try sync.unread.rulesPosition(of: request.user, connection)
        pushRulesPosition = position
        return position
    }

    private func timeline(_ room: SyncRoom, after: Int64?, upTo: Int64) throws -> TimelineWindow {
        let filter = request.filter.timeline
        var window = TimelineWindow(end: upTo)
        guard filter.allows(room: room.id) else { return window }
        let limits = sync.environment.configuration.limits
        let limit = min(filter.limit ?? limits.syncTimelineDefault, limits.syncTimelineMaximum)
        let visibility = try TimelineVisibility(
            rooms: sync.rooms, connection: connection, user: request.user, roomNID: room.nid,
            membership: room.membership, memberNID: room.memberNID)
        let reading = TimelineReading(
            rooms: sync.rooms, connection: connection, visibility: visibility, filter: filter, ignored: ignored,
            gaps: Set(try log.backwardExtremities(room: room.nid)))
        let found = try reading.read(after: after, upTo: upTo, limit: limit, newestFirst: true)
        window.entries = found.entries.reversed()
        window.isLimited = found.hasMore
        return window
    }

    /// The state a client needs: the changes from `since` (all when nil) to the begin of the timeline, or to its end where
    /// the client asked for that.
    private func stateChanges(
        _ room: SyncRoom, _ window: TimelineWindow, end: StatePoint, since: StateRoot?, hasEvents: Bool
    ) throws -> [StoredEvent] {
        guard request.filter.state.allows(room: room.id) else { return [] }
        let isAfter = request.stateAfterKey != nil
        var point = end
        if !isAfter, let first = window.entries.first {
            point = try StatePoint(before: first.event, at: first.position, log)
        }
        var changes: [StateKey: Int64] = [:]
        if let since {
            // A timeline without a gap has all changes itself.
            if hasEvents, isAfter || window.isLimited { changes = try point.changes(since: since, states) }
        } else {
            changes = try point.all(states)
        }
        if request.filter.lazyLoadsMembers {
            var needed = Set(window.entries.map(\.event.pdu.sender.text))
            if since == nil {
                needed.insert(request.user.text)
                for hero in try sync.summaries.heroes(of: room, for: request.user, connection) {
                    needed.insert(hero.text)
                }
            }
            changes = changes.filter { $0.key.type != .member || needed.contains($0.key.stateKey) }
            let keys = needed.map { StateKey(.member, $0) }.filter { changes[$0] == nil }
            changes.merge(try point.events(keys, states)) { first, _ in first }
            if room.isPartial { changes.merge(try end.events(keys, states)) { first, _ in first } }
            if !isAfter {
                for entry in window.entries {
                    guard let key = StateKey(of: entry.event.pdu), key.type == .member else { continue }
                    // Whoever joins within the timeline is known from there.
                    if since != nil, entry.event.pdu.stateKey == entry.event.pdu.sender.text { changes[key] = nil }
                }
            }
        }
        let events = try sync.rooms.events.events(Array(changes.values), from: log)
        let filter = request.filter.state
        return events.values.filter { filter.allows($0.pdu) }.sorted { $0.nid < $1.nid }
    }

    /// Notes who came to share a room with the user, and who no longer may.
    private mutating func noteCompanions(_ room: SyncRoom, since old: StateRoot?, wasJoined: Bool) throws {
        guard wasJoined, let old else {
            for member in try RoomStore(connection).members(room: room.nid, membership: .join) {
                met.insert(member.user)
            }
            return
        }
        guard old != room.state else { return }
        let changes = try states.difference(from: old, to: room.state).filter { $0.key.type == .member }
        let nids = changes.flatMap { [$0.old, $0.new].compactMap { $0 } }
        let events = try sync.rooms.events.events(nids, from: log)
        func isJoined(_ nid: Int64?) -> Bool {
            nid.flatMap { events[$0] }.map { (try? RoomMember($0.pdu).membership) == .join } ?? false
        }
        for change in changes {
            guard let user = try? UserID(change.key.stateKey) else { continue }
            switch (isJoined(change.old), isJoined(change.new)) {
            case (false, true): met.insert(user)
            case (true, false): parted.insert(user)
            default: break
            }
        }
    }

    private func write(_ window: TimelineWindow, _ state: [StoredEvent], into writer: inout JSONWriter) throws {
        let texts = try sync.texts.texts(of: window.entries.map(\.event) + state, connection)
        let relations = try Aggregations(
            rooms: sync.rooms, texts: sync.texts, reader: reader, sealer: sync.environment.sealer,
            connection: connection
        ).of(window.entries.map(\.event))
        writer.key("timeline")
        writer.beginObject()
        writer.key("events")
        writer.beginArray()
        for entry in window.entries {
            EventTexts.write(
                entry.event, texts[entry.event.nid], for: reader, membership: entry.membership, withRoomID: false,
                relations: relations[entry.event.nid], into: &writer)
        }
        writer.endArray()
        writer.key("limited")
        writer.bool(window.isLimited)
        writer.key("prev_batch")
        writer.string(window.start.description)
        writer.endObject()
        if let key = request.stateAfterKey {
            writer.key(key)
        } else {
            writer.key("state")
        }
        writer.events(state) { writer, event in
            EventTexts.write(
                event, texts[event.nid], for: reader, membership: nil, withRoomID: false, into: &writer)
        }
        if request.stateAfterKey != nil {
            writer.key("state")
            writer.events(EmptyCollection<StoredEvent>()) { _, _ in }
        }
    }

    private func writeEphemeral(_ room: SyncRoom, _ extras: RoomExtras, into writer: inout JSONWriter) throws {
        let filter = request.filter.ephemeral
        var events: [JSONValue] = []
        if !extras.receipts.isEmpty, filter.allows(type: "m.receipt"), filter.allows(room: room.id) {
            events.append(["type": "m.receipt", "content": ReceiptContent.content(of: extras.receipts)])
        }
        if extras.hasTyping, filter.allows(type: "m.typing"), filter.allows(room: room.id) {
            let users = try TypingStore(connection).users(room: room.nid, now: request.now)
                .filter { !ignored.contains($0.text) }
            events.append(["type": "m.typing", "content": ["user_ids": .array(users.map { .string($0.text) })]])
        }
        writer.events(events) { $0.value($1) }
    }

    // MARK: Rooms left

    private mutating func addLeft(_ room: SyncRoom) throws {
        if let since = request.since, room.memberPosition <= since.events { return }
        guard let event = try sync.rooms.events.events([room.memberNID], from: log)[room.memberNID] else { return }
        let place = try event.position ?? log.position(of: event.id)
        let end = place ?? room.memberPosition
        let wasJoined = try self.wasJoined(room)
        let before = try event.replaces.flatMap { try membership($0) }
        var window = TimelineWindow(end: end)
        var state: [StoredEvent] = []
        if wasJoined || before == .join {
            let known = wasJoined ? request.since : nil
            window = try timeline(room, after: known?.events, upTo: end)
            let old = try known.flatMap { try log.stateRoot(room: room.nid, at: $0.events) }
            let point = StatePoint(root: event.stateAfter ?? room.state)
            state = try stateChanges(
                room, window, end: point, since: wasJoined && !request.fullState ? old : nil, hasEvents: true)
            for member in try RoomStore(connection).members(room: room.nid, membership: .join) {
                parted.insert(member.user)
            }
        } else if let place, request.filter.timeline.allows(event.pdu) {
            window.entries = [.init(event: event, position: place, membership: room.membership)]
        }
        hasNews = true
        left.key(room.id.text)
        left.beginObject()
        try write(window, state, into: &left)
        left.key("account_data")
        left.events(EmptyCollection<Int>()) { _, _ in }
        left.endObject()
    }

    // MARK: Invites and knocks

    private mutating func addInvited(_ room: SyncRoom) throws {
        if let since = request.since, room.memberPosition <= since.events, !request.fullState { return }
        guard let member = try sync.rooms.events.events([room.memberNID], from: log)[room.memberNID],
            !ignored.contains(member.pdu.sender.text)
        else { return }
        let keys = StrippedState.types.map { StateKey($0, "") } + [StateKey(.member, member.pdu.sender.text)]
        let found = try sync.rooms.state(at: member.stateAfter ?? room.state, keys: keys, in: connection)
        var events = keys.compactMap { found[$0] }.filter { $0.nid != member.nid }
        events.append(member)
        write(room.id, room.membership) { writer in
            writer.events(events) { StrippedState.write($1.pdu, into: &$0) }
        }
    }

    private mutating func write(
        _ room: RoomID, _ membership: Membership, _ state: (inout JSONWriter) -> Void
    ) {
        hasNews = true
        var writer = JSONWriter()
        writer.beginObject()
        writer.key(membership == .knock ? "knock_state" : "invite_state")
        state(&writer)
        writer.endObject()
        if membership == .knock {
            knocked.key(room.text)
            knocked.raw(writer.bytes)
        } else {
            invited.key(room.text)
            invited.raw(writer.bytes)
        }
    }

    /// Invites to rooms this server is not in, and those that were withdrawn.
    private mutating func addReceivedInvites(besides known: Set<RoomID>) throws {
        if let since = request.since, since.events == current.events, !request.fullState { return }
        let store = RoomStore(connection)
        for invite in try store.invites(of: request.user, sealer: sync.environment.sealer) {
            if let since = request.since, invite.position <= since.events, !request.fullState { continue }
            guard !ignored.contains(invite.sender.text), request.filter.rooms.allows(room: invite.roomID) else {
                continue
            }
            write(invite.roomID, invite.membership) { writer in
                writer.beginObject()
                writer.key("events")
                writer.raw(invite.strippedState)
                writer.endObject()
            }
        }
        guard let since = request.since else { return }
        for room in try store.invitesWithdrawn(of: request.user, after: since.events, upTo: current.events)
        where !known.contains(room) && request.filter.rooms.allows(room: room) {
            hasNews = true
            left.key(room.text)
            left.beginObject()
            left.key("timeline")
            left.value([
                "events": [], "limited": false, "prev_batch": .string(TimelineToken(after: since.events).description),
            ])
            left.key("state")
            left.value(["events": []])
            left.key("account_data")
            left.value(["events": []])
            left.endObject()
        }
    }
}
