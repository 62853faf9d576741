internal import Federation
internal import HTTPTypes
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Turns invites to addresses into invites of users, when an identity server says whose address it is. What it says counts
/// by the signature that the authorization rules check, whoever brings it.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#third-party-invites>
struct ThirdPartyInviting: RouteGroup {
    /// Invites that one notification may bring.
    static let maximumInvites = 20
    /// The signed object of an invite, bytes.
    static let maximumSignedBytes = 8 << 10

    let environment: Environment
    let reader: RoomReader
    let memberships: MembershipEditing
    let client: FederationClient
    let limiter: RateLimiter

    func register(on router: inout Router) {
        router.onServer(.exchangeThirdPartyInvite) { request, origin in try await exchange(request, from: origin) }
        router.onPublic(.onBindThirdPartyIdentifier) { request in try await bound(request) }
        router.onPublic(.postOnBindThirdPartyIdentifier) { request in try await bound(request) }
    }

    /// An invite to an address, and the user whose it turned out to be.
    private struct Invite: Sendable {
        var room: RoomID
        var sender: UserID
        var user: UserID
        var token: String
        var signed: JSONValue

        init(room: RoomID, sender: UserID, user: UserID, signed: JSONView?) throws(MatrixError) {
            guard let signed, signed["mxid"]?.string == user.text, let token = signed["token"]?.string,
                signed["signatures"]?.kind == .object, signed.rawBytes.count <= maximumSignedBytes
            else { throw MatrixError(.badJSON, "The invite is not signed for \(user)") }
            (self.room, self.sender, self.user, self.token) = (room, sender, user, token)
            self.signed = JSONValue(signed)
        }

        func content(_ displayName: String) -> JSONValue {
            ["display_name": .string(displayName), "signed": signed]
        }
    }

    // MARK: From the invited user's server

    private func exchange(_ request: APIRequest, from origin: ServerName) async throws -> APIResponse {
        let body = request.body
        let room = try request.roomID()
        guard body["type"]?.string == EventType.member.text, body["room_id"]?.string == room.text,
            let content = body["content"], content["membership"]?.string == Membership.invite.rawValue,
            let sender = body["sender"]?.string.flatMap({ try? UserID($0) }),
            let user = body["state_key"]?.string.flatMap({ try? UserID($0) })
        else { throw MatrixError(.badJSON, "The event is not an invite to the room") }
        let invite = try Invite(
            room: room, sender: sender, user: user, signed: content["third_party_invite"]?["signed"])
        guard user.serverName == origin else { throw MatrixError(.forbidden, "The user is of another server") }
        guard environment.isLocal(sender) else {
            throw MatrixError(.forbidden, "The invite was made by a user of another server")
        }
        guard let record = try await reader.record(room), try await memberships.isResident(record) else {
            throw MatrixError(.notFound, "This server is not in the room")
        }
        guard try await reader.allows(origin, in: record) else {
            throw MatrixError(.forbidden, "The room's access list forbids this server")
        }
        try await issue(invite, in: record)
        return .empty
    }

    /// Invites the user in a room of ours, in the name of who invited the address.
    private func issue(_ invite: Invite, in record: RoomRecord) async throws {
        guard let event = try await reader.stateEvent(record, .thirdPartyInvite, invite.token),
            event.pdu.sender == invite.sender
        else { throw MatrixError(.forbidden, "The room has no such invite") }
        switch try await reader.membership(of: invite.user, in: record.id)?.membership {
        // The authorization rules would let the invite take the place of the join.
        case .join, .invite: return
        case .ban: throw MatrixError(.forbidden, "The user is banned")
        default: break
        }
        let content = invite.content(event.pdu.content["display_name"]?.string ?? "")
        try await memberships.invite(
            invite.user, to: record.id, by: invite.sender, content: ["third_party_invite": content])
    }

    // MARK: From the invited user

    /// Has a user of ours invited to whose address an invite was made, as the identity server's signature proves.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>
    /// - Throws: `MatrixError`: `M_FORBIDDEN` where the room has no such invite or the signature is not good.
    func redeem(_ proof: JSONView, in room: RoomID, for user: UserID) async throws {
        guard let sender = proof["sender"]?.string.flatMap({ try? UserID($0) }) else {
            throw MatrixError(.badJSON, "third_party_signed does not say who invited")
        }
        try await take(Invite(room: room, sender: sender, user: user, signed: proof))
    }

    // MARK: From the identity server

    /// A user of ours has bound an address; what was waiting for it is dealt with as well as can be.
    private func bound(_ request: APIRequest) async throws -> APIResponse {
        // Anybody may ask this, and other servers are asked in turn.
        try await limiter.take(.invites, who: request.remoteAddress)
        guard environment.configuration.federation.isEnabled else {
            throw MatrixError(.forbidden, "This server does not federate")
        }
        let user: UserID
        do { user = try UserID(try request.string("mxid")) } catch {
            throw MatrixError(.invalidParameter, "mxid is not a user ID")
        }
        let isOurs = try await environment.database.read { try AccountStore($0).account(user) != nil }
        guard environment.isLocal(user), isOurs else { throw MatrixError(.notFound, "No such user here") }
        let views = try request.optionalArray("invites") ?? []
        guard views.count <= Self.maximumInvites else {
            throw MatrixError(.tooLarge, "At most \(Self.maximumInvites) invites at once", status: 400)
        }
        let invites = try views.map { view throws(MatrixError) in
            guard view["mxid"]?.string == user.text, let room = view["room_id"]?.string.flatMap({ try? RoomID($0) }),
                let sender = view["sender"]?.string.flatMap({ try? UserID($0) })
            else { throw MatrixError(.badJSON, "An invite lacks a field") }
            return try Invite(room: room, sender: sender, user: user, signed: view["signed"])
        }
        await withTaskGroup(of: Void.self) { group in
            for invite in invites {
                group.addTask {
                    do { try await take(invite) } catch {
                        environment.logger.info(
                            "an invite to an address failed",
                            metadata: ["room": "\(invite.room)", "cause": "\(error)"])
                    }
                }
            }
        }
        return .empty
    }

    private func take(_ invite: Invite) async throws {
        if let record = try await reader.record(invite.room), try await memberships.isResident(record) {
            return try await issue(invite, in: record)
        }
        guard environment.configuration.federation.isEnabled, !environment.isLocal(invite.sender) else {
            throw MatrixError(.forbidden, "The room has no such invite")
        }
        try await memberships.checkInvitesAllowed(invite.user)
        let body: JSONValue = [
            "type": .string(EventType.member.text), "room_id": .string(invite.room.text),
            "sender": .string(invite.sender.text), "state_key": .string(invite.user.text),
            "content": [
                "membership": .string(Membership.invite.rawValue), "third_party_invite": invite.content(""),
            ],
        ]
        let server = invite.sender.serverName
        do {
            _ = try await client.json(
                APICall(.exchangeThirdPartyInvite, ["roomId": invite.room.text], body: body), at: server,
                timeout: .milliseconds(environment.configuration.timeouts.federationRequest), maximumBytes: 1 << 20)
        } catch { throw RemoteMembership.error(error, server) }
    }
}

extension Route {
    /// The specification has `PUT`; the identity servers in use, and Synapse, have `POST`.
    static let postOnBindThirdPartyIdentifier = Route(
        "onBindThirdPartyIdentifier", .post, "/_matrix/federation/v1/3pid/onbind", .none)
}
