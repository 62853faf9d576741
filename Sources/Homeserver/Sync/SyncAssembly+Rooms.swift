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
        if showsInvitesAnew { rooms += try found.invited(of: request.user).filter { !known.contains($0.id) } }
        try prepareCounting(&rooms)
        rooms = rooms.filter { request.filter.rooms.allows(room: $0.id) }.sorted { $0.nid < $1.nid }
        for (index, room) in rooms.enumerated() {
            if index % SyncLimits.roomsAhead == 0 {
                try readAhead(rooms[index..<min(index + SyncLimits.roomsAhead, rooms.count)])
            }
            switch room.membership {
            case .join where isHidden(room): break
            case .join:
                var own = extras.byNID.removeValue(forKey: room.nid) ?? RoomExtras()
                own.accountData = extras.dataByRoom[room.id] ?? []
                try addJoined(room, own)
            case .invite, .knock: try addInvited(room)
            case .leave, .ban: try addLeft(room, extras.dataByRoom[room.id] ?? [])
            }
        }
        try addReceivedInvites(besides: Set(rooms.map(\.id)))
    }

    /// Reads what is needed of the next rooms.
    private mutating func readAhead(_ rooms: ArraySlice<SyncRoom>) throws {
        let joined = rooms.filter { $0.membership == .join && !isHidden($0) }
        // Of one room nothing is won.
        guard joined.count > 1 else { return ahead = RoomsAhead() }
        ahead = try RoomsAhead(
            joined.map { room in (room, try wasJoined(room) ? request.since?.events : nil) }, for: self)
        try countAhead(joined)
    }

    /// Whether a room may be told as a whole: it was joined just now, or hidden until now.
    private func isNew(_ room: SyncRoom) -> Bool {
        guard let since = request.since else { return true }
        return room.membership == .join && (room.memberPosition > since.events || hidesPartial && isWholeNow(room))
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
        // A room that is told as a whole may have account data from before.
        if hasNewRooms, request.since != nil {
            data = try AccountDataStore(connection, sync.environment.sealer).all(request.user)
        }
        for entry in data {
            guard let room = entry.room, allows(entry, request.filter.roomAccountData) else { continue }
            dataByRoom[room, default: []].append(entry)
        }
        return (byNID, dataByRoom)
    }

    // MARK: Joined rooms

    private mutating func addJoined(_ room: SyncRoom, _ extras: RoomExtras) throws {
        var extras = extras
        let since = request.since
        let isWholeNow = self.isWholeNow(room)
        let wasJoined = try self.wasJoined(room)
        let known = wasJoined ? since : nil
        if !wasJoined {
            extras.receipts = try ahead.receipts(of: room.nid, known: known) {
                try ReceiptStore(connection).receipts(
                    room: room.nid, readableBy: request.user, limit: SyncLimits.receiptsPerRoom)
            }
            // Whoever began to type before the room was told types still.
            if since != nil, !extras.hasTyping {
                extras.hasTyping = try !TypingStore(connection).users(room: room.nid, now: request.now).isEmpty
            }
        } else if let since {
            extras.accountData.removeAll { $0.position <= since.accountData }
        }
        let hasEvents = known.map { room.lastPosition > $0.events } ?? true
        var window = TimelineWindow(end: current.events)
        let end = StatePoint(root: room.stateAtNewest)
        if hasEvents {
            window = try timeline(room, after: known?.events, upTo: current.events)
            try leaveOutOvertaken(in: &window, at: end)
        }
        let old = try known.flatMap { try log.stateRoot(room: room.nid, at: $0.events) }
        if since != nil { try companions.note(room, since: old, wasJoined: wasJoined && !isWholeNow) }
        // What was left out when the room was joined may be any state, and stands in no timeline.
        let isFull = !wasJoined || request.fullState || isWholeNow
        let state = try stateChanges(
            room, window,
            StateSpan(end: end, known: hasEvents ? old : nil, isFull: isFull))
        let sticky =
            hasEvents && ahead.mayHaveSticky(room.nid) ? try stickyEvents(room.nid, window, after: known?.events) : []
        let hasExtras = !sticky.isEmpty || !extras.receipts.isEmpty || extras.hasTyping || !extras.accountData.isEmpty
        let isSilent = window.entries.isEmpty && !window.isLimited && state.isEmpty && !hasExtras
        if isSilent, !isFull, !isWholeNow, !counting.partial.contains(room.nid) { return }
        hasNews = true
        // Apart from the others: what is written while `self` is used is copied, and all of them grow long.
        var writer = JSONWriter()
        writer.beginObject()
        try write(window, state, into: &writer)
        try writeSticky(sticky, into: &writer)
        writer.key("ephemeral")
        try writeEphemeral(room, extras, into: &writer)
        writer.key("account_data")
        writer.events(extras.accountData) { $0.accountData($1) }
        let counts = try sync.summaries.counts(room: room.nid, state: room.state, connection)
        let heroes = try sync.summaries.heroes(of: room, for: request.user, connection)
        writer.key("summary")
        writer.beginObject()
        if !heroes.isEmpty {
            writer.key("m.heroes")
            writer.beginArray()
            for hero in heroes { writer.string(hero.text) }
            writer.endArray()
        }
        writer.key("m.joined_member_count")
        writer.integer(counts.joined)
        writer.key("m.invited_member_count")
        writer.integer(counts.invited)
        writer.endObject()
        let unread = try tally(room)
        Self.write(unread, isByThread: request.filter.timeline.countsThreads, into: &writer)
        writer.endObject()
        joined.key(room.id.text)
        joined.raw(writer.bytes)
    }

    /// What the user was in rooms.
    var history: MembershipHistory {
        MembershipHistory(rooms: sync.rooms, connection: connection, user: request.user)
    }

    /// Events of one timeline.
    var timelineLimit: Int {
        let limits = sync.environment.configuration.limits
        return min(request.filter.timeline.limit ?? limits.syncTimelineDefault, limits.syncTimelineMaximum)
    }

    func timeline(_ room: SyncRoom, after: Int64?, upTo: Int64) throws -> TimelineWindow {
        let filter = request.filter.timeline
        var window = TimelineWindow(end: upTo)
        guard filter.allows(room: room.id) else { return window }
        let reading = try TimelineReading(
            room, for: request.user, filter: filter, ignoring: ignored, sync.rooms, connection, ahead: ahead)
        let found = try reading.read(after: after, upTo: upTo, limit: timelineLimit, newestFirst: true)
        window.entries = found.entries.reversed()
        window.isLimited = found.hasMore
        return window
    }

    func write(_ window: TimelineWindow, _ state: [StoredEvent], into writer: inout JSONWriter) throws {
        let texts = try sync.texts.texts(of: window.entries.map(\.event) + state, connection)
        let relations = try Aggregations(
            rooms: sync.rooms, texts: sync.texts, reader: reader, sealer: sync.environment.sealer,
            connection: connection
        ).of(window.entries.map(\.event).filter { ahead.mayBeRelated($0) })
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
        writer.key(request.stateAfterKey ?? "state")
        writer.events(state) { writer, event in
            EventTexts.write(
                event, texts[event.nid], for: reader, membership: nil, withRoomID: false, into: &writer)
        }
    }

    /// Receipts and typing have no sender of their own: a filter of senders picks those whose they are.
    private func writeEphemeral(_ room: SyncRoom, _ extras: RoomExtras, into writer: inout JSONWriter) throws {
        let filter = request.filter.ephemeral
        var events: [JSONValue] = []
        if !extras.receipts.isEmpty, filter.allows(type: "m.receipt"), filter.allows(room: room.id) {
            let receipts = extras.receipts.filter { filter.allows(sender: $0.user.text) }
            events += ReceiptContent.contents(of: receipts).map { ["type": "m.receipt", "content": $0] }
        }
        if extras.hasTyping, filter.allows(type: "m.typing"), filter.allows(room: room.id) {
            let users = try TypingStore(connection).users(room: room.nid, now: request.now)
                .filter { !ignored.contains($0.text) && filter.allows(sender: $0.text) }
            events.append(["type": "m.typing", "content": ["user_ids": .array(users.map { .string($0.text) })]])
        }
        writer.events(events) { $0.value($1) }
    }
}
