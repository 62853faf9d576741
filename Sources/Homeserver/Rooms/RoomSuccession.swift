internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a user takes along into the room that replaces one of theirs: its tags, whether it is a direct chat, and how it
/// notifies.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room-upgrades>
struct RoomSuccession {
    let writer: RoomWriter

    private var reader: RoomReader { writer.reader }

    /// Does so for a user who has joined, if the room names a predecessor whose tombstone names it. What the user has said
    /// about the new room stays. That it fails is logged: the join stands.
    func carryOver(to room: RoomID, for user: UserID) async {
        do {
            guard let old = try await predecessor(of: room) else { return }
            try await reader.database.write { [sealer = reader.sealer] connection in
                // The stream's row is the lock that keeps two changes apart.
                _ = try StreamPositions(connection).advance("account_data", by: 1)
                let store = AccountDataStore(connection, sealer)
                if let tags = try store.content("m.tag", of: user, room: old),
                    try store.content("m.tag", of: user, room: room) == nil
                {
                    _ = try store.set("m.tag", tags, of: user, room: room)
                }
                if let direct = try Self.content("m.direct", of: user, store) {
                    let changed = Self.direct(direct, from: old, to: room)
                    if changed != direct { _ = try store.set("m.direct", changed.serialized(), of: user) }
                }
                if let before = try store.pushRules(of: [user])[user] {
                    let after = Self.pushRules(before, from: old, to: room)
                    if after != before { _ = try store.set("m.push_rules", after.content.serialized(), of: user) }
                }
            }
        } catch {
            writer.environment.logger.info(
                "settings were not taken to an upgraded room", metadata: ["room": "\(room)", "cause": "\(error)"])
        }
    }

    private func predecessor(of room: RoomID) async throws -> RoomID? {
        let create = StateKey(.create, "")
        let tombstone = StateKey(.tombstone, "")
        guard let record = try await reader.record(room),
            let event = try await reader.state(at: record.state, keys: [create])[create]?.pdu,
            let old = RoomCreate(event).predecessor, let oldRecord = try await reader.record(old),
            let end = try await reader.state(at: oldRecord.state, keys: [tombstone])[tombstone]?.pdu,
            RoomTombstone(end).replacementRoom == room
        else { return nil }
        return old
    }

    private static func content(_ type: String, of user: UserID, _ store: AccountDataStore) throws -> JSONValue? {
        try store.content(type, of: user).flatMap { try? JSONValue.parse($0) }
    }

    /// The new room beside the old one, wherever that is listed.
    private static func direct(_ content: JSONValue, from old: RoomID, to new: RoomID) -> JSONValue {
        let (old, new) = (JSONValue.string(old.text), JSONValue.string(new.text))
        var content = content
        for (user, rooms) in content.members {
            guard rooms.elements.contains(old), !rooms.elements.contains(new) else { continue }
            content[user] = .array(rooms.elements + [new])
        }
        return content
    }

    /// The rules that are named after the old room, such as clients make to silence one, for the new room too.
    private static func pushRules(_ rules: PushRuleset, from old: RoomID, to new: RoomID) -> PushRuleset {
        var result = rules
        for kind in [PushRule.Kind.override, .room] {
            guard let rule = rules.rule(kind, old.text), rules.rule(kind, new.text) == nil else { continue }
            var json = rule.json
            json["conditions"] = json["conditions"]?.array.map { conditions in
                .array(
                    conditions.map { condition in
                        guard condition["key"] == "room_id", condition["pattern"]?.string == old.text else {
                            return condition
                        }
                        var condition = condition
                        condition["pattern"] = .string(new.text)
                        return condition
                    })
            }
            guard let copy = try? PushRule(kind, id: new.text, json) else { continue }
            try? result.put(copy)
            try? result.setEnabled(kind, new.text, rule.isEnabled)
        }
        return result
    }
}
