internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Events that relate to others, and threads.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#relationships-api>
struct RelationReading: RouteGroup {
    /// How many steps are followed when a client asks for those that relate indirectly, too.
    static let depth = 3

    let reading: RoomReading

    func register(on router: inout Router) {
        router.on(.getRelatingEvents, relations)
        router.on(.getRelatingEventsWithRelType, relations)
        router.on(.getRelatingEventsWithRelTypeAndEventType, relations)
        router.on(.getThreadRoots, threads)
    }

    private func limit(_ request: APIRequest) throws(MatrixError) -> Int {
        let maximum = reading.environment.configuration.limits.messagesPageMaximum
        return try request.queryInteger("limit", default: min(20, maximum), in: 1...max(1, maximum))
    }

    private func token(_ request: APIRequest, _ name: String) throws(MatrixError) -> TimelineToken? {
        guard let text = request.query(name), !text.isEmpty else { return nil }
        return try TimelineToken(text)
    }

    @Sendable private func relations(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let target = try request.eventID()
        let (from, to) = (try token(request, "from"), try token(request, "to"))
        let limit = try limit(request)
        let isBackward: Bool
        switch request.query("dir") {
        case nil, "b": isBackward = true
        case "f": isBackward = false
        default: throw MatrixError(.invalidParameter, "dir is neither b nor f")
        }
        // Clients that ask for features rather than versions say it as the proposal did.
        let name = request.query("recurse") == nil ? "org.matrix.msc3981.recurse" : "recurse"
        let recurses = try request.query(name).map { _ throws(MatrixError) in try request.queryBoolean(name) }
        let depth = recurses == true ? Self.depth : 1
        let reader = reading.reader(requester)
        let sealer = reading.environment.sealer
        let rooms = reading.rooms
        let bytes = try await reading.environment.database.read { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            let log = rooms.log(connection)
            guard let parent = try log.event(target), parent.roomNID == access.room.nid,
                RoomReading.isWithin(access, parent.position),
                try access.visibility.look(parent, at: parent.position).isVisible
            else { throw RoomReading.notFound }
            let end = access.end ?? access.room.lastPosition
            let places = try RelationStore(connection).children(
                of: target, room: access.room.nid, relationType: request.parameters["relType"],
                type: request.parameters["eventType"], after: isBackward ? to?.position : from?.position,
                upTo: min((isBackward ? from : to)?.position ?? end, end), limit: limit + 1, newestFirst: isBackward,
                depth: depth)
            let ignored = try IgnoredUsers.of(requester.user, sealer, connection)
            let events = try rooms.events.events(places.map(\.nid), from: log)
            var shown: [(event: StoredEvent, membership: Membership?)] = []
            for place in places.prefix(limit) {
                guard let event = events[place.nid], !ignored.contains(event.pdu.sender.text) else { continue }
                let seen = try access.visibility.look(event, at: place.position)
                if seen.isVisible { shown.append((event, seen.membership)) }
            }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("chunk")
            writer.beginArray()
            try reading.write(shown, for: reader, into: &writer, connection)
            writer.endArray()
            if places.count > limit, let last = places.prefix(limit).last {
                writer.key("next_batch")
                writer.string(
                    (isBackward ? TimelineToken(before: last.position) : TimelineToken(after: last.position))
                        .description)
            }
            if let from {
                writer.key("prev_batch")
                writer.string(from.description)
            }
            if recurses != nil {
                writer.key("recursion_depth")
                writer.integer(depth)
            }
            writer.endObject()
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room>
    @Sendable private func threads(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let from = try token(request, "from")
        let limit = try limit(request)
        let participant: UserID?
        switch request.query("include") {
        case nil, "all": participant = nil
        case "participated": participant = requester.user
        default: throw MatrixError(.invalidParameter, "include is neither all nor participated")
        }
        let reader = reading.reader(requester)
        let sealer = reading.environment.sealer
        let rooms = reading.rooms
        let bytes = try await reading.environment.database.read { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            let log = rooms.log(connection)
            let end = access.end ?? access.room.lastPosition
            let roots = try RelationStore(connection).threadRoots(
                room: access.room.nid, upTo: min(from?.position ?? end, end), participant: participant,
                limit: limit + 1)
            let events = try log.events(ids: roots.prefix(limit).map(\.root))
            let ignored = try IgnoredUsers.of(requester.user, sealer, connection)
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("chunk")
            writer.beginArray()
            for (id, _) in roots.prefix(limit) {
                guard let event = events[id], event.roomNID == access.room.nid else { continue }
                let seen = try access.visibility.look(event, at: event.position)
                guard seen.isVisible else { continue }
                if ignored.contains(event.pdu.sender.text) {
                    // As a client would show it that leaves out the user's messages, but not the thread.
                    var whole = JSONWriter()
                    try reading.write([(event, seen.membership)], for: reader, into: &whole, connection)
                    guard var shown = try? JSONValue.parse(whole.bytes) else { continue }
                    shown["content"] =
                        Redaction.redact(event.pdu.document.root, rules: event.pdu.version.rules)["content"] ?? [:]
                    writer.value(shown)
                } else {
                    try reading.write([(event, seen.membership)], for: reader, into: &writer, connection)
                }
            }
            writer.endArray()
            if roots.count > limit, let last = roots.prefix(limit).last {
                writer.key("next_batch")
                writer.string(TimelineToken(before: last.latest).description)
            }
            writer.endObject()
            return writer.bytes
        }
        return .json(bytes: bytes)
    }
}
