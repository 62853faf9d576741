internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a notification calls a room and a sender.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#calculating-the-display-name-for-a-room>
struct RoomNames: Sendable {
    /// What is said of an event's room and sender.
    struct Names: Sendable, Hashable {
        var room: String?
        var alias: String?
        var sender: String?
        /// Whether the room is encrypted, so that nothing in it may be told to others.
        var isEncrypted = false
    }

    let rooms: RoomReader

    /// The names for a notification, from the room's current state or what came with an invite.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func names(for event: PushableEvent, to user: UserID, _ connection: any SQLConnection) throws -> Names {
        guard let room = event.room else {
            return Self.names(stripped: event.strippedState, sender: event.event.sender)
        }
        let member = StateKey(.member, event.event.sender.text)
        let keys = [StateKey(.name, ""), StateKey(.canonicalAlias, ""), StateKey(.encryption, ""), member]
        let state = try rooms.state(at: room.state, keys: keys, in: connection)
        var names = Names()
        names.sender = state[member].flatMap { RoomMember($0.pdu).displayName }.flatMap(Self.filled)
        names.alias = state[keys[1]].flatMap { CanonicalAlias($0.pdu).alias?.text }
        names.isEncrypted = state[keys[2]] != nil
        names.room = state[keys[0]]?.pdu.content["name"]?.string.flatMap(Self.filled) ?? names.alias
        if names.room == nil { names.room = try fromMembers(room, user, connection) }
        return names
    }

    /// "Alice", "Alice and Bob", "Alice and 5 others".
    private func fromMembers(_ room: SyncRoom, _ user: UserID, _ connection: any SQLConnection) throws -> String? {
        let store = SyncRooms(connection)
        let heroes = try store.heroes(room: room.nid, for: user, limit: SyncLimits.heroes)
        guard let first = heroes.first else { return nil }
        let members = try rooms.state(
            at: room.state, keys: heroes.prefix(2).map { StateKey(.member, $0.text) }, in: connection)
        func name(_ user: UserID) -> String {
            members[StateKey(.member, user.text)].flatMap { RoomMember($0.pdu).displayName }.flatMap(Self.filled)
                ?? user.text
        }
        guard heroes.count > 1 else { return name(first) }
        guard heroes.count > 2 else { return "\(name(first)) and \(name(heroes[1]))" }
        let counts = try RoomStore(connection).memberCounts(room: room.nid)
        let all = (counts[.join] ?? 0) + (counts[.invite] ?? 0)
        return "\(name(first)) and \(max(all - 2, heroes.count - 1)) others"
    }

    private static func names(stripped: [UInt8], sender: UserID) -> Names {
        var names = Names()
        guard let document = try? JSONDocument(stripped) else { return names }
        for event in document.root.elements {
            switch (event["type"]?.string, event["state_key"]?.string) {
            case ("m.room.name", ""): names.room = event["content"]?["name"]?.string.flatMap(filled)
            case ("m.room.canonical_alias", ""): names.alias = event["content"]?["alias"]?.string.flatMap(filled)
            case ("m.room.encryption", ""): names.isEncrypted = true
            case ("m.room.member", sender.text):
                names.sender = event["content"]?["displayname"]?.string.flatMap(filled)
            default: continue
            }
        }
        names.room = names.room ?? names.alias
        return names
    }

    /// A name with something in it, not longer than one may be shown.
    private static func filled(_ name: String) -> String? {
        let text = String(name.prefix(255))
        return text.allSatisfy(\.isWhitespace) ? nil : text
    }
}
