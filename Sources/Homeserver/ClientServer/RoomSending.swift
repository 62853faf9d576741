internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Sending events to rooms.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room>
public struct RoomSending: RouteGroup {
    let writer: RoomWriter
    let memberships: MembershipEditing
    let limiter: RateLimiter

    /// Handlers that send by `writer`.
    public init(writer: RoomWriter, memberships: MembershipEditing, limiter: RateLimiter) {
        self.writer = writer
        self.memberships = memberships
        self.limiter = limiter
    }

    public func register(on router: inout Router) {
        router.on(.sendMessage, send)
        router.on(.redactEvent, redact)
        router.on(.setRoomStateWithKey, setState)
        router.on(.setRoomState, setState)
    }

    private func send(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let type: EventType = try request.identifier("eventType")
        try await limiter.take(.messages, who: requester.user.text)
        var content = request.body.value
        var redacts: EventID?
        if type == .redaction {
            // From v1.18 in every room version; below 11 the server moves the field.
            guard let target = content["redacts"]?.string else {
                throw MatrixError(.missingParameter, "Missing redacts")
            }
            redacts = try eventID(target)
            content["redacts"] = nil
            try await checkRedaction(of: redacts, requester)
        }
        let origin = try origin(request, requester, "send/\(room.text)/\(type.text)")
        try await checkRelation(request.body, type, origin)
        let event = try await writer.send(
            EventDraft(type: type, sender: requester.user, content: content, roomID: room, redacts: redacts),
            origin: origin,
            timestamp: try timestamp(request, requester))
        return .json(bytes: EventLog.response(for: event.id))
    }

    private func redact(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let target = try request.eventID()
        try await limiter.take(.messages, who: requester.user.text)
        try await checkRedaction(of: target, requester)
        var content: JSONValue = [:]
        if let reason = try request.optionalString("reason") { content["reason"] = .string(reason) }
        let event = try await writer.send(
            EventDraft(type: .redaction, sender: requester.user, content: content, roomID: room, redacts: target),
            origin: try origin(request, requester, "redact/\(room.text)/\(target.text)"))
        return .json(bytes: EventLog.response(for: event.id))
    }

    private func setState(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let type: EventType = try request.identifier("eventType")
        let stateKey = request.parameter("stateKey")
        let content = request.body.value
        if type == .canonicalAlias { try await checkAliases(content, room) }
        if type == .member, content["membership"]?.string == "invite" {
            guard let target = try? UserID(stateKey) else {
                throw MatrixError(.badJSON, "The state key is not a user ID")
            }
            let id = try await memberships.invite(target, to: room, by: requester.user, content: content)
            return .json(bytes: EventLog.response(for: id))
        }
        if requester.isGuest, type == .member, content["membership"]?.string == "join",
            try await !writer.reader.isJoined(requester.user, in: room)
        {
            // Joining has its own way, which asks whether guests may.
            throw MembershipEditing.noGuests
        }
        if type == .member, stateKey != requester.user.text {
            try await writer.reader.waitUntilWhole(room, writer.environment.clock)
        }
        let event = try await writer.send(
            EventDraft(type: type, sender: requester.user, stateKey: stateKey, content: content, roomID: room),
            timestamp: try timestamp(request, requester))
        return .json(bytes: EventLog.response(for: event.id))
    }

    // MARK: Checks

    /// Who is suspended takes back only what is their own.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#account-suspension>
    private func checkRedaction(of target: EventID?, _ requester: Requester) async throws {
        guard requester.isSuspended, let target else { return }
        guard try await writer.reader.event(target)?.pdu.sender == requester.user else {
            throw MatrixError(.userSuspended, "This account is suspended")
        }
    }

    private func origin(_ request: APIRequest, _ requester: Requester, _ scope: String) throws(MatrixError)
        -> SendOrigin
    {
        let id = request.parameter("txnId")
        guard (1...255).contains(id.utf8.count), !id.utf8.contains(0) else {
            throw MatrixError(.invalidParameter, "The transaction ID has 1 to 255 bytes")
        }
        return SendOrigin(user: requester.user, device: requester.device, scope: scope, transactionID: id)
    }

    /// Only application services set the time of an event.
    /// Spec: <https://spec.matrix.org/v1.19/application-service-api/#timestamp-massaging>
    private func timestamp(_ request: APIRequest, _ requester: Requester) throws(MatrixError) -> Int64? {
        guard requester.applicationService != nil, let text = request.query("ts") else { return nil }
        guard let time = Int64(text), time >= 0 else { throw MatrixError(.invalidParameter, "ts is not a time") }
        return time
    }

    private func eventID(_ text: String) throws(MatrixError) -> EventID {
        do { return try EventID(text) } catch { throw MatrixError(.invalidParameter, "redacts is not an event ID") }
    }

    /// A thread's root does not itself relate to another event, and nobody annotates the same twice.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#validation-of-mthread-relationships>
    private func checkRelation(_ content: JSONView, _ type: EventType, _ origin: SendOrigin) async throws {
        guard let relation = Relation(content) else { return }
        switch relation.type {
        case Relation.thread:
            guard let root = try await writer.reader.event(relation.target) else { return }
            if Relation(root.pdu.content) != nil {
                throw MatrixError(.unknown, "A thread cannot start at an event that relates to another")
            }
        case Relation.annotation:
            let sealer = writer.environment.sealer
            let isSecond = try await writer.environment.database.read { connection in
                try RelationStore(connection).hasAnnotation(
                    relation, type: type, by: origin.user, sealer: sealer)
                    && ReplyLog(connection).response(to: origin) == nil
            }
            if isSecond { throw MatrixError(.duplicateAnnotation, "This event is annotated so already") }
        default: return
        }
    }

    /// Aliases that are new to the canonical alias must name this room.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#server-behaviour-8>
    private func checkAliases(_ content: JSONValue, _ room: RoomID) async throws {
        var texts: [String] = []
        if let alias = content["alias"], !alias.isNull {
            guard let text = alias.string else { throw MatrixError(.badJSON, "alias is not a string") }
            if !text.isEmpty { texts.append(text) }
        }
        if let others = content["alt_aliases"], !others.isNull {
            guard let list = others.array, list.allSatisfy({ $0.string != nil }) else {
                throw MatrixError(.badJSON, "alt_aliases is not a list of strings")
            }
            texts += list.compactMap(\.string)
        }
        guard !texts.isEmpty, let record = try await writer.reader.record(room) else { return }
        let current = try await writer.reader.stateEvent(record, .canonicalAlias)
        let known = current.map { CanonicalAlias($0.pdu) }
        let old = Set((known?.alternatives ?? []) + [known?.alias].compactMap(\.self))
        for text in texts.prefix(writer.environment.configuration.limits.aliasesPerRoom) {
            guard let alias = try? RoomAlias(text) else {
                throw MatrixError(.invalidParameter, "\(text) is not a room alias")
            }
            if old.contains(alias) { continue }
            guard try await target(of: alias) == room else {
                throw MatrixError(.badAlias, "\(text) does not name this room")
            }
        }
    }

    private func target(of alias: RoomAlias) async throws -> RoomID? {
        if alias.serverName == writer.environment.serverName {
            return try await writer.environment.database.read { try AliasStore($0).target(of: alias)?.room }
        }
        return try? await memberships.collaborators.remoteJoining?.resolve(alias).room
    }
}
