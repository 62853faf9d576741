internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms

/// `POST /createRoom`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>
public struct RoomCreating: RouteGroup {
    let writer: RoomWriter
    let memberships: MembershipEditing
    let limiter: RateLimiter

    private var environment: Environment { writer.environment }

    /// Handlers that make rooms by `writer`.
    public init(writer: RoomWriter, memberships: MembershipEditing, limiter: RateLimiter) {
        self.writer = writer
        self.memberships = memberships
        self.limiter = limiter
    }

    public func register(on router: inout Router) {
        router.on(.createRoom, create)
    }

    private func create(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        try await limiter.take(.messages, who: requester.user.text)
        let wish = try RoomWish(request, requester, environment)
        for _ in wish.invitedAddresses { try await limiter.take(.invites, who: requester.user.text) }
        for user in wish.invited where environment.isLocal(user) { try await memberships.checkInvitesAllowed(user) }
        let profile = try await memberships.content(.join, of: requester.user)
        var invites: [UserID: JSONValue] = [:]
        for user in wish.invited where environment.isLocal(user) {
            invites[user] = try await memberships.content(.invite, of: user, isDirect: wish.isDirect)
        }
        let record = try await writer.create(wish.room(creatorContent: profile, localInvites: invites))
        for user in wish.invited where !environment.isLocal(user) {
            do {
                try await memberships.invite(user, to: record.id, by: requester.user, isDirect: wish.isDirect)
            } catch {
                // The room is there: its creator can see who is not invited, and invite again.
                environment.logger.info(
                    "an invite failed while a room was made", metadata: ["room": "\(record.id)", "cause": "\(error)"])
            }
        }
        for wish in wish.invitedAddresses {
            do {
                try await AddressInviting(memberships: memberships).invite(wish, to: record.id, by: requester.user)
            } catch {
                environment.logger.info(
                    "an invite to an address failed while a room was made",
                    metadata: ["room": "\(record.id)", "cause": "\(error)"])
            }
        }
        return .json(["room_id": .string(record.id.text)])
    }
}

/// What a client wants of a new room, read and completed.
struct RoomWish {
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom_request>, `preset`
    enum Preset: String {
        case privateChat = "private_chat"
        case trustedPrivateChat = "trusted_private_chat"
        case publicChat = "public_chat"
    }

    let creator: UserID
    let version: RoomVersion
    let preset: Preset
    let isPublished: Bool
    let alias: RoomAlias?
    let invited: [UserID]
    let invitedAddresses: [AddressInviting.Wish]
    let isDirect: Bool
    private let name: String?
    private let topic: String?
    private var createContent: JSONValue
    private let initialState: [(type: EventType, stateKey: String?, content: JSONValue, sender: UserID?)]
    private let levelOverrides: JSONValue
    private let isEncrypted: Bool

    init(_ request: APIRequest, _ requester: Requester, _ environment: Environment) throws(MatrixError) {
        creator = requester.user
        isPublished = try request.optionalString("visibility") == "public"
        if let text = try request.optionalString("preset") {
            guard let preset = Preset(rawValue: text) else {
                throw MatrixError(.invalidParameter, "There is no such preset")
            }
            self.preset = preset
        } else {
            preset = isPublished ? .publicChat : .privateChat
        }
        if let text = try request.optionalString("room_version") {
            guard let version = RoomVersion(text) else {
                throw MatrixError(.unsupportedRoomVersion, "This server does not know this room version")
            }
            self.version = version
        } else {
            version = environment.configuration.rooms.defaultVersion
        }
        let limits = environment.configuration.limits
        let addresses = try request.optionalArray("invite_3pid") ?? []
        guard addresses.count <= limits.initialInvites else {
            throw MatrixError(.invalidParameter, "invite_3pid names more than \(limits.initialInvites) addresses")
        }
        invitedAddresses = try addresses.map { address throws(MatrixError) in try AddressInviting.Wish(address) }
        invited = try Self.users(request.optionalArray("invite") ?? [], "invite", limit: limits.initialInvites)
            .filter { $0 != requester.user }
        isDirect = try request.optionalBoolean("is_direct") ?? false
        name = try request.optionalString("name")
        topic = try request.optionalString("topic")
        alias = try Self.alias(request.optionalString("room_alias_name"), environment.serverName)
        initialState = try Self.state(
            request.optionalArray("initial_state") ?? [], limit: limits.initialStateEvents)
        levelOverrides = try request.optionalObject("power_level_content_override")?.value ?? [:]
        createContent = try request.optionalObject("creation_content")?.value ?? [:]
        for key in ["room_version", "creator"] { createContent[key] = nil }
        if version.rules.authorization.privilegedCreators {
            var creators: [UserID] = []
            if let named = createContent["additional_creators"] {
                guard let list = named.array else {
                    throw MatrixError(.badJSON, "additional_creators is not a list of user IDs")
                }
                creators = try Self.users(list, "additional_creators", limit: limits.initialInvites)
            }
            if preset == .trustedPrivateChat { creators += invited.filter { !creators.contains($0) } }
            creators.removeAll { $0 == requester.user }
            createContent["additional_creators"] =
                creators.isEmpty ? nil : .array(creators.map { .string($0.text) })
        }
        let types = Set(initialState.map(\.type))
        isEncrypted =
            environment.configuration.rooms.encryptByDefault && preset != .publicChat
            && createContent["type"] == nil && requester.applicationService == nil && !types.contains(.encryption)
    }

    // MARK: The room

    /// All events of the room, in the order the spec has them.
    func room(creatorContent: JSONValue, localInvites: [UserID: JSONValue]) -> NewRoom {
        var room = NewRoom(version: version, creator: creator, createContent: createContent)
        room.alias = alias
        room.isPublished = isPublished
        room.events.append((.member, creator.text, creatorContent, nil))
        room.events.append((.powerLevels, "", powerLevels, nil))
        if let alias { room.events.append((.canonicalAlias, "", ["alias": .string(alias.text)], nil)) }
        for (type, content) in presetState where !isGiven(type) { room.events.append((type, "", content, nil)) }
        if isEncrypted { room.events.append((.encryption, "", ["algorithm": "m.megolm.v1.aes-sha2"], nil)) }
        room.events += initialState.filter { $0.type != .powerLevels || $0.stateKey != "" }
        if let name { room.events.append((.name, "", ["name": .string(name)], nil)) }
        if let topic {
            let block: JSONValue = ["m.text": [["body": .string(topic)]]]
            room.events.append((.topic, "", ["topic": .string(topic), "m.topic": block], nil))
        }
        for user in invited {
            if let content = localInvites[user] { room.events.append((.member, user.text, content, nil)) }
        }
        return room
    }

    private func isGiven(_ type: EventType) -> Bool { initialState.contains { $0.type == type && $0.stateKey == "" } }

    private var presetState: [(EventType, JSONValue)] {
        let isPublic = preset == .publicChat
        return [
            (.joinRules, ["join_rule": isPublic ? "public" : "invite"]),
            (.historyVisibility, ["history_visibility": "shared"]),
            (.guestAccess, ["guest_access": isPublic ? "forbidden" : "can_join"]),
        ]
    }

    private var powerLevels: JSONValue {
        let hasCreators = version.rules.authorization.privilegedCreators
        var levels: JSONValue = [
            "ban": 50, "events_default": 0, "invite": preset == .publicChat ? 50 : 0, "kick": 50, "redact": 50,
            "state_default": 50, "users_default": 0,
            "events": [
                "m.room.avatar": 50, "m.room.canonical_alias": 50, "m.room.encryption": 100,
                "m.room.history_visibility": 100, "m.room.name": 50, "m.room.power_levels": 100,
                "m.room.server_acl": 100, "m.room.tombstone": hasCreators ? 150 : 100,
            ],
        ]
        var users: [String: JSONValue] = [:]
        if !hasCreators {
            users[creator.text] = 100
            if preset == .trustedPrivateChat { for user in invited { users[user.text] = 100 } }
        }
        levels["users"] = .object(users)
        if let given = initialState.first(where: { $0.type == .powerLevels && $0.stateKey == "" }) {
            levels = given.content
        }
        for (key, value) in levelOverrides.members { levels[key] = value }
        return levels
    }

    // MARK: Reading

    private static func users(
        _ list: [some JSONReading], _ field: String, limit: Int
    ) throws(MatrixError) -> [UserID] {
        guard list.count <= limit else {
            throw MatrixError(
                .invalidParameter,
                "\(field) names more than \(limit) users")
        }
        var users: [UserID] = []
        for entry in list {
            guard let user = entry.string.flatMap({ try? UserID($0) }) else {
                throw MatrixError(.invalidParameter, "\(field) names something that is not a user ID")
            }
            if !users.contains(user) { users.append(user) }
        }
        return users
    }

    private static func alias(_ localpart: String?, _ server: ServerName) throws(MatrixError) -> RoomAlias? {
        guard let localpart else { return nil }
        let isFine =
            !localpart.isEmpty && !localpart.utf8.contains(0x3A) && !localpart.utf8.contains(0)
            && !localpart.contains(where: \.isWhitespace)
        guard isFine, let alias = try? RoomAlias("#\(localpart):\(server.text)") else {
            throw MatrixError(.invalidParameter, "room_alias_name is not a localpart")
        }
        return alias
    }

    private static func state(
        _ list: [JSONView], limit: Int
    ) throws(MatrixError) -> [(type: EventType, stateKey: String?, content: JSONValue, sender: UserID?)] {
        guard list.count <= limit else {
            throw MatrixError(
                .invalidParameter,
                "More than \(limit) events in initial_state")
        }
        var events: [(type: EventType, stateKey: String?, content: JSONValue, sender: UserID?)] = []
        for entry in list {
            guard let type = entry["type"]?.string.flatMap({ try? EventType($0) }),
                let content = entry["content"], content.kind == .object
            else { throw MatrixError(.badJSON, "An event of initial_state lacks its type or content") }
            let key = entry["state_key"]
            guard key == nil || key?.string != nil else {
                throw MatrixError(.badJSON, "A state_key of initial_state is not a string")
            }
            guard type != .create else { throw MatrixError(.invalidParameter, "initial_state has a create event") }
            events.append((type, key?.string ?? "", content.value, nil))
        }
        return events
    }
}
