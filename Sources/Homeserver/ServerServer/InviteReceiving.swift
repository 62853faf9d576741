internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Takes invites of other servers in for users of this one, and signs them.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room>
struct InviteReceiving: RouteGroup {
    /// State events that may come with an invite.
    static let maximumState = 100

    let environment: Environment
    let reader: RoomReader
    let writer: RoomWriter
    let verification: PDUVerification
    let accountExists: @Sendable (UserID) async throws -> Bool

    func register(on router: inout Router) {
        router.onServer(.sendInviteV2) { request, origin in
            guard let text = request.body["room_version"]?.string else {
                throw MatrixError(.missingParameter, "Missing room_version")
            }
            guard let version = RoomVersion(text) else {
                throw MatrixError(
                    .incompatibleRoomVersion, "The room's version is not supported here",
                    fields: ["room_version": .string(text)])
            }
            let state = try request.optionalArray("invite_room_state") ?? []
            let event = try await receive(try request.object("event"), version, state, request, origin)
            return .json(["event": event])
        }
        router.onServer(.sendInviteV1) { request, origin in
            let state = request.body["unsigned"]?["invite_room_state"]?.elements ?? []
            let event = try await receive(request.body, .v1, state, request, origin)
            return .json([200, ["event": event]])
        }
    }

    private func receive(
        _ view: JSONView, _ version: RoomVersion, _ state: [JSONView], _ request: APIRequest, _ origin: ServerName
    ) async throws -> JSONValue {
        let pdu: PDU
        do { pdu = try PDU(parsing: view, version: version) } catch { throw MatrixError(error) }
        guard pdu.id == (try request.eventID()), pdu.roomID == (try request.roomID()) else {
            throw MatrixError(.invalidParameter, "The event has another id or room")
        }
        guard pdu.type == .member, pdu.sender.serverName == origin, (try? RoomMember(pdu).membership) == .invite,
            let text = pdu.stateKey, let invited = try? UserID(text), environment.isLocal(invited)
        else {
            throw MatrixError(.invalidParameter, "The event is not an invite of a user of this server by the origin")
        }
        guard state.count <= Self.maximumState else { throw MatrixError(.tooLarge, "Too much state with the invite") }
        guard ContentHash.matches(pdu), (try? await verification.verified(pdu)) != nil else {
            throw MatrixError(.invalidParameter, "The invite's hash or signature is not good")
        }
        try await reader.checkOpen(pdu.roomID)
        let room = try await reader.record(pdu.roomID)
        if let room, try await !reader.allows(origin, in: room) {
            throw MatrixError(.forbidden, "The room's access list forbids this server")
        }
        guard try await accountExists(invited) else { throw MatrixError(.notFound, "No such user here") }
        let sealer = environment.sealer
        if try await environment.database.read({ try InviteBlocking.isOn(for: invited, sealer, $0) }) {
            throw MatrixError(.inviteBlocked, "The user does not take invites")
        }
        try await checkState(state, pdu)

        let keys = environment.signingKeys
        let signed: PDU
        do {
            signed = try pdu.signed(by: environment.serverName, keyID: keys.keyID, key: keys.current)
        } catch { throw MatrixError(error) }
        // In a room we are in, the invite comes again as an event of the room.
        if let room,
            try await reader.joinedServers(room).contains(environment.serverName)
        {
            return JSONValue(signed.document.root)
        }
        let invite = ReceivedInvite(
            user: invited, roomID: pdu.roomID, version: version, sender: pdu.sender, membership: .invite,
            eventID: pdu.id, event: signed.canonicalJSON, strippedState: Self.stripped(state, signed))
        let limit = environment.configuration.limits.invitesPerUser
        try await environment.database.write { connection in
            _ = try RoomStore(connection).saveInvite(invite, sealer: sealer, limit: limit)
        }
        return JSONValue(signed.document.root)
    }

    /// From room version 12 the create event must be there, and everything be an event of the room, rightly signed. Before,
    /// servers may send stripped state, which nobody can check.
    private func checkState(_ state: [JSONView], _ invite: PDU) async throws {
        guard invite.version.rules.roomIDIsCreateEventHash else { return }
        guard state.contains(where: { $0["type"]?.string == EventType.create.text }) else {
            throw MatrixError(.missingParameter, "invite_room_state lacks the create event")
        }
        let pdus = state.compactMap { try? PDU(parsing: $0, version: invite.version) }
        guard pdus.count == state.count, pdus.allSatisfy({ $0.roomID == invite.roomID && $0.isState }) else {
            throw MatrixError(.invalidParameter, "invite_room_state has what is no state event of the room")
        }
        guard await verification.verified(pdus).count == pdus.count else {
            throw MatrixError(.invalidParameter, "invite_room_state has an event without a good signature")
        }
    }

    /// What the client is shown of the room: type, state key, content and sender of each, and nothing else.
    static func stripped(_ state: [JSONView], _ invite: PDU) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginArray()
        for event in state where event["type"]?.string != nil {
            guard let content = event["content"], content.kind == .object, let sender = event["sender"]?.string,
                let type = event["type"]?.string, let stateKey = event["state_key"]?.string
            else { continue }
            writer.beginObject()
            writer.key("content")
            writer.value(content)
            writer.key("sender")
            writer.string(sender)
            writer.key("state_key")
            writer.string(stateKey)
            writer.key("type")
            writer.string(type)
            writer.endObject()
        }
        StrippedState.write(invite, into: &writer)
        writer.endArray()
        return writer.bytes
    }
}
