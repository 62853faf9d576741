internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Paging through history. Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>
extension RoomReading {
    /// One page of a room's history.
    private struct Page: Sendable {
        var body: [UInt8]
        var count: Int
        var room: RoomRecord
        /// The history that goes on behind the page, and that this server does not hold.
        var gap: HistoryGap?
        /// Whether the gap comes before the page, which is not read yet.
        var beginsInGap = false
    }

    /// Gaps looked into for one page.
    private static let gapsPerPage = 3

    private struct Paging: Sendable {
        var room: RoomID
        var from: TimelineToken?
        var to: TimelineToken?
        var isBackward: Bool
        var limit: Int
        var filter: EventFilter
    }

    func messages(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let isBackward: Bool
        switch request.query("dir") {
        case nil, "b": isBackward = true
        case "f": isBackward = false
        default: throw MatrixError(.invalidParameter, "dir is neither b nor f")
        }
        let filter = try FilterReader.eventFilter(request.query("filter"))
        let maximum = environment.configuration.limits.messagesPageMaximum
        let paging = Paging(
            room: try request.roomID(), from: try token(request, "from"), to: try token(request, "to"),
            isBackward: isBackward,
            limit: try request.queryInteger("limit", default: min(filter.limit ?? 10, maximum), in: 0...maximum),
            filter: filter)
        // What nobody has is passed over.
        var lost: Set<EventID> = []
        var found = try await page(paging, requester, without: lost)
        for _ in 0..<Self.gapsPerPage {
            guard let gap = found.gap, found.count < paging.limit, let backfill else { break }
            let came = await backfill.backfill(found.room, gap, limit: max(paging.limit, 50))
            if !came, gap.end == nil { break }
            if !came { lost.formUnion(gap.missing) }
            found = try await page(paging, requester, without: lost)
        }
        if found.beginsInGap, let gap = found.gap {
            found = try await page(paging, requester, without: lost.union(gap.missing))
        }
        return .json(bytes: found.body)
    }

    private func token(_ request: APIRequest, _ name: String) throws(MatrixError) -> TimelineToken? {
        guard let text = request.query(name), !text.isEmpty else { return nil }
        return try TimelineToken(text)
    }

    private func page(
        _ paging: Paging, _ requester: Requester, without lost: Set<EventID>
    ) async throws -> Page {
        let reader = reader(requester)
        let sealer = environment.sealer
        return try await environment.database.read { connection in
            let access = try RoomAccess(paging.room, user: requester.user, rooms: rooms, connection)
            let ignored = try IgnoredUsers.of(requester.user, sealer, connection)
            let missing = try rooms.log(connection).backwardExtremities(room: access.room.nid)
            let gaps = paging.isBackward && backfill != nil ? Set(missing).subtracting(lost) : []
            let reading = TimelineReading(
                rooms: rooms, connection: connection, visibility: access.visibility, filter: paging.filter,
                ignored: ignored, gaps: gaps)
            let newest = access.end ?? access.room.lastPosition
            let start = paging.from ?? TimelineToken(after: paging.isBackward ? newest : -SyncLimits.greatestPosition)
            guard paging.filter.allows(room: paging.room) else {
                return Page(
                    body: JSONValue.object(["start": .string(start.description), "chunk": [], "state": []])
                        .serialized(), count: 0, room: access.room)
            }
            if let from = paging.from, let gap = try gap(above: from, in: access.room, gaps, connection) {
                return Page(body: [], count: 0, room: access.room, gap: gap, beginsInGap: true)
            }
            let (after, upTo): (Int64?, Int64) =
                paging.isBackward
                ? (paging.to?.position, min(start.position, newest))
                : (start.position, min(paging.to?.position ?? newest, newest))
            let found = try reading.read(
                after: after, upTo: upTo, limit: paging.limit, newestFirst: paging.isBackward)
            var gap: HistoryGap?
            if let gapEvent = found.gapEvent, let position = found.reached {
                gap = HistoryGap(missing: gapEvent.pdu.prevEvents.filter(gaps.contains), end: position)
            } else if paging.isBackward, !found.hasMore, paging.to == nil, !missing.isEmpty {
                gap = HistoryGap(missing: missing)
            }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("start")
            writer.string(start.description)
            if found.hasMore || (gap != nil && backfill != nil) {
                let reached = found.reached ?? (paging.isBackward ? upTo + 1 : start.position)
                writer.key("end")
                writer.string(
                    (paging.isBackward ? TimelineToken(before: reached) : TimelineToken(after: reached)).description)
            }
            writer.key("chunk")
            writer.beginArray()
            try write(found.entries.map { ($0.event, $0.membership) }, for: reader, into: &writer, connection)
            writer.endArray()
            writer.key("state")
            writer.beginArray()
            if paging.filter.lazyLoadsMembers {
                try write(
                    senders(of: found.entries, access, connection).map { ($0, nil) }, for: reader, into: &writer,
                    connection)
            }
            writer.endArray()
            writer.endObject()
            return Page(body: writer.bytes, count: found.entries.count, room: access.room, gap: gap)
        }
    }

    /// The gap before the event behind which a page begins: a timeline, or the page before, ended at it.
    private func gap(
        above start: TimelineToken, in room: RoomRecord, _ gaps: Set<EventID>, _ connection: any SQLConnection
    ) throws -> HistoryGap? {
        guard !gaps.isEmpty else { return nil }
        let log = rooms.log(connection)
        let place = try log.places(
            room: room.nid, after: start.position, upTo: start.position + 1, limit: 1, newestFirst: true
        ).first
        guard let place, let event = try rooms.events.events([place.nid], from: log)[place.nid] else { return nil }
        let missing = event.pdu.prevEvents.filter(gaps.contains)
        return missing.isEmpty ? nil : HistoryGap(missing: missing, end: place.position)
    }

    /// The membership events of those who sent some events, as of the newest of them.
    private func senders(
        of entries: [TimelineWindow.Entry], _ access: RoomAccess, _ connection: any SQLConnection
    ) throws -> [StoredEvent] {
        guard let newest = entries.max(by: { $0.position < $1.position }) else { return [] }
        let keys = Set(entries.map { StateKey(.member, $0.event.pdu.sender.text) })
        var root = newest.event.stateAfter
        if root == nil {
            root = try rooms.log(connection).stateRoot(room: access.room.nid, near: newest.position)
        }
        return try rooms.state(at: root ?? access.root, keys: Array(keys), in: connection).values
            .sorted { $0.nid < $1.nid }
    }

    // MARK: Around an event

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>
    func context(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let id = try request.eventID()
        let maximum = environment.configuration.limits.messagesPageMaximum
        let limit = try request.queryInteger("limit", default: 10, in: 0...maximum)
        let filter = try FilterReader.eventFilter(request.query("filter"))
        let reader = reader(requester)
        let sealer = environment.sealer
        let bytes = try await environment.database.read { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            let log = rooms.log(connection)
            guard let event = try log.event(id), event.roomNID == access.room.nid, let place = event.position,
                Self.isWithin(access, place)
            else { throw Self.notFound }
            let seen = try access.visibility.look(event, at: place)
            guard seen.isVisible else { throw Self.notFound }
            let reading = TimelineReading(
                rooms: rooms, connection: connection, visibility: access.visibility, filter: filter,
                ignored: try IgnoredUsers.of(requester.user, sealer, connection))
            let around = filter.allows(room: roomID) ? limit : 0
            let before = try reading.read(after: nil, upTo: place - 1, limit: around / 2, newestFirst: true)
            let after = try reading.read(
                after: place, upTo: access.end, limit: around - around / 2, newestFirst: false)
            let last = after.entries.last ?? .init(event: event, position: place, membership: seen.membership)
            var root = last.event.stateAfter
            if root == nil { root = try log.stateRoot(room: access.room.nid, near: last.position) }
            var state = try StateReader(connection, rooms.states).all(at: root ?? access.root)
            if filter.lazyLoadsMembers {
                let senders = Set((before.entries + after.entries + [last]).map(\.event.pdu.sender.text))
                    .union([event.pdu.sender.text])
                state = state.filter { $0.key.type != .member || senders.contains($0.key.stateKey) }
            }
            let stateEvents = try rooms.events.events(Array(state.values), from: log).values
                .sorted { $0.nid < $1.nid }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("start")
            writer.string(TimelineToken(before: before.reached ?? place).description)
            writer.key("end")
            writer.string(TimelineToken(after: after.reached ?? place).description)
            writer.key("event")
            try write([(event, seen.membership)], for: reader, into: &writer, connection)
            for (name, entries) in [("events_before", before.entries), ("events_after", after.entries)] {
                writer.key(name)
                writer.beginArray()
                try write(entries.map { ($0.event, $0.membership) }, for: reader, into: &writer, connection)
                writer.endArray()
            }
            writer.key("state")
            writer.beginArray()
            try write(stateEvents.map { ($0, nil) }, for: reader, into: &writer, connection)
            writer.endArray()
            writer.endObject()
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event>
    func eventByTimestamp(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        guard let text = request.query("ts") else { throw MatrixError(.missingParameter, "Missing ts") }
        guard let timestamp = Int64(text) else { throw MatrixError(.invalidParameter, "ts is not an integer") }
        let direction = request.query("dir") ?? "f"
        guard direction == "f" || direction == "b" else {
            throw MatrixError(.invalidParameter, "dir is neither b nor f")
        }
        let forward = direction == "f"
        var found = try await event(closestTo: timestamp, forward: forward, in: roomID, requester)
        if let room = found.incomplete, let backfill, await backfill.reach(timestamp, forward: forward, in: room) {
            found = try await event(closestTo: timestamp, forward: forward, in: roomID, requester)
        }
        guard let event = found.event else { throw MatrixError(.notFound, "No event at that time") }
        return .json([
            "event_id": .string(event.id.text), "origin_server_ts": .integer(event.pdu.originServerTimestamp),
        ])
    }

    /// The event closest to a time that the user may see; and the room, where history that is not here goes back further
    /// than that time.
    private func event(
        closestTo timestamp: Int64, forward: Bool, in roomID: RoomID, _ requester: Requester
    ) async throws -> (event: StoredEvent?, incomplete: RoomRecord?) {
        try await environment.database.read { connection in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            let log = rooms.log(connection)
            let room = access.room
            let event = try log.events(
                room: room.nid, closestTo: timestamp, forward: forward, limit: SyncLimits.timestampCandidates
            ).first {
                try Self.isWithin(access, $0.position) && access.visibility.look($0, at: $0.position).isVisible
            }
            let isCovered =
                try !log.events(room: room.nid, closestTo: timestamp, forward: false, limit: 1).isEmpty
                || log.backwardExtremities(room: room.nid).isEmpty
            return (event, isCovered ? nil : room)
        }
    }
}
