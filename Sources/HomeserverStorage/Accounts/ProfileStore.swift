public import MatrixModel
public import SQLDatabase

/// The profiles of this server's users: JSON values by field.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#profiles>
public struct ProfileStore {
    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// All fields of a user, in order, each with its JSON text.
    public func fields(of user: UserID) throws -> [(field: String, json: String)] {
        try connection.query("SELECT field, value FROM profiles WHERE user_id = \(user.text) ORDER BY field")
            .map { (try $0.text(0), try $0.text(1)) }
    }

    /// The JSON text of one field.
    public func field(_ field: String, of user: UserID) throws -> String? {
        try connection.query("SELECT value FROM profiles WHERE user_id = \(user.text) AND field = \(field)").first
            .map { try $0.text(0) }
    }

    /// Display name and avatar, as they stand in membership events.
    public func displayed(_ user: UserID) throws -> (displayname: String?, avatarURL: String?) {
        let rows = try connection.query(
            """
            SELECT field, value FROM profiles
            WHERE user_id = \(user.text) AND field IN ('displayname', 'avatar_url')
            """)
        var found: (displayname: String?, avatarURL: String?) = (nil, nil)
        for row in rows {
            let value = try? JSONDocument(Array("[\(try row.text(1))]".utf8)).root.elements.first?.string
            if try row.text(0) == "displayname" { found.displayname = value } else { found.avatarURL = value }
        }
        return found
    }

    /// Display names and avatars of several users; who has neither is left out.
    public func displayed(
        _ users: Set<UserID>
    ) throws -> [UserID: (displayname: String?, avatarURL: String?)] {
        var found: [UserID: (displayname: String?, avatarURL: String?)] = [:]
        for chunk in users.sorted().chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT user_id, field, value FROM profiles
                WHERE user_id IN \(list: chunk.map(\.text)) AND field IN ('displayname', 'avatar_url')
                """)
            {
                let user = try UserID(row.text(0))
                let value = try? JSONDocument(Array("[\(try row.text(2))]".utf8)).root.elements.first?.string
                var entry = found[user] ?? (nil, nil)
                if try row.text(1) == "displayname" { entry.displayname = value } else { entry.avatarURL = value }
                found[user] = entry
            }
        }
        return found
    }

    /// Sets a field. Returns false, and changes nothing, when the profile would outgrow its limit.
    public func set(_ field: String, json: String, search: String? = nil, of user: UserID) throws -> Bool {
        var size = 2 + field.utf8.count + json.utf8.count + 4
        for other in try fields(of: user) where other.field != field {
            size += other.field.utf8.count + other.json.utf8.count + 4
        }
        guard size <= AccountLimits.profileBytes else { return false }
        try connection.execute(
            """
            INSERT INTO profiles (user_id, field, value, search) VALUES (\(user.text), \(field), \(json), \(search.sqlValue))
            ON CONFLICT (user_id, field) DO UPDATE SET value = excluded.value, search = excluded.search
            """)
        if field == "displayname" { try UserDirectory(connection).index(user) }
        return true
    }

    /// Removes a field. Returns false when there is none.
    @discardableResult
    public func delete(_ field: String, of user: UserID) throws -> Bool {
        let existed =
            try connection.execute("DELETE FROM profiles WHERE user_id = \(user.text) AND field = \(field)") == 1
        if existed, field == "displayname" { try UserDirectory(connection).index(user) }
        return existed
    }

    /// Removes all fields.
    public func deleteAll(of user: UserID) throws {
        try connection.execute("DELETE FROM profiles WHERE user_id = \(user.text)")
    }
}
