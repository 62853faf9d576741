internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Invites to e-mail addresses and the like, of which an identity server says whose they are, or that it keeps until it can.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#third-party-invites>
struct AddressInviting: Sendable {
    /// An invite as a client asks for it.
    struct Wish: Sendable {
        var server: ServerName
        var token: String
        var medium: String
        var address: String

        /// Reads the four fields of an invite.
        /// - Throws: `M_MISSING_PARAM`, `M_BAD_JSON`, `M_INVALID_PARAM`.
        init(_ body: JSONView) throws(MatrixError) {
            func text(_ key: String) throws(MatrixError) -> String {
                guard let value = body[key], !value.isNull else {
                    throw MatrixError(.missingParameter, "Missing \(key)")
                }
                guard let text = value.string else { throw MatrixError(.badJSON, "\(key) is not a string") }
                guard (1...EventLimits.fieldBytes * 8).contains(text.utf8.count),
                    !text.utf8.contains(where: { $0 < 32 })
                else { throw MatrixError(.invalidParameter, "\(key) is empty, too long, or holds control characters") }
                return text
            }
            do { server = try ServerName(try text("id_server")) } catch let error as MatrixError { throw error } catch {
                throw MatrixError(.invalidParameter, "id_server is not a server name")
            }
            token = try text("id_access_token")
            medium = try text("medium")
            address = try text("address")
            guard medium == "email" || medium == "msisdn" else {
                throw MatrixError(.invalidParameter, "medium is neither email nor msisdn")
            }
            if medium == "email" {
                guard address.contains("@") else {
                    throw MatrixError(.invalidParameter, "address is no e-mail address")
                }
                address = address.lowercased()
            }
        }
    }

    let memberships: MembershipEditing

    private var writer: RoomWriter { memberships.writer }
    private var environment: Environment { writer.environment }

    /// Invites whoever has an address, now or once somebody has it.
    /// - Throws: `MatrixError`, `DatabaseError`.
    func invite(_ wish: Wish, to room: RoomID, by sender: UserID) async throws {
        guard let record = try await writer.reader.record(room), try await writer.reader.isJoined(sender, in: room)
        else { throw MatrixError(.forbidden, "You are not in this room") }
        // Nobody is written to for somebody who may not invite.
        _ = try await writer.build(
            EventDraft(
                type: .thirdPartyInvite, sender: sender, stateKey: "permission", content: ["display_name": ""],
                roomID: room))
        let server = IdentityServer(name: wish.server, token: wish.token, environment: environment)
        if let user = try await server.owner(of: wish.address, medium: wish.medium) {
            try await memberships.invite(user, to: room, by: sender)
            return
        }
        let stored = try await server.store(try await describe(wish, record, sender))
        let validity = "https://\(wish.server.text)/_matrix/identity/v2/pubkey/isvalid"
        let keys = stored.publicKeys.map { key -> JSONValue in
            [
                "public_key": key["public_key"] ?? "",
                "key_validity_url": .string(key["key_validity_url"]?.string ?? validity),
            ]
        }
        guard let first = keys.first else { throw MatrixError.unknown }
        try await writer.send(
            EventDraft(
                type: .thirdPartyInvite, sender: sender, stateKey: stored.token,
                content: [
                    "display_name": .string(stored.displayName), "public_key": first["public_key"] ?? "",
                    "key_validity_url": first["key_validity_url"] ?? "", "public_keys": .array(keys),
                ], roomID: room))
    }

    /// What the identity server may tell the invited person.
    private func describe(_ wish: Wish, _ record: RoomRecord, _ sender: UserID) async throws -> JSONValue {
        let types: [EventType] = [.name, .avatar, .canonicalAlias, .joinRules, .create]
        let member = StateKey(.member, sender.text)
        let state = try await writer.reader.state(
            at: record.state, keys: types.map { StateKey($0, "") } + [member])
        func text(_ type: EventType, _ key: String) -> JSONValue? {
            state[StateKey(type, "")]?.pdu.content[key]?.string.map { .string($0) }
        }
        let own = state[member].map { RoomMember($0.pdu) }
        return .fields([
            "medium": .string(wish.medium), "address": .string(wish.address), "room_id": .string(record.id.text),
            "sender": .string(sender.text), "room_alias": text(.canonicalAlias, "alias"),
            "room_avatar_url": text(.avatar, "url"), "room_join_rules": text(.joinRules, "join_rule"),
            "room_name": text(.name, "name"), "room_type": text(.create, "type"),
            "sender_display_name": own?.displayName.map { .string($0) },
            "sender_avatar_url": own?.avatarURL.map { .string($0) },
        ])
    }
}
