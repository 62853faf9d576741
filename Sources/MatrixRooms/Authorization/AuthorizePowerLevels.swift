import MatrixModel

/// Rule 10: nobody gives or takes more power than they have.
extension EventAuthorization {
    private typealias Levels = [ExactText: PowerLevel]

    /// The levels that have names of their own in the content.
    private var namedLevels: [String] {
        ["users_default", "events_default", "state_default", "ban", "redact", "kick", "invite"]
    }

    func authorizePowerLevels() throws(Rejection) {
        let new = event.content
        let format = rules.authorization.powerLevelFormat
        let guardedMaps = rules.authorization.notificationLevelsAreGuarded ? ["events", "notifications"] : ["events"]

        if format == .integers {
            // 10.1. If any of the named levels are present and not an integer, reject.
            for key in namedLevels where new[key] != nil { _ = try named(key, in: new, "10.1") }
            // 10.2. If either of events or notifications is present and not an object with values that are integers, reject.
            for key in ["events", "notifications"] { _ = try entries(key, in: new, "10.2") }
        }
        // 10.3. If the users property is not an object with keys that are valid user IDs with values that are integers,
        // reject. (Up to version 9 a string that is an integer will do.)
        let newUsers = try entries("users", in: new, "10.3")
        for user in newUsers.keys where (try? UserID(user.text)) == nil {
            throw Rejection("10.3", "users names something that is no user")
        }
        // 10.4. If users contains the create event's sender or any of its additional_creators, reject.
        for creator in RoomCreate(create).privilegedCreators where newUsers[ExactText(creator.text)] != nil {
            throw Rejection("10.4", "creators have no level")
        }
        // 10.5. If there is no previous m.room.power_levels event in the room, allow.
        guard let old = state.event(.powerLevels, "")?.content else { return }
        let sender = try senderLevel("10")

        // 10.6. For the named levels check if they were added, changed or removed. For each found alteration:
        for key in namedLevels {
            let before = try named(key, in: old, "10.6")
            let after = try named(key, in: new, "10.6")
            guard before != after else { continue }
            // 10.6.1. If the current value is higher than the sender's current power level, reject.
            if let before, before > sender { throw Rejection("10.6.1", "\(key) is above the sender's level") }
            // 10.6.2. If the new value is higher than the sender's current power level, reject.
            if let after, after > sender { throw Rejection("10.6.2", "\(key) would be above the sender's level") }
        }

        for key in guardedMaps {
            let before = try entries(key, in: old, "10.7")
            let after = try entries(key, in: new, "10.8")
            // 10.7. For each entry being changed in, or removed from, events or notifications: if the current value is
            // greater than the sender's current power level, reject.
            for (name, level) in before where after[name] != level && level > sender {
                throw Rejection("10.7.1", "an entry of \(key) is above the sender's level")
            }
            // 10.8. For each entry being added to, or changed in, events or notifications: if the new value is greater than
            // the sender's current power level, reject.
            for (name, level) in after where before[name] != level && level > sender {
                throw Rejection("10.8.1", "an entry of \(key) would be above the sender's level")
            }
        }

        let oldUsers = try entries("users", in: old, "10.9")
        let own = ExactText(event.sender.text)
        // 10.9. For each entry being changed in, or removed from, users, other than the sender's own entry: if the current
        // value is greater than or equal to the sender's current power level, reject.
        for (user, level) in oldUsers where user != own && newUsers[user] != level && level >= sender {
            throw Rejection("10.9.1", "another user's level is not below the sender's")
        }
        // 10.10. For each entry being added to, or changed in, users: if the new value is greater than the sender's current
        // power level, reject.
        for (user, level) in newUsers where oldUsers[user] != level && level > sender {
            throw Rejection("10.10.1", "a user's level would be above the sender's")
        }
        // 10.11. Otherwise, allow.
    }

    private func named(_ key: String, in content: JSONView, _ clause: String) throws(Rejection) -> PowerLevel? {
        guard let value = content[key] else { return nil }
        guard let level = PowerLevel(value, format: rules.authorization.powerLevelFormat) else {
            throw Rejection(clause, "\(key) is not a power level")
        }
        return level
    }

    /// The levels of a map of the content; none if there is no such map.
    private func entries(_ key: String, in content: JSONView, _ clause: String) throws(Rejection) -> Levels {
        guard let map = content[key] else { return [:] }
        guard map.isObject else { throw Rejection(clause, "\(key) is not an object") }
        var levels: Levels = [:]
        for (name, value) in map.members {
            guard let level = PowerLevel(value, format: rules.authorization.powerLevelFormat) else {
                throw Rejection(clause, "an entry of \(key) is not a power level")
            }
            levels[ExactText(name)] = level
        }
        return levels
    }
}
