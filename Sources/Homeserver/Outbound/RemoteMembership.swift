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
struct RemoteMembership: RemoteJoining, InviteSending {
    /// A template as a resident server made it.
    private struct Template {
        var version: RoomVersion
        var event: JSONView
    }

    let environment: Environment
    let client: FederationClient
    let verification: PDUVerification
    let imports: RoomImport

    // MARK: Joining

    func join(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
    ) async throws(MatrixError) -> RoomID {
        var failure = MatrixError(.notFound, "No server that is in the room could be asked")
        for server in servers where server != environment.serverName {
            do {
                let template = try await template(.makeJoin, room, user, "join", at: server)
                let event = try finish(template, room, user, "join", content)
                let answer = try await call(
                    APICall(
                        .sendJoinV2, ["roomId": room.text, "eventId": event.id.text],
                        query: [("omit_members", "false")], body: JSONValue(event.document.root)),
                    at: server, timeout: environment.configuration.timeouts.federationJoin)
                try await accept(answer, event, template.version, room, from: server)
                return room
            } catch {
                environment.logger.info(
                    "join failed", metadata: ["server": "\(server)", "cause": "\(error.code.text) \(error.message)"])
                failure = error
            }
        }
        throw failure
    }

    /// Checks what a `send_join` answered and writes the room.
    private func accept(
        _ answer: JSONView, _ join: PDU, _ version: RoomVersion, _ room: RoomID, from server: ServerName
    ) async throws(MatrixError) {
        // The resident server may have signed the join (restricted rooms).
        var join = join
        if let signed = answer["event"], signed.kind == .object,
            let event = try? PDU(parsing: signed, version: version, knownID: join.id), event.id == join.id
        {
            join = event
        }
        // A restricted room's join counts only with the signature of the server that vouches.
        do { join = try await verification.verified(join) } catch {
            throw MatrixError(.unknown, "\(server) did not sign the join", status: 502)
        }
        do {
            try await imports.write(
                room: room, version: version, join: join, state: answer["state"]?.elements ?? [],
                authChain: answer["auth_chain"]?.elements ?? [])
        } catch let error as MatrixError {
            throw error
        } catch {
            environment.logger.warning("import failed", metadata: ["room": "\(room)", "cause": "\(error)"])
            throw .unknown
        }
    }

    // MARK: Leaving and knocking

    func leave(
        _ room: RoomID, as user: UserID, content: JSONValue, invite: ReceivedInvite
    ) async throws(MatrixError) {
        var failure = MatrixError(.notFound, "No server that is in the room could be asked")
        var servers = [invite.sender.serverName]
        if let server = room.serverName, !servers.contains(server) { servers.append(server) }
        // Of a knock of ours, the servers of those whom the room's state names.
        let shown = (try? JSONDocument(invite.strippedState))?.root.elements ?? []
        for event in shown.prefix(InviteReceiving.maximumState) {
            guard let sender = event["sender"]?.string.flatMap({ try? UserID($0) }) else { continue }
            if !servers.contains(sender.serverName), servers.count < 5 { servers.append(sender.serverName) }
        }
        for server in servers where server != environment.serverName {
            do {
                let template = try await template(.makeLeave, room, user, "leave", at: server)
                let event = try finish(template, room, user, "leave", content)
                _ = try await call(
                    APICall(
                        .sendLeaveV2, ["roomId": room.text, "eventId": event.id.text],
                        body: JSONValue(event.document.root)),
                    at: server, timeout: environment.configuration.timeouts.federationRequest)
                return
            } catch { failure = error }
        }
        throw failure
    }

    func knock(
        _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
    ) async throws(MatrixError) -> RoomID {
        var failure = MatrixError(.notFound, "No server that is in the room could be asked")
        for server in servers where server != environment.serverName {
            do throws(MatrixError) {
                let template = try await template(.makeKnock, room, user, "knock", at: server)
                let event = try finish(template, room, user, "knock", content)
                let answer = try await call(
                    APICall(
                        .sendKnock, ["roomId": room.text, "eventId": event.id.text],
                        body: JSONValue(event.document.root)),
                    at: server, timeout: environment.configuration.timeouts.federationRequest)
                let state = (answer["knock_room_state"]?.elements ?? []).prefix(InviteReceiving.maximumState)
                let invite = ReceivedInvite(
                    user: user, roomID: room, version: template.version, sender: user, membership: .knock,
                    eventID: event.id, event: event.canonicalJSON,
                    strippedState: InviteReceiving.stripped(Array(state), event))
                try await save(invite)
                return room
            } catch { failure = error }
        }
        throw failure
    }

    private func save(_ invite: ReceivedInvite) async throws(MatrixError) {
        let sealer = environment.sealer
        do {
            try await environment.database.write { connection in
                _ = try RoomStore(connection).saveInvite(invite, sealer: sealer)
            }
        } catch {
            environment.logger.warning("knock not kept", metadata: ["room": "\(invite.roomID)", "cause": "\(error)"])
            throw .unknown
        }
    }

    // MARK: Invites

    func sendInvite(_ event: PDU, state: [PDU]) async throws(MatrixError) -> PDU {
        guard let text = event.stateKey, let invited = try? UserID(text) else {
            throw MatrixError(.badJSON, "The invite names no user")
        }
        let answer: JSONView?
        do {
            answer = try await sendInvite(event, state, to: invited.serverName)
        } catch { throw Self.error(error, invited.serverName) }
        guard let view = answer, let signed = try? PDU(parsing: view, version: event.version, knownID: event.id),
            signed.id == event.id, let keyID = EventSignatures.keyIDs(of: invited.serverName, on: signed).first,
            let signature = signed.signatures?[invited.serverName.text]?[keyID]?.string
        else { throw MatrixError(.unknown, "The invited user's server did not sign the invite", status: 502) }
        let merged: PDU
        do { merged = try event.adding(signature: signature, of: invited.serverName, keyID: keyID) } catch {
            throw MatrixError(error)
        }
        guard (try? await verification.verified(merged)) != nil,
            await verification.isSigned(merged, by: invited.serverName)
        else { throw MatrixError(.unknown, "The invited user's server did not sign the invite", status: 502) }
        return merged
    }

    /// The invite as the other server's answer has it.
    private func sendInvite(
        _ event: PDU, _ state: [PDU], to server: ServerName
    ) async throws(FederationError) -> JSONView? {
        let timeout = Duration.milliseconds(environment.configuration.timeouts.federationRequest)
        let ids = ["roomId": event.roomID.text, "eventId": event.id.text]
        let state = JSONValue.array(state.map { JSONValue($0.document.root) })
        do {
            let body: JSONValue = [
                "room_version": .string(event.version.text), "event": JSONValue(event.document.root),
                "invite_room_state": state,
            ]
            return try await client.json(APICall(.sendInviteV2, ids, body: body), at: server, timeout: timeout)["event"]
        } catch {
            // Old servers know only the first version of the endpoint.
            guard event.version.rules.eventIDIsSent, case .refused(let status, let answer) = error,
                status == 404 || status == 400, answer == nil || answer?.code == .unrecognized
            else { throw error }
        }
        var body = JSONValue(event.document.root)
        body["unsigned"] = ["invite_room_state": state]
        // Its answer is a pair of a status and an object.
        let answer = try await client.json(
            APICall(.sendInviteV1, ids, body: body), at: server, timeout: timeout, kind: .array)
        return answer.elements.last?["event"]
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
            timeout: environment.configuration.timeouts.federationRequest)
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
        _ template: Template, _ room: RoomID, _ user: UserID, _ membership: String, _ content: JSONValue
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
                version: template.version, prev: prev, auth: auth, depth: template.event["depth"]?.integer ?? 1,
                timestamp: environment.clock.now(), server: environment.serverName,
                keyID: environment.signingKeys.keyID, key: environment.signingKeys.current, referenceHashes: hashes)
        } catch { throw MatrixError(error) }
    }

    /// Calls another server. Its refusals become ours where the client can do something about them.
    private func call(
        _ call: APICall, at server: ServerName, timeout: Int64
    ) async throws(MatrixError) -> JSONView {
        do {
            return try await client.json(call, at: server, timeout: .milliseconds(timeout))
        } catch { throw Self.error(error, server) }
    }

    private static func error(_ error: FederationError, _ server: ServerName) -> MatrixError {
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
