internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Rooms that the user is not joined to.
extension SyncAssembly {
    // MARK: Rooms left

    mutating func addLeft(_ room: SyncRoom, _ accountData: [AccountDataStore.Entry]) throws {
        if let since = request.since, room.memberPosition <= since.events { return }
        guard let event = try sync.rooms.events.events([room.memberNID], from: log)[room.memberNID] else { return }
        let place = try event.position ?? log.position(of: event.id)
        let end = place ?? room.memberPosition
        let wasJoined = try self.wasJoined(room)
        let before = try event.replaces.flatMap { try history.membership($0) }
        var window = TimelineWindow(end: end)
        var state: [StoredEvent] = []
        if wasJoined || before == .join {
            let known = wasJoined ? request.since : nil
            window = try timeline(room, after: known?.events, upTo: end)
            let old = try known.flatMap { try log.stateRoot(room: room.nid, at: $0.events) }
            let point = StatePoint(
                root: try event.headState ?? event.stateAfter ?? log.stateRoot(room: room.nid, at: end) ?? room.state)
            try leaveOutOvertaken(in: &window, at: point)
            state = try stateChanges(
                room, window, StateSpan(end: point, known: old, isFull: !wasJoined || request.fullState))
            try companions.left(room.nid)
        } else if let place, request.filter.timeline.allows(event.pdu) {
            window.entries = [.init(event: event, position: place, membership: room.membership)]
        }
        hasNews = true
        var writer = JSONWriter()
        writer.beginObject()
        try write(window, state, into: &writer)
        writer.key("account_data")
        writer.events(accountData) { $0.accountData($1) }
        writer.endObject()
        left.key(room.id.text)
        left.raw(writer.bytes)
    }

    // MARK: Invites and knocks

    mutating func addInvited(_ room: SyncRoom) throws {
        if let since = request.since, room.memberPosition <= since.events, !request.fullState, !showsInvitesAnew {
            return
        }
        guard let preview = try InvitePreview(room, sync.rooms, connection),
            !ignored.contains(preview.member.pdu.sender.text), try room.membership != .invite || !blocksInvites()
        else { return }
        write(room.id, room.membership) { writer in
            writer.events(preview.events) { StrippedState.write($1.pdu, into: &$0) }
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
    mutating func addReceivedInvites(besides known: Set<RoomID>) throws {
        let isAnew = request.fullState || showsInvitesAnew
        if let since = request.since, since.events == current.events, !isAnew { return }
        let store = RoomStore(connection)
        for invite in try store.invites(of: request.user, sealer: sync.environment.sealer) {
            if let since = request.since, invite.position <= since.events, !isAnew { continue }
            guard !ignored.contains(invite.sender.text), request.filter.rooms.allows(room: invite.roomID),
                try invite.membership == .knock || !blocksInvites()
            else { continue }
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
