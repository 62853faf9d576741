public import MatrixModel
public import MatrixRooms
public import SQLDatabase

/// Account data, global and per room, sealed; a change has a position in the stream `account_data`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#client-config>
public struct AccountDataStore {
    /// One type's content.
    public struct Entry: Sendable, Hashable {
        /// `nil` for global data.
        public let room: RoomID?
        public let type: String
        public let position: Int64
        /// The JSON object's bytes.
        public let content: [UInt8]
    }

    let connection: any SQLConnection
    let sealer: StorageSealer

    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        self.connection = connection
        self.sealer = sealer
    }

    /// The content of one type: the bytes of a JSON object. Push rules are there even if none was changed.
    public func content(_ type: String, of user: UserID, room: RoomID? = nil) throws -> [UInt8]? {
        let rows = try connection.query(
            """
            SELECT content FROM account_data
            WHERE user_id = \(user.text) AND room_id = \(room?.text ?? "") AND type = \(type)
            """)
        let stored = try rows.first.map { try sealer.open($0.bytes(0), context: Self.context(user)) }
        guard type == Self.pushRules, room == nil else { return stored }
        return Self.ruleset(user, stored).content.serialized()
    }

    /// All data of a user, global and of all rooms; push rules even if none was changed.
    public func all(_ user: UserID) throws -> [Entry] {
        var entries = try entries("", user)
        if !entries.contains(where: { $0.type == Self.pushRules && $0.room == nil }) {
            let content = Self.ruleset(user, nil).content.serialized()
            entries.append(Entry(room: nil, type: Self.pushRules, position: 0, content: content))
        }
        return entries
    }

    /// What changed after a position, up to and with another; the newest content of each.
    public func changes(_ user: UserID, after: Int64, upTo: Int64) throws -> [Entry] {
        try entries("AND position > \(after) AND position <= \(upTo)", user)
    }

    /// The data of one type that a user has on rooms.
    public func ofRooms(_ type: String, of user: UserID) throws -> [Entry] {
        try entries("AND room_id <> '' AND type = \(type)", user)
    }

    /// The push rules of users of this server.
    public func pushRules(of users: [UserID]) throws -> [UserID: PushRuleset] {
        var stored: [UserID: [UInt8]] = [:]
        let rows = try connection.query(
            """
            SELECT user_id, content FROM account_data
            WHERE room_id = '' AND type = \(Self.pushRules) AND user_id IN \(list: users.map(\.text))
            """)
        for row in rows {
            let user = try UserID(row.text(0))
            stored[user] = try sealer.open(row.bytes(1), context: Self.context(user))
        }
        var found: [UserID: PushRuleset] = [:]
        for user in users { found[user] = Self.ruleset(user, stored[user]) }
        return found
    }

    private static let pushRules = "m.push_rules"

    private static func ruleset(_ user: UserID, _ stored: [UInt8]?) -> PushRuleset {
        guard let stored, let content = try? JSONValue.parse(stored) else { return PushRuleset(user: user) }
        return PushRuleset(user: user, content: content)
    }

    /// Sets the content of a type and wakes the user's syncs. Returns its position, or `nil`, with nothing changed, when
    /// the user has too many types.
    @discardableResult
    public func set(_ type: String, _ content: [UInt8], of user: UserID, room: RoomID? = nil) throws -> Int64? {
        let sealed = try sealer.seal(content, context: Self.context(user))
        let position = try StreamPositions(connection).advance("account_data", by: 1)
        let changed = try connection.execute(
            """
            UPDATE account_data SET content = \(sealed), position = \(position)
            WHERE user_id = \(user.text) AND room_id = \(room?.text ?? "") AND type = \(type)
            """)
        if changed == 0 {
            let count =
                try connection.query("SELECT COUNT(*) FROM account_data WHERE user_id = \(user.text)").first?
                .integer(0) ?? 0
            guard count < AccountLimits.accountDataRows else { return nil }
            try connection.execute(
                """
                INSERT INTO account_data (user_id, room_id, type, position, content)
                VALUES (\(user.text), \(room?.text ?? ""), \(type), \(position), \(sealed))
                ON CONFLICT (user_id, room_id, type) DO UPDATE SET
                    content = excluded.content, position = excluded.position
                """)
        }
        try connection.notify("account_data \(position) \(user.text)")
        return position
    }

    /// Removes all data of a user.
    public func deleteAll(of user: UserID) throws {
        try connection.execute("DELETE FROM account_data WHERE user_id = \(user.text)")
    }

    private func entries(_ condition: SQL, _ user: UserID) throws -> [Entry] {
        try connection.query(
            """
            SELECT room_id, type, position, content FROM account_data WHERE user_id = \(user.text) \(condition)
            ORDER BY position
            """
        ).map { row in
            let room = try row.text(0)
            let type = try row.text(1)
            var content = try sealer.open(row.bytes(3), context: Self.context(user))
            if type == Self.pushRules, room.isEmpty { content = Self.ruleset(user, content).content.serialized() }
            return Entry(
                room: room.isEmpty ? nil : try RoomID(room), type: type, position: try row.integer(2),
                content: content)
        }
    }

    private static func context(_ user: UserID) -> String { context(user.text) }

    /// What a user's sealed account data is bound to.
    static func context(_ user: String) -> String { "account_data \(user)" }
}
