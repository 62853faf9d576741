internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Reads rooms' events, state and members. History is in `RoomReading+History.swift`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room>
struct RoomReading: RouteGroup {
    let environment: Environment
    let rooms: RoomReader
    let texts: EventTexts
    let backfill: (any RemoteBackfilling)?

    func register(on router: inout Router) {
        router.on(.getOneRoomEvent) { request, requester in try await event(request, requester) }
        router.on(.getRoomState) { request, requester in try await state(request, requester) }
        router.on(.getRoomStateWithKey) { request, requester in
            try await stateEvent(request, requester, key: request.parameter("stateKey"))
        }
        router.on(.getRoomStateWithoutKey) { request, requester in
            try await stateEvent(request, requester, key: "")
        }
        router.on(.getMembersByRoom) { request, requester in try await members(request, requester) }
        router.on(.getJoinedMembersByRoom) { request, requester in try await joinedMembers(request, requester) }
        router.on(.getRoomEvents) { request, requester in try await messages(request, requester) }
        router.on(.getEventContext) { request, requester in try await context(request, requester) }
        router.on(.getEventByTimestamp) { request, requester in try await eventByTimestamp(request, requester) }
    }

    func reader(_ requester: Requester) -> EventReader {
        EventReader(user: requester.user, device: requester.device, now: environment.clock.now())
    }

    static let notFound = MatrixError(.notFound, "No such event")

    // MARK: Events

    private func event(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let id = try request.eventID()
        let reader = reader(requester)
        let bytes = try await environment.database.read { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            guard let event = try rooms.log(connection).event(id), event.roomNID == access.room.nid,
                event.flags.isDisjoint(with: [.rejected, .softFailed])
            else { throw Self.notFound }
            let seen = try access.visibility.look(event, at: event.position)
            guard seen.isVisible, Self.isWithin(access, event.position) else { throw Self.notFound }
            var writer = JSONWriter()
            try write([(event, seen.membership)], for: reader, into: &writer, connection)
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    /// Whether a place lies before the user left.
    static func isWithin(_ access: RoomAccess, _ position: Int64?) -> Bool {
        guard let end = access.end, let position else { return true }
        return position <= end
    }

    /// Writes events one after the other.
    func write(
        _ events: [(event: StoredEvent, membership: Membership?)], for reader: EventReader,
        into writer: inout JSONWriter, _ connection: any SQLConnection
    ) throws {
        let found = try texts.texts(of: events.map(\.event), connection)
        let relations = try Aggregations(
            rooms: rooms, texts: texts, reader: reader, sealer: environment.sealer, connection: connection
        ).of(events.map(\.event))
        for (event, membership) in events {
            EventTexts.write(
                event, found[event.nid], for: reader, membership: membership, withRoomID: true,
                relations: relations[event.nid], into: &writer)
        }
    }

    // MARK: State

    private func state(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let reader = reader(requester)
        let bytes = try await rooms.whenWhole(environment.clock) { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            if access.room.isPartial { throw RoomIsPartial() }
            let state = try rooms.state(at: access.root, in: connection)
            var writer = JSONWriter()
            writer.beginArray()
            try write(
                state.values.sorted { $0.nid < $1.nid }.map { ($0, nil) }, for: reader, into: &writer, connection)
            writer.endArray()
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    private func stateEvent(_ request: APIRequest, _ requester: Requester, key: String) async throws -> APIResponse {
        let roomID = try request.roomID()
        guard let type = try? EventType(request.parameter("eventType")) else { throw Self.notFound }
        let isWhole: Bool
        switch request.query("format") {
        case nil, "content": isWhole = false
        case "event": isWhole = true
        default: throw MatrixError(.invalidParameter, "format is neither content nor event")
        }
        let reader = reader(requester)
        let bytes = try await rooms.whenWhole(environment.clock) { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            let stateKey = StateKey(type, key)
            guard let event = try rooms.state(at: access.root, keys: [stateKey], in: connection)[stateKey] else {
                if access.room.isPartial, type == .member { throw RoomIsPartial() }
                throw MatrixError(.notFound, "No such state event")
            }
            guard isWhole else { return Array(event.pdu.content.rawBytes) }
            var writer = JSONWriter()
            try write([(event, nil)], for: reader, into: &writer, connection)
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    // MARK: Members

    private func members(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let at = try request.query("at").map { text throws(MatrixError) in try TimelineToken(text) }
        let wanted = try Self.membership(request, "membership")
        let unwanted = try Self.membership(request, "not_membership")
        let reader = reader(requester)
        let bytes = try await rooms.whenWhole(environment.clock) { connection -> [UInt8] in
            let access = try RoomAccess(roomID, user: requester.user, rooms: rooms, connection)
            if access.room.isPartial { throw RoomIsPartial() }
            var root = access.root
            if let at, Self.isWithin(access, at.position) {
                root = try rooms.log(connection).stateRoot(room: access.room.nid, near: at.position) ?? root
            }
            let all = try StateReader(connection, rooms.states).all(at: root).filter { $0.key.type == .member }
            let events = try rooms.events.events(Array(all.values), from: rooms.log(connection)).values
            let kept = events.filter { event in
                let membership = try? RoomMember(event.pdu).membership
                // Both together mean the one or not the other.
                return switch (wanted, unwanted) {
                case (nil, nil): true
                case (let wanted?, nil): membership == wanted
                case (nil, let unwanted?): membership != unwanted
                case (let wanted?, let unwanted?): membership == wanted || membership != unwanted
                }
            }
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("chunk")
            writer.beginArray()
            try write(kept.sorted { $0.nid < $1.nid }.map { ($0, nil) }, for: reader, into: &writer, connection)
            writer.endArray()
            writer.endObject()
            return writer.bytes
        }
        return .json(bytes: bytes)
    }

    private static func membership(_ request: APIRequest, _ name: String) throws(MatrixError) -> Membership? {
        guard let text = request.query(name) else { return nil }
        guard let membership = Membership(rawValue: text) else {
            throw MatrixError(.invalidParameter, "\(name) is no membership")
        }
        return membership
    }

    private func joinedMembers(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let roomID = try request.roomID()
        let members = try await rooms.whenWhole(environment.clock) { connection -> [RoomMembership] in
            let store = RoomStore(connection)
            guard let room = try store.room(roomID),
                try store.membership(of: requester.user, in: room.nid)?.membership == .join
            else { throw RoomAccess.forbidden }
            if room.isPartial { throw RoomIsPartial() }
            return try store.members(room: room.nid, membership: .join)
        }
        return .json { writer in
            writer.beginObject()
            writer.key("joined")
            writer.beginObject()
            for member in members {
                writer.key(member.user.text)
                writer.beginObject()
                if let name = member.displayName {
                    writer.key("display_name")
                    writer.string(name)
                }
                if let avatar = member.avatarURL {
                    writer.key("avatar_url")
                    writer.string(avatar)
                }
                writer.endObject()
            }
            writer.endObject()
            writer.endObject()
        }
    }
}
