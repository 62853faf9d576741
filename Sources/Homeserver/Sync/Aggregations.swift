internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// What is told along with events about others that relate to them: `unsigned.m.relations`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events>
struct Aggregations {
    let rooms: RoomReader
    let texts: EventTexts
    let reader: EventReader
    let sealer: StorageSealer
    let connection: any SQLConnection

    /// The JSON objects to be told, by `event_nid`; for most events there is none.
    /// - Parameter events: of one room.
    /// - Throws: `DatabaseError`.
    func of(_ events: some Sequence<StoredEvent>) throws -> [Int64: [UInt8]] {
        try of(Array(events.filter { !$0.pdu.isState && $0.position != nil }), withThreads: true)
    }

    private func of(_ events: [StoredEvent], withThreads: Bool) throws -> [Int64: [UInt8]] {
        guard let room = events.first?.roomNID else { return [:] }
        let store = RelationStore(connection)
        let types = try store.relationTypes(to: events.map(\.id), room: room)
        guard !types.isEmpty else { return [:] }
        let ignored = try IgnoredUsers.of(reader.user, sealer, connection)
        func related(by type: String) -> [EventID] { types.filter { $0.value.contains(type) }.map(\.key) }

        let redacted = Set(events.filter { $0.redactedBy != nil }.map(\.id))
        let edits = try store.newestEdits(
            of: related(by: Relation.replace).filter { !redacted.contains($0) }, room: room)
        let threads =
            withThreads
            ? try store.threads(at: related(by: Relation.thread), room: room, reader: reader.user, ignoring: ignored)
            : [:]
        let references = try store.references(to: related(by: Relation.reference), room: room, ignoring: ignored)

        let told = try rooms.events.events(
            Array(edits.values) + threads.values.map(\.latest), from: rooms.log(connection))
        let written = try texts.texts(of: told.values, connection)
        // Threads do not begin in threads, so that this goes one step down.
        let below = try of(threads.values.compactMap { told[$0.latest] }, withThreads: false)

        var found: [Int64: [UInt8]] = [:]
        for event in events {
            let edit = edits[event.id].flatMap { told[$0] }.flatMap { Self.isReplacement($0.pdu) ? $0 : nil }
            let thread = threads[event.id]
            let latest = thread.flatMap { told[$0.latest] }
            let references = references[event.id] ?? []
            guard edit != nil || latest != nil || !references.isEmpty else { continue }
            var writer = JSONWriter()
            writer.beginObject()
            if !references.isEmpty {
                writer.key(Relation.reference)
                writer.beginObject()
                writer.key("chunk")
                writer.value(.array(references.map { ["event_id": .string($0.text)] }))
                writer.endObject()
            }
            if let edit {
                writer.key(Relation.replace)
                write(edit, written[edit.nid], nil, into: &writer)
            }
            if let thread, let latest {
                writer.key(Relation.thread)
                writer.beginObject()
                writer.key("count")
                writer.integer(thread.count)
                writer.key("current_user_participated")
                writer.bool(thread.readerSent || event.pdu.sender == reader.user)
                writer.key("latest_event")
                write(latest, written[latest.nid], below[latest.nid], into: &writer)
                writer.endObject()
            }
            writer.endObject()
            found[event.nid] = writer.bytes
        }
        return found
    }

    private func write(_ event: StoredEvent, _ text: EventText?, _ relations: [UInt8]?, into writer: inout JSONWriter) {
        var plain = reader
        plain.format = .client
        EventTexts.write(
            event, text, for: plain, membership: nil, withRoomID: true, relations: relations, into: &writer)
    }

    /// Whether an event can replace another's content; what is encrypted, only readers can tell.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events>
    private static func isReplacement(_ event: PDU) -> Bool {
        event.type == .encrypted || event.content["m.new_content"]?.isObject == true
    }
}
