/// `m.room.power_levels` and, where it says nothing, the defaults; who is a creator goes with it. Nothing is read before
/// it is asked for, so a malformed level fails only what depends on it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels>
public struct PowerLevels: Sendable {
    /// The actions that have a level of their own, and what it is where the event does not say.
    public enum Action: String, Sendable, CaseIterable {
        case ban, kick, redact, invite

        var standard: Int64 { self == .invite ? 0 : 50 }
    }

    private let content: JSONView?
    private let create: RoomCreate
    private let format: AuthorizationRules.PowerLevelFormat

    /// - Parameters:
    ///   - event: the room's power levels; `nil` if it has none.
    ///   - create: the room's create event.
    public init(_ event: PDU?, create: PDU) {
        content = event?.content
        self.create = RoomCreate(create)
        format = create.version.rules.authorization.powerLevelFormat
    }

    /// What a user may do. Creators are above everything in room versions that have it so; in others the creator has 100
    /// while the room has no power levels.
    /// - Throws: `MalformedField` where the level is written as the room version does not allow.
    public func level(of user: UserID) throws(MalformedField) -> PowerLevel {
        if create.isPrivilegedCreator(user) { return .creator }
        guard let content else { return .level(create.creator == user ? 100 : 0) }
        if let level = content["users"]?[user.text] { return try read(level, "users") }
        return try named("users_default", standard: 0)
    }

    /// What somebody needs who sends an event of this type.
    /// - Throws: `MalformedField` as `level(of:)`.
    public func required(for type: EventType, isState: Bool) throws(MalformedField) -> PowerLevel {
        if let level = content?["events"]?[type.text] { return try read(level, "events") }
        return isState ? try named("state_default", standard: 50) : try named("events_default", standard: 0)
    }

    /// What somebody needs for an action.
    /// - Throws: `MalformedField` as `level(of:)`.
    public func required(for action: Action) throws(MalformedField) -> PowerLevel {
        try named(action.rawValue, standard: action.standard)
    }

    /// What somebody needs to notify a whole room, by the key of `notifications`, such as `room`; 50 if not said.
    /// - Throws: `MalformedField` as `level(of:)`.
    public func requiredForNotification(_ key: String) throws(MalformedField) -> PowerLevel {
        guard let level = content?["notifications"]?[key] else { return .level(50) }
        return try read(level, "notifications")
    }

    private func named(_ key: String, standard: Int64) throws(MalformedField) -> PowerLevel {
        guard let level = content?[key] else { return .level(standard) }
        return try read(level, key)
    }

    private func read(_ value: JSONView, _ path: String) throws(MalformedField) -> PowerLevel {
        guard let level = PowerLevel(value, format: format) else {
            throw MalformedField(path, expected: "a power level")
        }
        return level
    }
}
