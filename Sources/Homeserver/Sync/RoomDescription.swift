internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// What a room shows of itself to those outside: its summary, as this server or another has it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>
struct RoomDescription: Sendable {
    /// Rooms named by a restricted room's join rules, of which so many are read.
    static let maximumAllowedRooms = 100

    var id: RoomID
    var joinedMembers: Int
    var isWorldReadable: Bool
    var guestsCanJoin: Bool
    var joinRule: String
    /// The rooms whose members may join a restricted room.
    var allowedRooms: [RoomID]
    var type: String?
    /// nil where another server does not say.
    var version: RoomVersion?
    /// The other fields of the summary, all text.
    var texts: [String: String]

    var isSpace: Bool { type == "m.space" }

    /// Whether anybody may see that the room is there: who can join or knock, or read it without joining.
    var isOpen: Bool {
        if isWorldReadable { return true }
        let rules = version?.rules.authorization
        switch JoinRules.Rule(rawValue: joinRule) {
        case .public: return true
        case .knock: return rules?.knocking ?? true
        case .knockRestricted: return rules?.knockRestrictedJoins ?? true
        default: return false
        }
    }

    /// A room of ours.
    /// - Parameter state: gives the event of a type with an empty state key.
    init?(_ room: RoomRecord, joinedMembers: Int, state: (EventType) -> PDU?) {
        guard let create = state(.create) else { return nil }
        id = room.id
        self.joinedMembers = joinedMembers
        isWorldReadable = HistoryVisibility(state(.historyVisibility)) == .worldReadable
        guestsCanJoin = GuestAccess(state(.guestAccess)) == .canJoin
        let rules = JoinRules(state(.joinRules))
        joinRule = (try? rules.text) ?? JoinRules.Rule.invite.rawValue
        allowedRooms =
            rules.rule == .restricted || rules.rule == .knockRestricted
            ? Array(rules.allowedRooms.prefix(Self.maximumAllowedRooms)) : []
        type = create.content["type"]?.string
        version = room.version
        texts = [:]
        texts["name"] = state(.name)?.content["name"]?.string
        texts["topic"] = state(.topic).flatMap { RoomTopic($0.content).plainText }
        texts["canonical_alias"] = state(.canonicalAlias).flatMap { CanonicalAlias($0).alias?.text }
        texts["avatar_url"] = state(.avatar)?.content["url"]?.string
        texts["encryption"] = state(.encryption)?.content["algorithm"]?.string
    }

    /// The types of the events that a description is made of.
    static let types: [EventType] = [
        .create, .name, .topic, .avatar, .canonicalAlias, .joinRules, .historyVisibility, .guestAccess, .encryption,
    ]

    /// A room as another server describes it; nil when that is no summary. What is not of the spec's type is left out.
    init?(_ told: JSONView) {
        guard let id = told["room_id"]?.string.flatMap({ try? RoomID($0) }) else { return nil }
        self.id = id
        joinedMembers = told["num_joined_members"]?.integer.flatMap { Int(exactly: $0) } ?? 0
        isWorldReadable = told["world_readable"]?.bool ?? false
        guestsCanJoin = told["guest_can_join"]?.bool ?? false
        joinRule = told["join_rule"]?.string ?? JoinRules.Rule.public.rawValue
        allowedRooms = (told["allowed_room_ids"]?.elements ?? []).prefix(Self.maximumAllowedRooms)
            .compactMap { $0.string.flatMap { try? RoomID($0) } }
        type = told["room_type"]?.string
        version = told["room_version"]?.string.flatMap { RoomVersion($0) }
        texts = [:]
        for key in ["name", "topic", "canonical_alias", "avatar_url", "encryption"] { texts[key] = told[key]?.string }
    }

    /// The room as the directory lists it.
    var listed: JSONValue {
        var json: JSONValue = [
            "room_id": .string(id.text), "num_joined_members": .integer(Int64(joinedMembers)),
            "world_readable": .bool(isWorldReadable), "guest_can_join": .bool(guestsCanJoin),
            "join_rule": .string(joinRule),
        ]
        if let type { json["room_type"] = .string(type) }
        for (key, text) in texts where key != "encryption" { json[key] = .string(text) }
        return json
    }

    /// The room's summary.
    var summary: JSONValue {
        var json = listed
        if let version { json["room_version"] = .string(version.text) }
        json["encryption"] = texts["encryption"].map { .string($0) }
        if !allowedRooms.isEmpty { json["allowed_room_ids"] = .array(allowedRooms.map { .string($0.text) }) }
        return json
    }
}
