internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Lets users of other servers into and out of rooms that this server is in: the resident's part of the handshakes.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#joining-rooms>
struct JoinAnswering: RouteGroup {
    /// Rooms looked at for a restricted join.
    private static let maximumConditions = 100
    /// How long a join waits for what its server sent before, and how often that is looked at.
    private static let hearing = (longest: Duration.seconds(5), poll: Duration.milliseconds(100))

    let environment: Environment
    let reader: RoomReader
    let writer: RoomWriter
    let serving: RoomServing
    let verification: PDUVerification

    func register(on router: inout Router) {
        router.onServer(.makeJoin) { request, origin in try await template(request, origin, .join) }
        router.onServer(.makeLeave) { request, origin in try await template(request, origin, .leave) }
        router.onServer(.sendJoinV2) { request, origin in try await join(request, origin) }
        router.onServer(.sendLeaveV2) { request, origin in try await leave(request, origin) }
        router.onServer(.makeKnock) { request, origin in try await template(request, origin, .knock) }
        router.onServer(.sendKnock) { request, origin in try await knock(request, origin) }
    }

    // MARK: Templates

    func room(_ id: RoomID, _ origin: ServerName) async throws -> RoomRecord {
        guard let room = try await reader.record(id),
            try await reader.joinedServers(room).contains(environment.serverName)
        else { throw MatrixError(.notFound, "This server is not in the room") }
        // Who may come in, and who is in it, cannot be told from a part of the state: another server is asked.
        guard !room.isPartial else { throw MatrixError.partialState(status: 404) }
        guard try await reader.allows(origin, in: room) else {
            throw MatrixError(.forbidden, "The room's access list forbids this server")
        }
        return room
    }

    private func template(
        _ request: APIRequest, _ origin: ServerName, _ membership: Membership
    ) async throws -> APIResponse {
        if membership == .join { try await hear(origin, in: request.roomID()) }
        let room = try await room(request.roomID(), origin)
        let user = try request.userID()
        guard user.serverName == origin else { throw MatrixError(.forbidden, "The user is of another server") }
        if membership != .leave {
            let versions = request.queryValues("ver")
            guard (versions.isEmpty ? ["1"] : versions).contains(room.version.text) else {
                throw MatrixError(
                    .incompatibleRoomVersion, "The room is of version \(room.version)",
                    fields: ["room_version": .string(room.version.text)])
            }
        }
        var content: JSONValue = ["membership": .string(membership.rawValue)]
        if membership == .join, let authorizing = try await authorizing(user, in: room) {
            content["join_authorised_via_users_server"] = .string(authorizing.text)
        }
        let draft = EventDraft(type: .member, sender: user, stateKey: user.text, content: content, roomID: room.id)
        let head = try await writer.head(of: room.id, lane: nil, for: [draft])
        // Whether it would be allowed, tried on an event of the same shape; its signature is not kept.
        let trial = try writer.builder.build(draft, on: head, timestamp: environment.clock.now())
        var event = JSONValue(trial.document.root)
        for key in ["hashes", "signatures", "event_id", "unsigned"] { event[key] = nil }
        event["origin"] = .string(origin.text)
        return .json(["room_version": .string(room.version.text), "event": event])
    }

    /// What a server sent of a room may say that its users left it, or that ours were removed. A join that is built on what
    /// was before would leave that behind, so it comes after what is still to be judged.
    /// - Throws: `M_UNABLE_TO_AUTHORISE_JOIN` where that takes too long.
    private func hear(_ server: ServerName, in room: RoomID) async throws {
        let end = environment.clock.monotonic() + Self.hearing.longest
        while try await environment.database.read({
            try InboundStaging($0).waits(from: server.text, in: room.text)
        }) {
            guard environment.clock.monotonic() < end else {
                throw MatrixError(.unableToAuthorizeJoin, "What the server sent of this room is not judged yet")
            }
            try await environment.clock.sleep(for: Self.hearing.poll)
        }
    }

    /// The user of ours who vouches for a join by a restricted room's rules; `nil` when none is needed.
    private func authorizing(_ user: UserID, in room: RoomRecord) async throws -> UserID? {
        guard try await meetsConditions(user, room) else { return nil }
        return try await inviter(in: room)
    }

    /// Whether a user may join a restricted room only since it is in another room, and is; `false` when it needs no such
    /// reason. Throws when it has none, or this server cannot tell.
    private func meetsConditions(_ user: UserID, _ room: RoomRecord) async throws -> Bool {
        guard room.version.rules.authorization.restrictedJoins,
            let event = try await reader.stateEvent(room, .joinRules)
        else { return false }
        let rules = JoinRules(event.pdu)
        guard rules.rule == .restricted || rules.rule == .knockRestricted else { return false }
        switch try await reader.membership(of: user, in: room.id)?.membership {
        case .join, .invite: return false
        case .ban: throw MatrixError(.forbidden, "The user is banned")
        default: break
        }
        var canTell = true
        for id in rules.allowedRooms.prefix(Self.maximumConditions) {
            guard let other = try await reader.record(id),
                try await reader.joinedServers(other).contains(environment.serverName)
            else {
                canTell = false
                continue
            }
            let membership = try await reader.membership(of: user, in: id)?.membership
            if membership == .join { return true }
            if membership == nil, other.isPartial { canTell = false }
        }
        guard canTell else {
            throw MatrixError(.unableToAuthorizeJoin, "This server cannot tell whether the user may join")
        }
        throw MatrixError(.forbidden, "The user is in none of the rooms that would let it in")
    }

    /// A joined user of ours who may invite.
    private func inviter(in room: RoomRecord) async throws -> UserID {
        guard let create = try await reader.stateEvent(room, .create)?.pdu else { throw MatrixError.unknown }
        let levels = PowerLevels(try await reader.stateEvent(room, .powerLevels)?.pdu, create: create)
        let members = try await environment.database.read {
            try RoomStore($0).joinedMembers(room: room.nid, of: environment.serverName)
        }
        for member in members.sorted() {
            if let level = try? levels.level(of: member), let needed = try? levels.required(for: .invite),
                level >= needed
            {
                return member
            }
        }
        throw MatrixError(.unableToGrantJoin, "No user of this server may invite")
    }

    // MARK: Finished events

    func membershipEvent(
        _ request: APIRequest, _ room: RoomRecord, _ origin: ServerName, _ membership: Membership
    ) async throws -> PDU {
        var pdu: PDU
        do { pdu = try PDU(parsing: request.body, version: room.version) } catch { throw MatrixError(error) }
        guard pdu.id == (try request.eventID()) else { throw MatrixError(.badJSON, "The event has another id") }
        guard pdu.type == .member, pdu.roomID == room.id, pdu.stateKey == pdu.sender.text,
            pdu.sender.serverName == origin, (try? RoomMember(pdu).membership) == membership
        else { throw MatrixError(.badJSON, "The event is not a \(membership.rawValue) of a user of the origin") }
        if membership == .join, room.version.rules.authorization.restrictedJoins,
            let text = pdu.content["join_authorised_via_users_server"]?.string, let vouching = try? UserID(text),
            environment.isLocal(vouching)
        {
            // Our signature says that the conditions hold; whether the user may invite, the authorization rules check.
            _ = try await meetsConditions(pdu.sender, room)
            let keys = environment.signingKeys
            do {
                pdu = try pdu.signed(by: environment.serverName, keyID: keys.keyID, key: keys.current)
            } catch { throw MatrixError(error) }
        }
        do { return try await verification.verified(pdu).pdu } catch {
            throw MatrixError(.forbidden, "The event is not acceptable: \(error.reason)")
        }
    }

    private func leave(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let room = try await room(request.roomID(), origin)
        let pdu = try await membershipEvent(request, room, origin, .leave)
        _ = try await accept(pdu, room)
        return .empty
    }

    private func knock(_ request: APIRequest, _ origin: ServerName) async throws -> APIResponse {
        let room = try await room(request.roomID(), origin)
        let pdu = try await membershipEvent(request, room, origin, .knock)
        _ = try await accept(pdu, room)
        let keys = StrippedState.types.map { StateKey($0, "") }
        let state = Array(try await reader.state(at: room.state, keys: keys).values)
        return .json { writer in
            writer.beginObject()
            writer.key("knock_room_state")
            RoomServing.write(state, into: &writer)
            writer.endObject()
        }
    }

    /// Judges a membership event by the state before it and the current state, writes it and passes it on to the others.
    func accept(_ pdu: PDU, _ room: RoomRecord) async throws -> (StoredEvent, StateRoot) {
        do { return try await acceptOnce(pdu, room) } catch is RoomKnowledgeChanged {
            return try await acceptOnce(pdu, self.room(room.id, pdu.sender.serverName))
        }
    }

    private func acceptOnce(_ pdu: PDU, _ room: RoomRecord) async throws -> (StoredEvent, StateRoot) {
        let rules = room.version.rules
        guard let create = try await reader.stateEvent(room, .create)?.pdu else { throw MatrixError.unknown }
        guard let before = try await reader.stateBefore(pdu.prevEvents, in: room, takesAssumed: true) else {
            throw MatrixError(.badJSON, "The event builds on events that are not known here")
        }
        let known = try await environment.database.read { try reader.log($0).events(ids: pdu.authEvents) }
        guard known.count == Set(pdu.authEvents).count else {
            throw MatrixError(.badJSON, "The event names auth events that are not known here")
        }
        do throws(Rejection) {
            let auth = pdu.authEvents.compactMap { known[$0]?.pdu }
            try checkAuthEvents(
                pdu, authEvents: auth, by: rules,
                isRejected: { known[$0]?.flags.contains(.rejected) ?? true })
            try authorize(
                pdu, given: RoomState(auth + (rules.roomIDIsCreateEventHash ? [create] : [])), by: rules, create: create
            )
        } catch { throw MatrixError(error) }
        for root in [before, room.state] {
            let keys = authEventKeys(for: pdu) + [StateKey(.create, ""), StateKey(.powerLevels, "")]
            let state = RoomState(try await reader.state(at: root, keys: keys).mapValues(\.pdu))
            do throws(Rejection) { try authorize(pdu, given: state, by: rules, create: create) } catch {
                throw MatrixError(error)
            }
        }
        // Who is not in the room does not know of its policy server.
        let signed = try await writer.recommended(pdu, by: try await reader.policy(of: room))
        let others = try await reader.joinedServers(room)
            .filter { $0 != environment.serverName && $0 != pdu.sender.serverName }
        let judged = JudgedPDU(
            pdu: signed, verdict: .accepted, stateBefore: before, knowledge: room.knowledge, destinations: others)
        guard let event = try await writer.append([judged], to: room.id).first else { throw MatrixError.unknown }
        return (event, before)
    }
}
