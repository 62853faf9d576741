internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// Replacing a room by one of another version.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-upgrades>
public struct RoomUpgrading: RouteGroup {
    /// What a new room takes over from the old one.
    private static let copied: [EventType] = [
        .name, .topic, .avatar, .joinRules, .historyVisibility, .guestAccess, .encryption, .serverACL, .powerLevels,
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
        var creators: [UserID] = []
        for entry in try request.optionalArray("additional_creators") ?? [] {
            guard let creator = entry.string.flatMap({ try? UserID($0) }) else {
                throw MatrixError(.badJSON, "additional_creators is not a list of user IDs")
            }
            if creator != user, !creators.contains(creator) { creators.append(creator) }
        }
        guard let record = try await reader.record(old), try await reader.isJoined(user, in: old) else {
            throw MatrixError(.forbidden, "You are not in this room")
        }
        let state = try await reader.currentState(record)
        guard let create = state.event(.create, "") else { throw MatrixError.unknown }
        let levels = state.powerLevels(create: create)
        guard let level = try? levels.level(of: user),
            let needed = try? levels.required(for: .tombstone, isState: true), level >= needed
        else { throw MatrixError(.forbidden, "You may not upgrade this room") }

        let last = try await reader.database.read { connection in
            try EventLog(connection, reader.sealer).ids(record.extremities).values.min()
        }
        var room = NewRoom(version: version, creator: user)
        room.createContent = createContent(create, old, last, version, creators)
        room.isPublished = record.isPublished
        let member = state.event(.member, user.text).map { JSONValue($0.content) } ?? ["membership": "join"]
        room.events.append((.member, user.text, Self.joining(member), nil))
        room.events.append((.powerLevels, "", powerLevels(state, create, user, version, creators), nil))
        for type in Self.copied where type != .powerLevels {
            if let event = state.event(type, "") { room.events.append((type, "", JSONValue(event.content), nil)) }
        }
        for (key, event) in state.events where key.type == .member {
            // Bans are kept.
            if event.content["membership"]?.string == "ban" {
                room.events.append((.member, key.stateKey, JSONValue(event.content), nil))
            }
        }
        let replacement = try await writer.create(room)
        try await close(record, state, replacement.id, user)
        return .json(["replacement_room": .string(replacement.id.text)])
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

    /// The old room's levels; creators of the new room lose theirs where creators are above all levels, and creators of the
    /// old one get the highest where they are not.
    private func powerLevels(
        _ state: RoomState, _ create: PDU, _ user: UserID, _ version: RoomVersion, _ creators: [UserID]
    ) -> JSONValue {
        var content = state.event(.powerLevels, "").map { JSONValue($0.content) } ?? [:]
        var users = content["users"]?.object ?? [:]
        if version.rules.authorization.privilegedCreators {
            for creator in creators + [user] { users[creator.text] = nil }
            var events = content["events"]?.object ?? [:]
            if (events["m.room.tombstone"]?.integer ?? 0) < 150 { events["m.room.tombstone"] = 150 }
            content["events"] = .object(events)
        } else {
            let own = users[user.text]?.integer ?? 0
            users[user.text] = .integer(max(own, 100))
            for creator in RoomCreate(create).privilegedCreators where creator != user { users[creator.text] = 100 }
        }
        content["users"] = .object(users)
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
            if let canonical = state.event(.canonicalAlias, "") {
                let content = JSONValue(canonical.content)
                try await writer.send(
                    EventDraft(type: .canonicalAlias, sender: user, stateKey: "", content: [:], roomID: record.id))
                try await writer.send(
                    EventDraft(type: .canonicalAlias, sender: user, stateKey: "", content: content, roomID: replacement)
                )
            }
            guard let levels = state.event(.powerLevels, "") else { return }
            var content = JSONValue(levels.content)
            let restricted = max(50, (content["users_default"]?.integer ?? 0).addingClamped(1))
            for key in ["events_default", "invite"] where (content[key]?.integer ?? 0) < restricted {
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

extension Int64 {
    fileprivate func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
