internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Extensions of proposals that are not accepted yet: threads that the user follows (MSC4308) and sticky events (MSC4354).
extension SlidingAssembly {
    static let threadsKey = "io.element.msc4308.thread_subscriptions"
    static let stickyKey = "org.matrix.msc4354.sticky_events"
    static let stickyPrefix = "sticky_"

    mutating func writeThreads(_ limit: Int, into writer: inout JSONWriter) throws {
        let changes = try ThreadSubscriptionStore(connection).changes(
            of: request.user, after: session.threads, upTo: currentThreads, limit: limit)
        guard let oldest = changes.first else { return }
        hasNews = true
        var told = ThreadSubscribing.lists(changes)
        // There may be more between this and where the client stood, to be paged back to.
        if changes.count == limit {
            told["prev_batch"] = .string(ThreadSubscriptionToken(oldest.position - 1).description)
        }
        writer.key(Self.threadsKey)
        writer.value(.object(told))
    }

    /// History visibility does not matter to them: who is in the room may see them.
    mutating func writeSticky(_ wanted: SlidingExtensions.Sticky, into writer: inout JSONWriter) throws {
        let store = StickyEventStore(connection)
        let since = min(wanted.since, current.events)
        let places = try store.places(
            of: request.user, after: since, upTo: current.events, now: eventReader.now, limit: wanted.limit)
        let next = places.count == wanted.limit ? places.last?.place.position ?? current.events : current.events
        var byRoom: [RoomID: [Int64]] = [:]
        for (room, place) in places where matched.contains(room) { byRoom[room, default: []].append(place.nid) }
        // A room that is new to the client has what was said before, too.
        if since > 0 {
            for (id, shown) in shown where shown.isWhole {
                guard let room = list.entries[id]?.room, room.membership == .join else { continue }
                byRoom[id] = try store.places(
                    room: room.nid, after: nil, upTo: next, now: eventReader.now, limit: wanted.limit
                ).map(\.nid)
            }
        }
        let events = try sync.rooms.events.events(byRoom.values.flatMap { $0 }, from: log)
        let texts = try sync.texts.texts(of: events.values, connection)
        writer.key(Self.stickyKey)
        writer.beginObject()
        writer.key("next_batch")
        writer.string(Self.stickyPrefix + String(next))
        writer.key("rooms")
        writer.beginObject()
        for (id, nids) in byRoom.sorted(by: { $0.key < $1.key }) {
            let shown = Set(self.shown[id]?.events ?? [])
            let told = nids.compactMap { events[$0] }.filter { event in
                !shown.contains(event.id) && !ignored.contains(event.pdu.sender.text)
            }
            guard !told.isEmpty else { continue }
            hasNews = true
            writer.key(id.text)
            writer.events(told) { writer, event in
                EventTexts.write(
                    event, texts[event.nid], for: eventReader, membership: nil, withRoomID: false, into: &writer)
            }
        }
        writer.endObject()
        writer.endObject()
    }
}
