internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Sending events to rooms, at once or later (MSC4140), some of them sticky (MSC4354).
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room>
struct RoomSending: RouteGroup {
    static let delayParameter = "org.matrix.msc4140.delay"
    static let stickyParameter = "org.matrix.msc4354.sticky_duration_ms"

    let delivery: EventDelivery
    let delayed: DelayedSending
    let limiter: RateLimiter

    private var writer: RoomWriter { delivery.writer }

    func register(on router: inout Router) {
        router.on(.sendMessage) { request, requester in try await send(request, requester) }
        router.on(.redactEvent) { request, requester in try await redact(request, requester) }
        router.on(.setRoomStateWithKey) { request, requester in
            try await send(request, requester, stateKey: request.parameter("stateKey"))
        }
        router.on(.setRoomState) { request, requester in
            try await send(request, requester, stateKey: request.parameter("stateKey"))
        }
    }

    /// A message, or a state event where there is a state key. State has no limit of its own, unless it waits here.
    private func send(
        _ request: APIRequest, _ requester: Requester, stateKey: String? = nil
    ) async throws -> APIResponse {
        let wish = try wish(request, requester, stateKey: stateKey)
        let delay = try milliseconds(request, Self.delayParameter)
        if stateKey == nil || delay != nil { try await limiter.take(.messages, who: requester.user.text) }
        var origin: SendOrigin?
        if stateKey == nil {
            origin = try self.origin(request, requester, "send/\(wish.room.text)/\(wish.type.text)")
        }
        try await checkRights(to: wish, requester)
        let timestamp = try timestamp(request, requester)
        if let delay {
            return .json(
                bytes: try await delayed.schedule(
                    wish, delay: delay, device: requester.device, origin: origin, timestamp: timestamp))
        }
        let id = try await delivery.send(wish, origin: origin, timestamp: timestamp)
        return .json(bytes: EventLog.response(for: id))
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

    // MARK: Reading requests

    private func wish(
        _ request: APIRequest, _ requester: Requester, stateKey: String?
    ) throws(MatrixError) -> EventWish {
        EventWish(
            room: try request.roomID(), type: try request.identifier("eventType"), sender: requester.user,
            stateKey: stateKey, content: request.body.value,
            sticky: try milliseconds(request, Self.stickyParameter).map { min($0, StickyEvent.maximumMilliseconds) })
    }

    private func milliseconds(_ request: APIRequest, _ name: String) throws(MatrixError) -> Int64? {
        guard let text = request.query(name) else { return nil }
        guard let time = Int64(text), time >= 0 else {
            throw MatrixError(.invalidParameter, "\(name) is no number of milliseconds")
        }
        return time
    }

    /// What a guest or a suspended user may not do by sending an event.
    private func checkRights(to wish: EventWish, _ requester: Requester) async throws {
        if wish.type == .redaction, wish.stateKey == nil {
            let target = wish.content["redacts"]?.string.flatMap { try? EventID($0) }
            try await checkRedaction(of: target, requester)
        }
        if requester.isGuest, wish.type == .member, wish.content["membership"]?.string == "join",
            try await !writer.reader.isJoined(requester.user, in: wish.room)
        {
            // Joining has its own way, which asks whether guests may.
            throw MembershipEditing.noGuests
        }
    }

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
        guard requester.applicationService != nil else { return nil }
        return try milliseconds(request, "ts")
    }
}
