internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Replacing a room by one of another version.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-upgrades>
public struct RoomUpgrading: RouteGroup {
    /// What a new room takes over from the old one, beside power levels, bans and the rooms of a space.
    private static let copied: [EventType] = [
        .name, .topic, .avatar, .joinRules, .historyVisibility, .guestAccess, .encryption, .serverACL, .canonicalAlias,
    ]

    let writer: RoomWriter

    private var reader: RoomReader { writer.reader }

    /// Handlers that upgrade by `writer`.
    public init(writer: RoomWriter) {
        self.writer = writer
    }

    public func register(on router: inout Router) {
        router.on(.upgradeRoom, upgrade)
    }

    private func upgrade(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let old = try request.roomID()
        let user = requester.user
        guard let version = RoomVersion(try request.string("new_version")) else {
            throw MatrixError(.unsupportedRoomVersion, "This server does not know this room version")
        }
        let creators = try Self.additionalCreators(request, version, besides: user)
        guard try await reader.isJoined(user, in: old) else {
            throw MatrixError(.forbidden, "You are not in this room")
        }
        try await reader.waitUntilWhole(old, writer.environment.clock)
        guard let record = try await reader.record(old) else { throw MatrixError.unknown }
        let state = try await reader.currentState(record)
        guard let create = state.event(.create, "") else { throw MatrixError.unknown }
        let current = state.powerLevels(create: create)
        guard let own = try? current.level(of: user),
            let ending = try? current.required(for: .tombstone, isState: true), own >= ending
        else { throw MatrixError(.forbidden, "You may not upgrade this room") }

        let last = try await reader.database.read { connection in
            try EventLog(connection, reader.sealer).ids(record.extremities).values.min()
        }
        var room = NewRoom(version: version, creator: user)
        room.createContent = createContent(create, old, last, version, creators)
        room.isPublished = record.isPublished
        let member = state.event(.member, user.text).map { JSONValue($0.content) } ?? ["membership": "join"]
        let copied = Self.copies(of: state, create, into: version).filter { event in
            event.type != .member || !creators.contains { $0.text == event.stateKey }
        }
        let banned = copied.filter { $0.type == .member }.compactMap { try? UserID($0.stateKey) }
        let needed = UpgradedLevels.required(for: copied.map(\.type), banning: banned, state, create)
        let levels = UpgradedLevels(
            of: state, create: create, for: user, version: version, creators: creators, required: needed)
        room.events.append((.member, user.text, Self.joining(member), nil))
        room.events.append((.powerLevels, "", levels.making, nil))
        for event in copied { room.events.append((event.type, event.stateKey, event.content, nil)) }
        if levels.making != levels.final { room.events.append((.powerLevels, "", levels.final, nil)) }
        let replacement = try await writer.create(room)
        try await close(record, state, replacement.id, user)
        await RoomSuccession(writer: writer).carryOver(to: replacement.id, for: user)
        return .json(["replacement_room": .string(replacement.id.text)])
    }

    /// Who is a creator beside the user; nobody where the room version has no such creators, whatever the request says.
    private static func additionalCreators(
        _ request: APIRequest, _ version: RoomVersion, besides user: UserID
    ) throws -> [UserID] {
        guard version.rules.authorization.privilegedCreators else { return [] }
        var creators: [UserID] = []
        for entry in try request.optionalArray("additional_creators") ?? [] {
            guard let creator = entry.string.flatMap({ try? UserID($0) }) else {
                throw MatrixError(.badJSON, "additional_creators is not a list of user IDs")
            }
            if creator != user, !creators.contains(creator) { creators.append(creator) }
        }
        return creators
    }

    /// The state that the new room takes over, save power levels: what describes the room, the rooms of a space, and bans.
    private static func copies(
        of state: RoomState, _ create: PDU, into version: RoomVersion
    ) -> [(type: EventType, stateKey: String, content: JSONValue)] {
        let isSpace = RoomCreate(create).roomType == "m.space"
        let others = state.events.keys.filter { key in
            switch key.type {
            case .member: state.events[key]?.content["membership"]?.string == "ban"
            case .spaceChild: isSpace && state.events[key]?.content["via"] != nil
            default: false
            }
        }
        let sorted = others.sorted { ($0.type.text, $0.stateKey) < ($1.type.text, $1.stateKey) }
        let keys = copied.map { StateKey($0, "") } + sorted
        let isStrict = version.rules.strictCanonicalJSON
        return keys.compactMap { key in
            guard let event = state.events[key] else { return nil }
            let content = JSONValue(event.content)
            // What the new version cannot write stays behind, and does not keep the room from being upgraded.
            guard (try? CanonicalJSON.encode(content, strict: isStrict)) != nil else { return nil }
            return (key.type, key.stateKey, content)
        }
    }

    private static func joining(_ content: JSONValue) -> JSONValue {
        var content = content
        content["join_authorised_via_users_server"] = nil
        content["reason"] = nil
        return content
    }

    private func createContent(
        _ create: PDU, _ old: RoomID, _ last: EventID?, _ version: RoomVersion, _ creators: [UserID]
    ) -> JSONValue {
        var content = JSONValue(create.content)
        for key in ["creator", "room_version", "additional_creators", "predecessor"] { content[key] = nil }
        var predecessor: JSONValue = ["room_id": .string(old.text)]
        if !version.rules.roomIDIsCreateEventHash, let last { predecessor["event_id"] = .string(last.text) }
        content["predecessor"] = predecessor
        if version.rules.authorization.privilegedCreators, !creators.isEmpty {
            content["additional_creators"] = .array(creators.map { .string($0.text) })
        }
        return content
    }

    /// Points the old room to the new one, moves the local aliases, and quiets the old room. The upgrade stands even where
    /// something of this is not allowed.
    private func close(_ record: RoomRecord, _ state: RoomState, _ replacement: RoomID, _ user: UserID) async throws {
        try await writer.send(
            EventDraft(
                type: .tombstone, sender: user, stateKey: "",
                content: ["body": "This room has been replaced", "replacement_room": .string(replacement.text)],
                roomID: record.id))
        try await reader.database.groupedWrite { connection in
            let aliases = AliasStore(connection)
            for alias in try aliases.aliases(of: record.id) {
                guard let creator = try aliases.target(of: alias)?.creator else { continue }
                try aliases.remove(alias)
                _ = try aliases.add(alias, room: replacement, creator: creator)
            }
            try RoomStore(connection).setPublished(false, room: record.nid)
        }
        do {
            if state.event(.canonicalAlias, "") != nil {
                try await writer.send(
                    EventDraft(type: .canonicalAlias, sender: user, stateKey: "", content: [:], roomID: record.id))
            }
            guard let levels = state.event(.powerLevels, "") else { return }
            var content = JSONValue(levels.content)
            let format = record.version.rules.authorization.powerLevelFormat
            func level(_ key: String) -> Int64? {
                guard let value = content[key], case .level(let level) = PowerLevel(value, format: format) else {
                    return nil
                }
                return level
            }
            let restricted = max(50, (level("users_default") ?? 0).addingClamped(1))
            for key in ["events_default", "invite"] where (level(key) ?? 0) < restricted {
                content[key] = .integer(restricted)
            }
            try await writer.send(
                EventDraft(type: .powerLevels, sender: user, stateKey: "", content: content, roomID: record.id))
        } catch {
            writer.environment.logger.info(
                "an upgraded room could not be closed", metadata: ["room": "\(record.id)", "cause": "\(error)"])
        }
    }
}
