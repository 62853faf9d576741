internal import ClientEncryption
internal import Cryptography
public import MatrixModel
internal import SQLDatabase

/// A room as this device knows it.
public struct RoomSummary: Sendable, Hashable {
    public let room: RoomID
    /// `join`, `invite`, `leave` or `ban`.
    public var membership: String
    /// `m.room.name`
    public var name: String?
    /// `m.room.canonical_alias`
    public var alias: String?
    /// `m.room.history_visibility`
    public var historyVisibility: String?
    /// The content of `m.room.encryption`; nil for a room in the clear.
    public var encryption: JSONValue?
    /// Who invited us.
    public var inviter: String?
    /// `m.room.join_rules`
    public var joinRule: String?

    /// Whether messages are encrypted.
    public var isEncrypted: Bool { encryption != nil }

    /// How; nil for a room in the clear.
    var encryptionSettings: RoomEncryptionSettings? {
        encryption.map { RoomEncryptionSettings($0, historyVisibility: historyVisibility) }
    }

    init(room: RoomID, membership: String) {
        self.room = room
        self.membership = membership
    }

    init(_ row: SQLRow, _ store: ClientStore) throws {
        room = try RoomID(try row.text(0))
        membership = try row.text(1)
        let details = try store.opened(try row.bytes(2), place: "room \(room)")
        name = details["name"]?.string
        alias = details["alias"]?.string
        historyVisibility = details["history_visibility"]?.string
        encryption = details["encryption"]
        inviter = details["inviter"]?.string
        joinRule = details["join_rule"]?.string
    }

    var details: JSONValue {
        .fields([
            "name": name.map { .string($0) }, "alias": alias.map { .string($0) },
            "history_visibility": historyVisibility.map { .string($0) }, "encryption": encryption,
            "inviter": inviter.map { .string($0) }, "join_rule": joinRule.map { .string($0) },
        ])
    }
}

extension ClientStore {
    func room(_ room: RoomID, in connection: any SQLConnection) throws -> RoomSummary? {
        try connection.query("SELECT room_id, membership, details FROM rooms WHERE room_id = \(room.text)").first
            .map { try RoomSummary($0, self) }
    }

    func rooms(in connection: any SQLConnection) throws -> [RoomSummary] {
        try connection.query("SELECT room_id, membership, details FROM rooms ORDER BY room_id")
            .map { try RoomSummary($0, self) }
    }

    /// Keeps a room. What was once known to be encrypted stays so, whatever is saved: the only rows that say whether a
    /// message may leave in the clear are these.
    func save(_ summary: RoomSummary, in connection: any SQLConnection) throws {
        var summary = summary
        if summary.encryption == nil { summary.encryption = try room(summary.room, in: connection)?.encryption }
        let sealed = try key.seal(summary.details.serialized(), place: "room \(summary.room)", random: random)
        try connection.execute(
            """
            INSERT INTO rooms VALUES (\(summary.room.text), \(summary.membership), \(sealed))
            ON CONFLICT (room_id) DO UPDATE SET membership = excluded.membership, details = excluded.details
            """)
    }

    func forget(_ room: RoomID, in connection: any SQLConnection) throws {
        for table in ["rooms", "members", "send_queue"] {
            try connection.execute("DELETE FROM \(raw: table) WHERE room_id = \(room.text)")
        }
    }

    func setMember(_ user: String, _ membership: String, of room: RoomID, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO members VALUES (\(room.text), \(user), \(membership))
            ON CONFLICT (room_id, user_id) DO UPDATE SET membership = excluded.membership
            """)
    }

    func membership(of user: String, in room: RoomID, _ connection: any SQLConnection) throws -> String? {
        try connection.query(
            "SELECT membership FROM members WHERE room_id = \(room.text) AND user_id = \(user)"
        ).first?.text(0)
    }

    /// Who gets the keys of a room's messages. Invited people may read what is said before they join, unless the room
    /// says otherwise.
    func recipients(in room: RoomSummary, _ connection: any SQLConnection) throws -> [UserID] {
        let memberships = room.historyVisibility == "joined" ? ["join"] : ["join", "invite"]
        return try members(of: room.room, memberships, in: connection).map(\.user)
    }

    /// The rooms that `m.direct` lists for the user, as far as we are in them. The list is the homeserver's to change.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#direct-messaging>
    func directRooms(with user: UserID, in connection: any SQLConnection) throws -> [RoomSummary] {
        try (value("m.direct", in: connection)?[user.text]?.elements ?? []).compactMap { listed in
            guard let name = listed.string.flatMap({ try? RoomID($0) }),
                let summary = try room(name, in: connection), summary.membership == "join"
            else { return nil }
            return summary
        }
    }

    /// Rooms of two people with one of these memberships.
    func roomsOfTwo(_ memberships: [String], in connection: any SQLConnection) throws -> [RoomID] {
        try connection.query(
            """
            SELECT room_id FROM members WHERE membership IN \(list: memberships)
            GROUP BY room_id HAVING COUNT(*) = 2 ORDER BY room_id
            """
        ).map { try RoomID(try $0.text(0)) }
    }

    /// Users of a room with one of these memberships.
    func members(
        of room: RoomID, _ memberships: [String], in connection: any SQLConnection
    ) throws -> [(user: UserID, membership: String)] {
        try connection.query(
            """
            SELECT user_id, membership FROM members
            WHERE room_id = \(room.text) AND membership IN \(list: memberships) ORDER BY user_id
            """
        ).compactMap { row in (try? UserID(try row.text(0))).map { ($0, (try? row.text(1)) ?? "") } }
    }
}
