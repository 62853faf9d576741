internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Lets users follow threads, and lists those they follow.
/// Proposals: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>,
/// <https://github.com/matrix-org/matrix-spec-proposals/pull/4308>
struct ThreadSubscribing: RouteGroup {
    static let conflict = MatrixError.Code("IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION", status: 409)
    static let notInThread = MatrixError.Code("IO.ELEMENT.MSC4306.M_NOT_IN_THREAD", status: 400)

    let environment: Environment
    let rooms: RoomReader

    func register(on router: inout Router) {
        router.on(.getThreadSubscription, read)
        router.on(.putThreadSubscription, subscribe)
        router.on(.deleteThreadSubscription, unsubscribe)
        router.on(.listThreadSubscriptions, list)
    }

    @Sendable private func read(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let (room, root) = (try request.roomID(), try request.eventID())
        let found = try await environment.database.read { connection in
            let access = try access(room, requester, connection)
            _ = try visible(root, access, connection)
            return try ThreadSubscriptionStore(connection).subscription(
                of: requester.user, room: access.room.nid, root: root)
        }
        guard let found, found.endedAt == nil else { throw MatrixError(.notFound, "Not subscribed") }
        return .json(["automatic": .bool(found.isAutomatic)])
    }

    @Sendable private func subscribe(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let (room, root) = (try request.roomID(), try request.eventID())
        let cause = try request.optionalString("automatic").map { text throws(MatrixError) in
            do { return try EventID(text) } catch { throw MatrixError(.badJSON, "automatic is not an event id") }
        }
        let outcome = try await environment.database.write { connection in
            let access = try access(room, requester, connection)
            _ = try visible(root, access, connection)
            var place: Int64?
            if let cause {
                let event = try visible(cause, access, connection)
                guard let relation = Relation(event.pdu.content), relation.type == Relation.thread,
                    relation.target == root, let position = event.position
                else { throw MatrixError(Self.notInThread, "The event is not in this thread") }
                place = position
            }
            return try ThreadSubscriptionStore(connection).subscribe(
                requester.user, room: access.room.nid, root: root, cause: place)
        }
        guard outcome != .conflict else {
            throw MatrixError(Self.conflict, "The thread was left after that event")
        }
        return .empty
    }

    @Sendable private func unsubscribe(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let (room, root) = (try request.roomID(), try request.eventID())
        try await environment.database.write { connection in
            let access = try access(room, requester, connection)
            _ = try visible(root, access, connection)
            try ThreadSubscriptionStore(connection).unsubscribe(
                requester.user, room: access.room.nid, root: root, at: access.room.lastPosition)
        }
        return .empty
    }

    @Sendable private func list(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let direction = request.query("dir") else { throw MatrixError(.missingParameter, "Missing dir") }
        guard direction == "b" else { throw MatrixError(.invalidParameter, "dir is not b") }
        let limit = try request.queryInteger("limit", default: 100, in: 0...SyncLimits.threadSubscriptionsPage)
        guard limit > 0 else { throw MatrixError(.invalidParameter, "limit is not greater than 0") }
        let from = try request.query("from").map { text throws(MatrixError) in
            try ThreadSubscriptionToken(parsing: text, of: "from")
        }
        let to = try request.query("to").map { text throws(MatrixError) in
            try ThreadSubscriptionToken(parsing: text, of: "to")
        }
        let found = try await environment.database.read { connection in
            try ThreadSubscriptionStore(connection).changes(
                of: requester.user, after: to?.position ?? 0, upTo: from?.position ?? Int64.max, limit: limit)
        }
        var answer = Self.lists(found)
        if found.count == limit, let first = found.first {
            answer["end"] = .string(ThreadSubscriptionToken(first.position - 1).description)
        }
        return .json(.object(answer))
    }

    /// Subscriptions, and ends of such, by room and root: `subscribed` and `unsubscribed`, only where there are any.
    static func lists(_ subscriptions: [ThreadSubscriptionStore.Subscription]) -> [String: JSONValue] {
        var lists: [String: [String: [String: JSONValue]]] = [:]
        for each in subscriptions {
            let stamp = JSONValue.integer(each.position)
            if each.endedAt == nil {
                lists["subscribed", default: [:]][each.roomID.text, default: [:]][each.root.text] = [
                    "automatic": .bool(each.isAutomatic), "bump_stamp": stamp,
                ]
            } else {
                lists["unsubscribed", default: [:]][each.roomID.text, default: [:]][each.root.text] = [
                    "bump_stamp": stamp
                ]
            }
        }
        return lists.mapValues { .object($0.mapValues { .object($0) }) }
    }

    // MARK: What the user may see

    private static let unknownEvent = MatrixError(.notFound, "No such event")

    private func access(
        _ room: RoomID, _ requester: Requester, _ connection: any SQLConnection
    ) throws -> RoomAccess {
        guard let access = try RoomAccess.ifAllowed(room, user: requester.user, rooms: rooms, connection) else {
            throw Self.unknownEvent
        }
        return access
    }

    private func visible(
        _ id: EventID, _ access: RoomAccess, _ connection: any SQLConnection
    ) throws -> StoredEvent {
        guard let event = try rooms.log(connection).event(id), event.roomNID == access.room.nid,
            event.flags.isDisjoint(with: [.rejected, .softFailed]), RoomReading.isWithin(access, event.position),
            try access.visibility.look(event, at: event.position).isVisible
        else { throw Self.unknownEvent }
        return event
    }
}
