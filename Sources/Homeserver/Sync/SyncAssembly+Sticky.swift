internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Sticky events (MSC4354, unstable): those of a room that are not in its timeline anyhow. History visibility does not matter
/// to them: who is in the room may see them.
extension SyncAssembly {
    /// The sticky events of a joined room that a client is to be told.
    /// - Parameter after: where the client stands, if it knew the room.
    func stickyEvents(_ room: Int64, _ window: TimelineWindow, after: Int64?) throws -> [StoredEvent] {
        let places = try StickyEventStore(connection).places(
            room: room, after: after, upTo: current.events, now: request.now, limit: SyncLimits.stickyPerRoom)
        let shown = Set(window.entries.map(\.event.nid))
        let nids = places.map(\.nid).filter { !shown.contains($0) }
        guard !nids.isEmpty else { return [] }
        let events = try sync.rooms.events.events(nids, from: log)
        return nids.compactMap { events[$0] }.filter { !ignored.contains($0.pdu.sender.text) }
    }

    /// Writes `msc4354_sticky` of a joined room, where there are any.
    func writeSticky(_ events: [StoredEvent], into writer: inout JSONWriter) throws {
        guard !events.isEmpty else { return }
        let texts = try sync.texts.texts(of: events, connection)
        writer.key("msc4354_sticky")
        writer.beginObject()
        writer.key("events")
        writer.beginArray()
        for event in events {
            EventTexts.write(
                event, texts[event.nid], for: reader, membership: nil, withRoomID: false, into: &writer)
        }
        writer.endArray()
        writer.endObject()
    }
}
