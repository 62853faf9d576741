public import MatrixModel
internal import SQLDatabase

/// The one door by which events get in, local and remote.
extension EventLog {
    /// Writes events and what follows from them, all or nothing: rows, auth edges, state nodes, the room's head,
    /// memberships, redactions, positions, the outbox, answers to transaction ids.
    /// - Throws: `RoomHeadMoved` when the head is not the expected one; `RepeatedTransaction`; `DatabaseError`, of kind
    ///   `.constraint` when one of the events was appended meanwhile. Nothing is kept then: let the error out of the
    ///   transaction.
    public func append(_ append: RoomAppend) throws -> AppendedPositions {
        var statements: [SQL] = StateWriter.storing(append.state.nodes, room: append.roomNID)
        let replies = append.events.enumerated().filter { $0.element.origin != nil }
        let firstReply = statements.count
        for (_, event) in replies {
            guard let origin = event.origin else { continue }
            statements.append(
                ReplyLog.recording(Self.response(for: event.pdu.id), to: origin, now: append.now))
        }
        statements += edges(append.events)
        statements += try AuthPlacing(self).statements(for: append.events)
        statements += redactions(append)

        let newEvents = append.events.filter { $0.place == .live }.count
        // A room whose members have become known is news without an event.
        let live = max(newEvents, append.completeness.isPartial == false ? 1 : 0)
        let backfilled = append.events.filter { $0.place == .backfilled }.count
        let backfillStep = backfilled > 0 ? statements.count : nil
        if backfilled > 0 { statements.append(StreamPositions.advancing("backfill", by: backfilled)) }
        // Old history that came late is looked at again, for it may be too old to stay.
        if append.events.contains(where: { $0.place != .live && $0.place != .none && $0.place != .kept }) {
            statements.append(
                """
                UPDATE room_histories SET looked_at = \(-StreamPositions.greatest) WHERE room_nid = \(append.roomNID)
                """)
        }
        let eventsStep = live > 0 ? statements.count : nil
        if live > 0 {
            statements.append(StreamPositions.advancing("events", by: live))
        }
        statements += PartialRoomStore.noting(append)

        let headStep = statements.count
        if let head = append.head {
            statements.append(change(append, to: head, isMoving: live > 0))
        } else {
            // The room may have been deleted meanwhile, or more of it have become known.
            let asKnown: SQL = append.expectedKnowledge.map { "AND flags = \($0.flags)" } ?? ""
            statements.append(
                "SELECT 1 FROM rooms WHERE room_nid = \(append.roomNID) \(asKnown) \(raw: connection.dialect.forShare)")
        }
        statements += try insertions(append, live: live, backfilled: backfilled)
        if newEvents == 0, append.completeness.isPartial == false, let head = append.head {
            statements.append(Self.headState(head.state, room: append.roomNID))
        }
        statements += members(append)
        statements += backwardExtremities(append)

        var rows: [[SQLRow]] = []
        for start in stride(from: 0, to: statements.count, by: Limits.statementsPerRoundTrip) {
            let end = min(start + Limits.statementsPerRoundTrip, statements.count)
            rows += try connection.executeAll(Array(statements[start..<end]))
        }

        if rows[headStep].isEmpty { throw RoomHeadMoved() }
        for (offset, (index, event)) in replies.enumerated() where rows[firstReply + offset].isEmpty {
            guard let origin = event.origin, let response = try ReplyLog(connection).response(to: origin) else {
                throw RoomHeadMoved()
            }
            throw RepeatedTransaction(index: index, response: response)
        }
        var appended = AppendedPositions()
        if let eventsStep, let row = rows[eventsStep].first { appended.last = try row.integer(0) }
        let lastBackfill = try backfillStep.flatMap { try rows[$0].first?.integer(0) }
        var liveIndex = 0
        var backfilledIndex = 0
        for event in append.events {
            switch event.place {
            case .live:
                liveIndex += 1
                if let last = appended.last {
                    appended.positions[event.nid] = last - Int64(live - liveIndex) * StreamPositions.eventStep
                }
            case .backfilled:
                backfilledIndex += 1
                if let last = lastBackfill {
                    appended.positions[event.nid] = -(last - Int64(backfilled - backfilledIndex))
                }
            case .filled(let position): appended.positions[event.nid] = position
            case .kept, .none: break
            }
        }
        try enqueue(append, appended)
        try notify(append, appended)
        return appended
    }

    /// The answer to a request that sent an event.
    public static func response(for id: EventID) -> [UInt8] {
        JSONValue.object(["event_id": .string(id.text)]).serialized()
    }

    // MARK: Statements

    private func change(_ append: RoomAppend, to head: RoomAppend.Head, isMoving: Bool) -> SQL {
        let position: SQL = isMoving ? "(SELECT position FROM streams WHERE name = 'events')" : "0"
        guard let expected = append.expectedHeadVersion else {
            return """
                INSERT INTO rooms (room_nid, room_id, version, head_version, state, extremities, depth, flags,
                last_position)
                SELECT \(append.roomNID), \(append.roomID.text), \(append.version.text), 1, \(head.state.bytes),
                \(RoomRecord.packed(head.extremities)), \(head.depth), \(RoomKnowledge(isPartial: append.completeness.isPartial ?? false).flags), \(position)
                WHERE NOT EXISTS (SELECT 1 FROM purge_jobs WHERE room_id = \(append.roomID.text) AND kind = 'room'
                    AND finished IS NULL)
                RETURNING head_version
                """
        }
        var moved: SQL = isMoving ? ", last_position = \(position)" : ""
        if let isPartial = append.completeness.isPartial { moved += ", \(RoomKnowledge.changed(isPartial: isPartial))" }
        return """
            UPDATE rooms SET head_version = head_version + 1, state = \(head.state.bytes),
            extremities = \(RoomRecord.packed(head.extremities)), depth = \(head.depth)\(moved)
            WHERE room_nid = \(append.roomNID) AND head_version = \(expected) RETURNING head_version
            """
    }

    /// Notes what a room's state is since its newest event.
    private static func headState(_ state: StateRoot, room: Int64) -> SQL {
        """
        UPDATE events SET head_state = \(state.bytes) WHERE room_nid = \(room)
        AND position = (SELECT MAX(position) FROM events WHERE room_nid = \(room))
        AND (state_after IS NULL OR state_after <> \(state.bytes))
        """
    }

    private func insertions(_ append: RoomAppend, live: Int, backfilled: Int) throws -> [SQL] {
        var statements: [SQL] = []
        var (liveIndex, backfilledIndex) = (0, 0)
        let newest = append.events.last { $0.place == .live }
        for event in append.events {
            let position: SQL
            var headState: StateRoot?
            switch event.place {
            case .live:
                liveIndex += 1
                if event.nid == newest?.nid, append.head?.state != event.stateAfter { headState = append.head?.state }
                let back = Int64(live - liveIndex) * StreamPositions.eventStep
                position = "(SELECT position FROM streams WHERE name = 'events') - \(back)"
            case .backfilled:
                backfilledIndex += 1
                position = "\(backfilled - backfilledIndex) - (SELECT position FROM streams WHERE name = 'backfill')"
            case .filled(let free): position = "\(free)"
            case .none:
                position = "NULL"
            case .kept:
                position = "position"
            }
            let pdu = event.pdu
            if event.place != .none, let note = RelationStore.noting(pdu, nid: event.nid, room: append.roomNID) {
                statements.append(note)
            }
            if event.place != .none,
                let note = StickyEventStore.noting(pdu, nid: event.nid, room: append.roomNID, now: append.now)
            {
                statements.append(note)
            }
            if event.place == .live, let cancel = DelayedEventStore.canceling(pdu) { statements.append(cancel) }
            if event.place != .none, SearchStore.concerns(pdu) {
                statements.append(SearchStore.queueing(nid: event.nid))
            }
            if event.isKnown {
                if event.place == .none { statements.append(RelationStore.forgetting(nid: event.nid)) }
                statements.append(
                    """
                    UPDATE events SET position = \(position), flags = \(event.flags.rawValue),
                    state_after = \(event.stateAfter?.bytes), replaces = \(event.replaces),
                    head_state = \(headState?.bytes)
                    WHERE event_nid = \(event.nid)
                    """)
                continue
            }
            let body = try sealer.seal(pdu.canonicalJSON, context: "event:" + pdu.id.text)
            statements.append(
                """
                INSERT INTO events (event_nid, room_nid, event_id, type, state_key, sender, depth, origin_server_ts,
                position, flags, state_after, replaces, head_state, sender_device, transaction_id, body)
                VALUES (\(event.nid), \(append.roomNID), \(pdu.id.text), \(StoredText.stored(pdu.type.text)),
                \(pdu.stateKey.map(StoredText.stored)), \(pdu.sender.text), \(pdu.depth),
                \(pdu.originServerTimestamp), \(position), \(event.flags.rawValue), \(event.stateAfter?.bytes),
                \(event.replaces), \(headState?.bytes), \(event.origin?.device?.text), \(event.origin?.transactionID), \(body))
                """)
        }
        return statements
    }

    private func edges(_ events: [EventInsertion]) -> [SQL] {
        events.filter { $0.pdu.isState && !$0.isKnown && !$0.authNIDs.isEmpty }
            .map { Self.edges(from: $0.nid, to: Set($0.authNIDs)) }
    }

    private static func edges(from nid: Int64, to auth: Set<Int64>) -> SQL {
        "INSERT INTO auth_edges (event_nid, auth_nid) VALUES "
            + auth.sorted().map { "(\(nid), \($0))" as SQL }.joined(separator: ", ")
            + " ON CONFLICT (event_nid, auth_nid) DO NOTHING"
    }

    /// The auth events of state events that came into the log after these and are not noted yet, by the event that names them.
    /// - Throws: `DatabaseError`.
    public func lateAuthEvents(of nids: [Int64]) throws -> [Int64: [Int64]] {
        let noted = try authEdges(of: nids)
        var late: [Int64: [Int64]] = [:]
        for event in try events(nids: nids).values where event.pdu.isState {
            let named = Set(try self.nids(event.pdu.authEvents, room: event.roomNID).values)
            let lacking = named.subtracting(noted[event.nid] ?? [])
            if !lacking.isEmpty { late[event.nid] = lacking.sorted() }
        }
        return late
    }

    /// Notes the auth events of state events that came into the log after these.
    /// - Returns: the numbers of those of which some did; caches are told of them.
    /// - Throws: `DatabaseError`, of kind `.constraint` when one of them got a place meanwhile: then it is to be done again.
    public func noteLateAuthEvents(of nids: [Int64]) throws -> [Int64] {
        let late = try lateAuthEvents(of: nids)
        guard !late.isEmpty else { return [] }
        let found = late.keys.sorted()
        try connection.executeAll(late.map { Self.edges(from: $0.key, to: Set($0.value)) })
        try connection.executeAll(AuthPlacing(self).statements(late: late))
        try connection.notify((["redacted"] + found.map { String($0) }).joined(separator: " "))
        return found
    }

    private func redactions(_ append: RoomAppend) -> [SQL] {
        var statements: [SQL] = []
        for (target, redaction) in append.pendingRedactions {
            statements.append(
                """
                INSERT INTO pending_redactions (target_event_id, redaction_nid, room_nid)
                SELECT \(target.text), \(redaction), \(append.roomNID)
                WHERE (SELECT COUNT(*) FROM pending_redactions WHERE room_nid = \(append.roomNID))
                < \(Limits.pendingRedactionsPerRoom)
                """)
        }
        for target in append.settledRedactions {
            statements.append("DELETE FROM pending_redactions WHERE target_event_id = \(target.text)")
        }
        return statements
    }

    private func redactionUpdates(_ append: RoomAppend) throws -> [SQL] {
        try append.redactions.flatMap { redaction -> [SQL] in
            let id = redaction.redacted.id.text
            let body = try sealer.seal(redaction.redacted.canonicalJSON, context: "event:" + id)
            let row: SQL =
                """
                UPDATE events SET body = \(body), redacted_by = \(redaction.by.text),
                flags = flags + \(EventFlags.redacted.rawValue)
                WHERE event_nid = \(redaction.target) AND redacted_by IS NULL
                """
            let relation = RelationStore.forgetting(nid: redaction.target)
            let words =
                SearchStore.forgettingRedacted(nid: redaction.target)
                + [StickyEventStore.forgetting(nid: redaction.target)]
            guard redaction.redacted.type == .member else { return [row] + words + [relation] }
            return [row] + words + [
                relation,
                """
                UPDATE room_members SET displayname = NULL, avatar_url = NULL
                WHERE room_nid = \(append.roomNID) AND event_nid = \(redaction.target)
                """,
            ]
        }
    }

    private func members(_ append: RoomAppend) -> [SQL] {
        var statements: [SQL] = []
        if append.replacesAllMembers {
            let kept = append.keptMembers.map(\.text)
            statements.append(
                "DELETE FROM room_members WHERE room_nid = \(append.roomNID)"
                    + (kept.isEmpty ? "" : " AND user_id NOT IN \(list: kept)"))
        }
        var gone: Set<UserID> = []
        for change in append.members {
            guard let (nid, pdu) = change.event, let membership = try? RoomMember(pdu).membership else {
                statements.append(
                    "DELETE FROM room_members WHERE room_nid = \(append.roomNID) AND user_id = \(change.user.text)")
                continue
            }
            let member = RoomMember(pdu)
            // Users of ours are told of in any case.
            if membership == .join, !append.replacesAllMembers, !append.concerned.contains(change.user) {
                statements += StickyEventStore.resending(in: append.roomNID, to: change.user, now: append.now)
            }
            statements.append(
                """
                INSERT INTO room_members
                (room_nid, user_id, server, membership, event_nid, position, displayname, avatar_url)
                VALUES (\(append.roomNID), \(change.user.text), \(change.user.serverName.text), \(membership), \(nid),
                (SELECT position FROM streams WHERE name = 'events'), \(member.displayName.map(StoredText.stored)),
                \(member.avatarURL.map(StoredText.stored)))
                ON CONFLICT (room_nid, user_id) DO UPDATE SET membership = excluded.membership,
                position = CASE WHEN room_members.event_nid = excluded.event_nid THEN room_members.position
                    ELSE excluded.position END,
                event_nid = excluded.event_nid, displayname = excluded.displayname, avatar_url = excluded.avatar_url
                """)
            if membership == .leave || membership == .ban { gone.insert(change.user) }
        }
        // A room that a user is invited to or in again is no longer forgotten, and its invite from elsewhere is used up.
        for user in append.concerned where !gone.contains(user) {
            statements.append(
                "DELETE FROM forgotten_rooms WHERE user_id = \(user.text) AND room_nid = \(append.roomNID)")
        }
        for user in append.concerned {
            statements.append(
                "DELETE FROM invites_received WHERE user_id = \(user.text) AND room_id = \(append.roomID.text)")
        }
        return statements
    }

    private func backwardExtremities(_ append: RoomAppend) -> [SQL] {
        append.newBackwardExtremities.map { id in
            """
            INSERT INTO backward_extremities (room_nid, event_id) VALUES (\(append.roomNID), \(id.text))
            ON CONFLICT (room_nid, event_id) DO NOTHING
            """
        }
            + append.closedBackwardExtremities.map { id in
                "DELETE FROM backward_extremities WHERE room_nid = \(append.roomNID) AND event_id = \(id.text)"
            }
    }

    // MARK: Afterwards

    private func enqueue(_ append: RoomAppend, _ appended: AppendedPositions) throws {
        // Redactions come after the insertions, for the target may be among them.
        let updates = try redactionUpdates(append)
        if !updates.isEmpty { try connection.executeAll(updates) }
        for event in append.events where !event.destinations.isEmpty {
            guard let position = appended.positions[event.nid] else { continue }
            try Outbox(connection).enqueue(
                eventNID: event.nid, position: position, roomNID: append.roomNID,
                destinations: event.destinations.map(\.text))
        }
    }

    /// `events <position> <room_nid> <user>…`: the users are those of ours whom the append concerns beside the joined;
    /// `*` for too many. `redacted <event_nid>…`: these events changed (or outliers got a place); caches forget them
    /// and what they name.
    /// `guest_access <room_nid>`: whether guests may be in the room may have changed.
    private func notify(_ append: RoomAppend, _ appended: AppendedPositions) throws {
        if let last = appended.last {
            let users =
                append.concerned.count > Limits.usersPerNotification ? ["*"] : append.concerned.map(\.text)
            try connection.notify((["events", String(last), String(append.roomNID)] + users).joined(separator: " "))
        }
        if append.events.contains(where: { $0.pdu.type == .guestAccess && $0.pdu.isState }) {
            try connection.notify("guest_access \(append.roomNID)")
        }
        let changed = append.redactions.map(\.target) + append.events.filter(\.isKnown).map(\.nid)
        for chunk in changed.map({ String($0) }).chunks(of: Limits.bindsPerStatement) {
            try connection.notify("redacted " + chunk.joined(separator: " "))
        }
    }
}
