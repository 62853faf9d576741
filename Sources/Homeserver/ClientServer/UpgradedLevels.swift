internal import MatrixModel
internal import MatrixRooms

/// The power levels of a room that replaces another: the old room's, as the new version writes them.
struct UpgradedLevels {
    /// The levels that the new room has in the end.
    let final: JSONValue
    /// The levels while the room is made, where the final ones do not let the user make it: with more for the user alone.
    let making: JSONValue

    /// - Parameters:
    ///   - required: what the user needs in the new room until it is made.
    ///   - creators: those of the new room, beside the user.
    init(
        of state: RoomState, create: PDU, for user: UserID, version: RoomVersion, creators: [UserID], required: Int64
    ) {
        let old = state.event(.powerLevels, "").map { JSONValue($0.content) } ?? [:]
        var content = Self.normalized(old, from: create.version)
        var users = content["users"]?.object ?? [:]
        if version.rules.authorization.privilegedCreators {
            // They are above all levels, and must not be named.
            for creator in creators + [user] { users[creator.text] = nil }
            content["users"] = .object(users)
            // "To prevent moderators from upgrading the room": who upgrades it becomes its creator.
            var events = content["events"]?.object ?? [:]
            if (events["m.room.tombstone"]?.integer ?? 0) < 150 { events["m.room.tombstone"] = 150 }
            content["events"] = .object(events)
            (final, making) = (content, content)
            return
        }
        // Who was above all levels gets the highest there is.
        let highest = users.values.compactMap(\.integer).reduce(100, max)
        for creator in RoomCreate(create).privilegedCreators { users[creator.text] = .integer(highest) }
        if state.event(.powerLevels, "") == nil, let creator = RoomCreate(create).creator {
            users[creator.text] = .integer(highest)
        }
        content["users"] = .object(users)
        final = content
        let own = users[user.text]?.integer ?? content["users_default"]?.integer ?? 0
        if own < required {
            users[user.text] = .integer(required)
            content["users"] = .object(users)
        }
        making = content
    }

    /// Levels as integers, as from version 10 on alone they may be. What is no level is left out.
    private static func normalized(_ content: JSONValue, from version: RoomVersion) -> JSONValue {
        let format = version.rules.authorization.powerLevelFormat
        func level(_ value: JSONValue?) -> JSONValue? {
            guard let value, case .level(let level) = PowerLevel(value, format: format) else { return nil }
            return .integer(max(-CanonicalJSON.maximumInteger, min(level, CanonicalJSON.maximumInteger)))
        }
        var result = content
        for (key, value) in content.members {
            switch key {
            case "events", "notifications", "users":
                let levels = value.members.compactMap { name, value in level(value).map { (name, $0) } }
                result[key] = .object(Dictionary(levels) { _, last in last })
            case "users_default", "events_default", "state_default", "ban", "redact", "kick", "invite":
                result[key] = level(value)
            default: break
            }
        }
        return result
    }

    /// What somebody needs in a room to send state of these types, and to ban these users.
    static func required(for types: [EventType], banning users: [UserID], _ state: RoomState, _ create: PDU) -> Int64 {
        let levels = state.powerLevels(create: create)
        var needed: Int64 = 0
        func need(_ level: PowerLevel?, above: Bool = false) {
            guard case .level(let level)? = level else { return }
            needed = max(needed, above ? level.addingClamped(1) : level)
        }
        for type in types + [.powerLevels] { need(try? levels.required(for: type, isState: true)) }
        if !users.isEmpty { need(try? levels.required(for: .ban)) }
        for user in users { need(try? levels.level(of: user), above: true) }
        return min(needed, CanonicalJSON.maximumInteger)
    }
}

extension Int64 {
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
