internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Lists what a user was notified of: worked out from the rooms' timelines by the push rules as they are now, the newest
/// first. One page looks at a bounded number of events, so it may be short, or empty, and still have a next one.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#listing-notifications>
struct NotificationListing: RouteGroup {
    /// A room of which not all was looked at.
    private struct Open {
        var room: SyncRoom
        /// What was read of it and not taken yet, the newest first.
        var places: [EventLog.Place] = []
        /// Where to read on: positions below.
        var below: Int64
        var visibility: TimelineVisibility
        var read: ReadPlaces
    }

    private struct Page: Sendable {
        var notifications: [[UInt8]] = []
        var next: Int64?
    }

    let environment: Environment
    let reading: PushReading
    let texts: EventTexts

    func register(on router: inout Router) { router.on(.getNotifications, list) }

    @Sendable private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let limit = try request.queryInteger(
            "limit", default: PushLimits.notificationsDefault, in: 1...PushLimits.notificationsPage)
        var before: Int64?
        if let token = request.query("from"), !token.isEmpty {
            guard token.hasPrefix("n1_"), let position = Int64(token.dropFirst(3)), position > 0 else {
                throw MatrixError(.invalidParameter, "from is not a token of this endpoint")
            }
            before = position
        }
        let onlyHighlights = request.query("only") == "highlight"
        let now = environment.clock.now()
        let user = requester.user
        let device = requester.device
        let page = try await environment.database.read { [self, before] connection in
            try self.page(
                of: EventReader(user: user, device: device, now: now), before: before, limit: limit,
                onlyHighlights: onlyHighlights, connection)
        }
        return .json { writer in
            writer.beginObject()
            writer.key("notifications")
            writer.beginArray()
            for notification in page.notifications { writer.raw(notification) }
            writer.endArray()
            if let next = page.next {
                writer.key("next_token")
                writer.string("n1_\(next)")
            }
            writer.endObject()
        }
    }

    private func page(
        of reader: EventReader, before: Int64?, limit: Int, onlyHighlights: Bool, _ connection: any SQLConnection
    ) throws -> Page {
        let user = reader.user
        let start = before ?? Int64.max
        let log = reading.rooms.log(connection)
        let rules = try reading.evaluation.rules(of: user, connection)
        let ignored = try IgnoredUsers.of(user, environment.sealer, connection)
        var rooms: [SyncRoom] = []
        var invited: [EventLog.Place: SyncRoom] = [:]
        for room in try SyncRooms(connection).all(of: user, includingLeft: false) {
            if room.membership == .join { rooms.append(room) }
            if room.membership == .invite, room.memberPosition < start {
                invited[.init(position: room.memberPosition, nid: room.memberNID)] = room
            }
        }
        // Those with the newest events first: of the others, most are never read.
        rooms.sort { ($0.lastPosition, $0.nid) > ($1.lastPosition, $1.nid) }
        var unopened = rooms[...]
        var open: [Open] = []
        var pending = invited.keys.sorted { $0.position > $1.position }
        var page = Page()
        var looked = 0
        while page.notifications.count < limit, looked < PushLimits.eventsPerListing {
            // The room, or the invite, that has the newest event of those not looked at.
            while let next = unopened.first, open.allSatisfy({ ($0.places.first?.position ?? 0) < next.lastPosition }) {
                unopened.removeFirst()
                var new = Open(
                    room: next, below: start, visibility: try reading.visibility(of: next, for: user, connection),
                    read: try ReadPlaces(of: user, room: next.nid, connection))
                try fill(&new, log)
                if !new.places.isEmpty { open.append(new) }
            }
            let best = open.indices.max {
                (open[$0].places.first?.position ?? 0) < (open[$1].places.first?.position ?? 0)
            }
            let newest = best.flatMap { open[$0].places.first }
            if let invite = pending.first, invite.position > newest?.position ?? 0 {
                pending.removeFirst()
                looked += 1
                page.next = invite.position
                guard let room = invited[invite],
                    let event = try reading.rooms.events.events([invite.nid], from: log)[invite.nid],
                    !ignored.contains(event.pdu.sender.text)
                else { continue }
                try add(event, room, isRead: false, rules, reader, onlyHighlights, connection, to: &page)
                continue
            }
            guard let best, let place = newest else {
                page.next = nil
                break
            }
            open[best].places.removeFirst()
            looked += 1
            page.next = place.position
            var from = open[best]
            if from.places.isEmpty {
                open[best].below = place.position
                try fill(&open[best], log)
                if open[best].places.isEmpty { open.remove(at: best) }
            }
            guard let event = try reading.rooms.events.events([place.nid], from: log)[place.nid],
                !ignored.contains(event.pdu.sender.text), event.pdu.sender != user,
                try PushReading.concerns(event, at: place.position, from.visibility, user)
            else { continue }
            let isRead = try from.read.hold(event.pdu, at: place.position, connection)
            try add(event, from.room, isRead: isRead, rules, reader, onlyHighlights, connection, to: &page)
        }
        if open.isEmpty, unopened.isEmpty, pending.isEmpty { page.next = nil }
        return page
    }

    private func fill(_ open: inout Open, _ log: EventLog) throws {
        open.places = try log.places(
            room: open.room.nid, after: 0, upTo: open.below - 1, limit: PushLimits.eventsPerListingStep,
            newestFirst: true)
    }

    private func add(
        _ event: StoredEvent, _ room: SyncRoom, isRead: Bool, _ rules: PushRuleset, _ reader: EventReader,
        _ onlyHighlights: Bool, _ connection: any SQLConnection, to page: inout Page
    ) throws {
        let follows = try reading.evaluation.follows([event], in: room, reader.user, connection)[event.nid]
        guard
            let outcome = try reading.evaluation.outcome(
                of: event.pdu, in: room, for: reader.user, by: rules, followsThread: follows, connection),
            outcome.notifies, !onlyHighlights || outcome.highlights
        else { return }
        let text = try texts.texts(of: [event], connection)[event.nid]
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("room_id")
        writer.string(room.id.text)
        writer.key("ts")
        writer.integer(event.pdu.originServerTimestamp)
        writer.key("read")
        writer.bool(isRead)
        writer.key("actions")
        writer.value(.array(outcome.actions.map(\.json)))
        writer.key("event")
        EventTexts.write(event, text, for: reader, membership: nil, withRoomID: false, into: &writer)
        writer.endObject()
        page.notifications.append(writer.bytes)
    }
}
