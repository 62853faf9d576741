internal import Cryptography
internal import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Takes local users in and out of rooms of other servers: asks a resident server for a template, completes and signs it, and
/// brings it back. Spec: <https://spec.matrix.org/v1.19/server-server-api/#joining-rooms>
struct RemoteMembership: RemoteJoining {
    /// A template as a resident server made it.
    private struct Template {
        var version: RoomVersion
        var event: JSONView
    }

    let environment: Environment
    let client: FederationClient
    let verification: PDUVerification
    let imports: RoomImport
    let judgement: PDUJudgement
    /// Told of a room that was joined without its members.
    let joinedInPart: @Sendable () -> Void

    // MARK: Joining

    func join(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
    ) async throws(MatrixError) -> RoomID {
        let attempt = environment.random.token(16)
        do throws(MatrixError) {
            let joined = try await join(room, as: user, content: content, via: servers, attempt)
            await endWait(for: room, nil)
            return joined
        } catch {
            await endWait(for: room, attempt)
            throw error
        }
    }

    private func join(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName], _ attempt: String
    ) async throws(MatrixError) -> RoomID {
        // Where state is resolved by version 1, depth decides; the join must come after a leave of ours that the
        // resident has not heard of yet.
        let depth = (try? await environment.database.read { try RoomStore($0).room(room)?.depth }) ?? 0
        return try await asking(servers) { server throws(MatrixError) in
            let template = try await template(.makeJoin, room, user, "join", at: server)
            let event = try finish(template, room, user, "join", content, after: depth)
            try await checkEndIsKnown(before: event, at: server)
            let known = try await extremities(before: event, at: server)
            // What was there is merged with a whole state only; where users of ours are in the room, none is taken in.
            let isHere = try await isHere(room)
            let mayOmitMembers = known.loose.isEmpty || isHere
            if !isHere { try await beginWait(for: room, attempt) }
            let answer = try await call(
                APICall(
                    .sendJoinV2, ["roomId": room.text, "eventId": event.id.text],
                    query: [("omit_members", mayOmitMembers ? "true" : "false")], body: JSONValue(event.document.root)),
                at: server, timeout: environment.configuration.timeouts.federationJoin)
            guard mayOmitMembers || !Self.omitsMembers(answer) else {
                throw MatrixError(.unknown, "\(server) left out the room's members unasked", status: 502)
            }
            try await accept(answer, event, template.version, room, from: server, known)
            return room
        }
    }

    /// From when a resident is sent the join until the room is here, what servers send for it waits, a while at most.
    private func beginWait(for room: RoomID, _ attempt: String) async throws(MatrixError) {
        let now = environment.clock.now()
        let until = now + environment.configuration.timeouts.joinHeld
        do {
            try await environment.database.write {
                try JoiningRooms($0).begin(room, attempt: attempt, now: now, until: until)
            }
        } catch { throw .unknown }
    }

    private func endWait(for room: RoomID, _ attempt: String?) async {
        let now = environment.clock.now()
        try? await environment.database.write { try JoiningRooms($0).end(room, attempt: attempt, now: now) }
    }

    /// A resident that the end of a user's membership has not reached yet would have the join beside it, and servers that get
    /// both may take the end for the later one. Such a resident is sent first what of the room waits for it: our leave, or
    /// that its own users were removed before, in which case it is no resident. Of what others did it hears from them.
    /// - Throws: `M_UNKNOWN` with 504 where the resident is to be asked later.
    private func checkEndIsKnown(before join: PDU, at server: ServerName) async throws(MatrixError) {
        let reader = imports.writer.reader
        let isStale: Bool
        do {
            guard let record = try await reader.record(join.roomID),
                let own = try await reader.stateEvent(record, .member, join.sender.text),
                [.leave, .ban].contains((try? RoomMember(own.pdu).membership) ?? .join),
                !join.authEvents.contains(own.pdu.id)
            else { return }
            isStale = try await environment.database.write { connection in
                // Who put an end to it tells the residents; one that goes by a membership of before has not heard.
                guard own.pdu.sender == join.sender else {
                    return try reader.log(connection).events(ids: join.authEvents).values.contains {
                        StateKey(of: $0.pdu) == StateKey(.member, join.sender.text)
                    }
                }
                let outbox = Outbox(connection)
                guard try outbox.waits(room: record.nid, for: server.text) else { return false }
                _ = try outbox.wake(server.text)
                return true
            }
        } catch { throw .unknown }
        if isStale {
            throw MatrixError(.unknown, "\(server) has not heard yet what happened before the user left", status: 504)
        }
    }

    /// Whether users of ours are in a room already, whether or not all of it is known.
    private func isHere(_ room: RoomID) async throws(MatrixError) -> Bool {
        let reader = imports.writer.reader
        do {
            guard let record = try await reader.record(room) else { return false }
            return try await reader.joinedServers(record).contains(environment.serverName)
        } catch { throw .unknown }
    }

    /// Whether an answer to `send_join` lacks the room's members, by the name that says so now or by that of MSC3706.
    private static func omitsMembers(_ answer: JSONView) -> Bool {
        ["members_omitted", "org.matrix.msc3706.partial_state"].contains { answer[$0]?.bool == true }
    }

    /// Checks what a `send_join` answered and writes the room; or the join alone, where users of ours are in the room:
    /// what the resident told of the state would else take the place of what is known here, be it ever so old.
    private func accept(
        _ answer: JSONView, _ join: PDU, _ version: RoomVersion, _ room: RoomID, from server: ServerName,
        _ known: Extremities
    ) async throws(MatrixError) {
        // The resident server may have signed the join (restricted rooms).
        var join = join
        if let signed = answer["event"], signed.kind == .object,
            let event = try? PDU(parsing: signed, version: version, knownID: join.id), event.id == join.id
        {
            join = event
        }
        // A restricted room's join counts only with the signature of the server that vouches.
        let verified: VerifiedPDU
        do { verified = try await verification.verified(join) } catch {
            throw MatrixError(.unknown, "\(server) did not sign the join", status: 502)
        }
        join = verified.pdu
        var partial: (resident: ServerName, servers: [ServerName])?
        if Self.omitsMembers(answer) {
            guard let named = answer["servers_in_room"]?.array else {
                throw MatrixError(.unknown, "\(server) did not say who is in the room", status: 502)
            }
            let others = Set(
                named.prefix(RoomLimits.serversOfPartialRoom).compactMap { $0.string.flatMap { try? ServerName($0) } })
            partial = (server, others.union([server]).subtracting([environment.serverName]).sorted())
        }
        do {
            var isHere = try await isHere(room)
            if !isHere {
                // Nothing of before could be merged with it.
                guard partial == nil || known.loose.isEmpty else {
                    throw MatrixError(.unknown, "The room was left meanwhile", status: 503)
                }
                do {
                    try await imports.write(
                        room: room, version: version, join: join, state: answer["state"]?.elements ?? [],
                        authChain: answer["auth_chain"]?.elements ?? [], from: server, partial: partial,
                        following: known.followed)
                    if partial != nil { joinedInPart() }
                } catch is RoomIsHere { isHere = true }
            }
            if isHere { try await judgement.receive(verified, from: server, fetches: true) }
            if !known.loose.isEmpty { try await tellEnds(of: room) }
            // What is known here may say that the user was banned.
            guard try await imports.writer.reader.isJoined(join.sender, in: room) else {
                throw MatrixError(.unknown, "The join of \(server) is not acceptable", status: 502)
            }
        } catch let error as MatrixError {
            throw error
        } catch {
            environment.logger.warning("import failed", metadata: ["room": "\(room)", "cause": "\(error)"])
            throw .unknown
        }
    }

    /// Asks one server after the other until one does it. Of the failures the one that tells most is thrown.
    private func asking<R>(
        _ servers: [ServerName], _ work: (ServerName) async throws(MatrixError) -> R
    ) async throws(MatrixError) -> R {
        let end = environment.clock.monotonic() + .milliseconds(environment.configuration.timeouts.federationJoin)
        var failure: MatrixError?
        for server in servers where server != environment.serverName {
            if failure != nil, environment.clock.monotonic() >= end { break }
            do throws(MatrixError) { return try await work(server) } catch {
                environment.logger.info(
                    "a server could not help",
                    metadata: ["server": "\(server)", "cause": "\(error.code.text) \(error.message)"])
                if failure.map({ Self.weight($0) < Self.weight(error) }) ?? true { failure = error }
            }
        }
        throw failure ?? MatrixError(.notFound, "No server that is in the room could be asked")
    }

    /// How much a failure tells: least that a server cannot be reached, most that it decided.
    private static func weight(_ error: MatrixError) -> Int {
        switch error.code {
        case _ where error.status >= 500: 0
        case .notFound: 1
        case .unableToAuthorizeJoin, .unableToGrantJoin: 2
        default: 3
        }
    }

    // MARK: Leaving and knocking

    func leave(
        _ room: RoomID, as user: UserID, content: JSONValue, invite: ReceivedInvite
    ) async throws(MatrixError) {
        var servers = [invite.sender.serverName]
        if let server = room.serverName, !servers.contains(server) { servers.append(server) }
        // Of a knock of ours, the servers of those whom the room's state names.
        let shown = (try? JSONDocument(invite.strippedState))?.root.elements ?? []
        for event in shown.prefix(InviteReceiving.maximumState) {
            guard let sender = event["sender"]?.string.flatMap({ try? UserID($0) }) else { continue }
            if !servers.contains(sender.serverName), servers.count < 5 { servers.append(sender.serverName) }
        }
        try await asking(servers) { server throws(MatrixError) in
            let template = try await template(.makeLeave, room, user, "leave", at: server)
            let event = try finish(template, room, user, "leave", content)
            _ = try await call(
                APICall(
                    .sendLeaveV2, ["roomId": room.text, "eventId": event.id.text],
                    body: JSONValue(event.document.root)),
                at: server, timeout: environment.configuration.timeouts.federationRequest)
        }
    }

    func knock(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
    ) async throws(MatrixError) -> RoomID {
        try await asking(servers) { server throws(MatrixError) in
            let template = try await template(.makeKnock, room, user, "knock", at: server)
            let event = try finish(template, room, user, "knock", content)
            let answer = try await call(
                APICall(
                    .sendKnock, ["roomId": room.text, "eventId": event.id.text],
                    body: JSONValue(event.document.root)),
                at: server, timeout: environment.configuration.timeouts.federationRequest)
            let state = (answer["knock_room_state"]?.elements ?? []).prefix(InviteReceiving.maximumState)
            try await save(
                ReceivedInvite(
                    user: user, roomID: room, version: template.version, sender: user, membership: .knock,
                    eventID: event.id, event: event.canonicalJSON,
                    strippedState: InviteReceiving.stripped(Array(state), event)))
            return room
        }
    }

    private func save(_ invite: ReceivedInvite) async throws(MatrixError) {
        let sealer = environment.sealer
        let limit = environment.configuration.limits.invitesPerUser
        do {
            try await environment.database.write { connection in
                _ = try RoomStore(connection).saveInvite(invite, sealer: sealer, limit: limit)
            }
        } catch {
            environment.logger.warning("knock not kept", metadata: ["room": "\(invite.roomID)", "cause": "\(error)"])
            throw .unknown
        }
    }

    // MARK: Aliases

    func resolve(_ alias: RoomAlias) async throws(MatrixError) -> (room: RoomID, servers: [ServerName]) {
        let answer = try await call(
            APICall(.queryRoomDirectory, query: [("room_alias", alias.text)]), at: alias.serverName,
            timeout: environment.configuration.timeouts.keyFetch)
        guard let text = answer["room_id"]?.string, let room = try? RoomID(text) else {
            throw MatrixError(.notFound, "The alias is not known")
        }
        var servers = (answer["servers"]?.elements ?? []).prefix(50).compactMap {
            $0.string.flatMap { try? ServerName($0) }
        }
        if !servers.contains(alias.serverName) { servers.append(alias.serverName) }
        return (room, servers)
    }

    // MARK: The parts of the handshake

    private func template(
        _ route: Route, _ room: RoomID, _ user: UserID, _ membership: String, at server: ServerName
    ) async throws(MatrixError) -> Template {
        let versions = route != .makeLeave ? RoomVersion.all.map { ("ver", $0.text) } : []
        let answer = try await call(
            APICall(route, ["roomId": room.text, "userId": user.text], query: versions), at: server,
            timeout: min(environment.configuration.timeouts.federationRequest, RoomLimits.templateTime))
        let versionText = answer["room_version"]?.string ?? "1"
        guard let version = RoomVersion(versionText) else {
            throw MatrixError(.incompatibleRoomVersion, "The room's version is not supported here")
        }
        guard let event = answer["event"], event["type"]?.string == EventType.member.text,
            event["room_id"]?.string == room.text, event["state_key"]?.string == user.text,
            event["sender"]?.string == user.text, event["content"]?["membership"]?.string == membership
        else { throw MatrixError(.unknown, "The other server's answer is not usable", status: 502) }
        return Template(version: version, event: event)
    }

    /// The finished event of a template: its place in the graph is the resident's, all else is ours.
    private func finish(
        _ template: Template, _ room: RoomID, _ user: UserID, _ membership: String, _ content: JSONValue,
        after known: Int64 = 0
    ) throws(MatrixError) -> PDU {
        var content = content
        content["membership"] = .string(membership)
        if let authorizing = template.event["content"]?["join_authorised_via_users_server"]?.string {
            content["join_authorised_via_users_server"] = .string(authorizing)
        }
        var hashes: [EventID: [UInt8]] = [:]
        func references(_ key: String) -> [EventID] {
            (template.event[key]?.elements ?? []).prefix(20).compactMap { reference in
                guard let text = reference.string ?? reference.elements.first?.string, let id = try? EventID(text)
                else {
                    return nil
                }
                hashes[id] = reference.elements.last?["sha256"]?.string.flatMap { Base64.decode($0) } ?? []
                return id
            }
        }
        let prev = references("prev_events")
        let auth = references("auth_events")
        let draft = EventDraft(type: .member, sender: user, stateKey: user.text, content: content, roomID: room)
        do {
            return try draft.seal(
                version: template.version, prev: prev, auth: auth,
                depth: max(template.event["depth"]?.integer ?? 1, min(known, Int64.max - 1) + 1),
                timestamp: environment.clock.now(), server: environment.serverName,
                keyID: environment.signingKeys.keyID, key: environment.signingKeys.current, referenceHashes: hashes)
        } catch { throw MatrixError(error) }
    }

    /// Calls another server. Its refusals become ours where the client can do something about them.
    func call(
        _ call: APICall, at server: ServerName, timeout: Int64
    ) async throws(MatrixError) -> JSONView {
        do {
            return try await client.json(call, at: server, timeout: .milliseconds(timeout))
        } catch { throw Self.error(error, server) }
    }

    static func error(_ error: FederationError, _ server: ServerName) -> MatrixError {
        switch error {
        case .refused(let status, let answer?)
        where status < 500
            && [
                "M_FORBIDDEN", "M_NOT_FOUND", "M_INCOMPATIBLE_ROOM_VERSION", "M_UNABLE_TO_AUTHORISE_JOIN",
                "M_UNABLE_TO_GRANT_JOIN", "M_INVITE_BLOCKED",
            ].contains(answer.code.text):
            MatrixError(answer.code, "\(server) refused", status: status)
        case .refused(let status, _): MatrixError(.unknown, "\(server) answered \(status)", status: 502)
        case .notAllowed: MatrixError(.forbidden, "This server does not speak to \(server)")
        case .malformed, .unreachable: MatrixError(.unknown, "\(server) could not be asked", status: 502)
        }
    }
}
