internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// What came before `/sync`: a snapshot of everything or of one room, and a stream of events. One room can be followed so by
/// those who are not in it, where everybody may read it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events>,
/// <https://spec.matrix.org/v1.19/client-server-api/#room-previews>
struct OldSyncing: RouteGroup {
    private static let timeoutDefault = 30_000

    let reading: RoomReading
    let watcher: StreamWatcher
    let presence: PresenceKeeper

    private var environment: Environment { reading.environment }

    func register(on router: inout Router) {
        router.on(.getEvents) { request, requester in try await events(request, requester) }
        router.on(.getOneEvent) { request, requester in try await event(request, requester) }
        router.on(.initialSync) { request, requester in try await snapshot(request, requester) }
        router.on(.roomInitialSync) { request, requester in try await roomSnapshot(request, requester) }
    }

    // MARK: The stream

    private func events(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let arrived = environment.clock.monotonic()
        let room = try request.query("room_id").map { _ throws(MatrixError) in try request.roomID("room_id") }
        if requester.isGuest, room == nil { throw MatrixError(.guestAccessForbidden, "Guests follow one room") }
        let from = try request.query("from").flatMap { text throws(MatrixError) in
            text.isEmpty ? nil : try SyncToken(text)
        }
        let maximum = environment.configuration.timeouts.syncMaximum
        let timeout = try request.queryInteger(
            "timeout", default: min(Self.timeoutDefault, Int(clamping: maximum)), in: 0...Int(clamping: maximum))
        if room == nil { await presence.syncs(requester.user, as: "online", for: Int64(timeout)) }
        let database = environment.database
        var stream = EventStream(reading: reading, requester: requester, room: room)
        stream.start =
            if let from { from } else { SyncToken(try await database.read { try StreamPositions($0).current() }) }
        let followed = try await stream.followed()
        guard let ticket = watcher.enlist(requester.user, following: followed) else {
            throw MatrixError.limitExceeded(retryAfterMilliseconds: 5_000)
        }
        defer { watcher.dismiss(ticket, of: requester.user) }
        let deadline = arrived + .milliseconds(timeout)
        while true {
            ticket.rearm()
            let page = try await stream.page()
            let rest = deadline - environment.clock.monotonic()
            if page.count > 0 || rest <= .zero { return .json(bytes: page.body) }
            await ticket.wait(rest, clock: environment.clock)
            try Task.checkCancellation()
        }
    }

    private func event(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let id = try request.eventID()
        let reader = reading.reader(requester)
        let bytes = try await environment.database.read { connection -> [UInt8] in
            guard let event = try reading.rooms.log(connection).event(id),
                event.flags.isDisjoint(with: [.rejected, .softFailed]),
                let access = try RoomAccess.ifAllowed(
                    event.pdu.roomID, user: requester.user, rooms: reading.rooms, connection)
            else { throw RoomReading.notFound }
            let seen = try access.visibility.look(event, at: event.position)
            guard seen.isVisible, RoomReading.isWithin(access, event.position) else { throw RoomReading.notFound }
            var writer = JSONWriter()
            try reading.write([(event, seen.membership)], for: reader, into: &writer, connection)
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    // MARK: Snapshots

    private func limit(_ request: APIRequest) throws(MatrixError) -> Int {
        let maximum = environment.configuration.limits.messagesPageMaximum
        return try request.queryInteger("limit", default: min(10, maximum), in: 0...maximum)
    }

    private func snapshot(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let limit = try limit(request)
        let includesLeft = try request.queryBoolean("archived")
        let bytes = try await environment.database.read { connection -> [UInt8] in
            let snapshot = try RoomSnapshots(reading, requester, limit: limit, connection)
            return try snapshot.everything(includingLeft: includesLeft)
        }
        return .json(bytes: bytes)
    }

    private func roomSnapshot(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let limit = try limit(request)
        let bytes = try await reading.rooms.whenWhole(environment.clock) { connection -> [UInt8] in
            let access = try RoomAccess(room, user: requester.user, rooms: reading.rooms, connection)
            if access.room.isPartial { throw RoomIsPartial() }
            var writer = JSONWriter()
            try RoomSnapshots(reading, requester, limit: limit, connection).write(access, into: &writer)
            return writer.bytes
        }
        return .json(bytes: bytes)
    }
}
