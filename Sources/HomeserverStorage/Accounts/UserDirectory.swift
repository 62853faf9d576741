public import MatrixModel
public import SQLDatabase

/// Finds users by name: local accounts, and members of the asker's rooms.
public struct UserDirectory {
    /// Somebody who was found.
    public struct Entry: Sendable, Hashable {
        public let user: UserID
        public let displayName: String?
        public let avatarURL: String?
    }

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Users whose id or display name contains `term`, which is in small letters. The best come first: an equal or
    /// similar beginning of the id, then the rest in order of ids.
    public func search(_ term: String, for asker: UserID, limit: Int) throws -> [Entry] {
        let pattern = "%" + Self.escaped(term) + "%"
        let local = try connection.query(
            """
            SELECT a.user_id, p.value FROM accounts a
            LEFT JOIN profiles p ON p.user_id = a.user_id AND p.field = 'displayname'
            WHERE a.is_deactivated = 0 AND a.is_guest = 0 AND a.is_locked = 0
                AND (a.user_id LIKE \(pattern) ESCAPE '!' OR p.search LIKE \(pattern) ESCAPE '!')
            ORDER BY a.user_id LIMIT \(limit * 4)
            """)
        var entries: [UserID: Entry] = [:]
        for row in local {
            let user = try UserID(row.text(0))
            guard user != asker else { continue }
            let shown = try ProfileStore(connection).displayed(user)
            entries[user] = Entry(user: user, displayName: shown.displayname, avatarURL: shown.avatarURL)
        }
        let shared = try connection.query(
            """
            SELECT DISTINCT m.user_id, m.displayname, m.avatar_url FROM room_members m
            WHERE m.membership = 'join'
                AND m.room_nid IN (SELECT room_nid FROM room_members
                    WHERE user_id = \(asker.text) AND membership = 'join')
                AND (LOWER(m.user_id) LIKE \(pattern) ESCAPE '!' OR LOWER(m.displayname) LIKE \(pattern) ESCAPE '!')
            ORDER BY m.user_id LIMIT \(limit * 4)
            """)
        for row in shared {
            guard let user = try? UserID(row.text(0)), user != asker, entries[user] == nil else { continue }
            entries[user] = Entry(user: user, displayName: try row.optionalText(1), avatarURL: try row.optionalText(2))
        }
        func rank(_ entry: Entry) -> Int {
            if entry.user.localpart == term || entry.displayName?.lowercased() == term { return 0 }
            return entry.user.localpart.hasPrefix(term) ? 1 : 2
        }
        let ranked = entries.values.sorted { (rank($0), $0.user) < (rank($1), $1.user) }
        return Array(ranked.prefix(limit))
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            if character == "%" || character == "_" || character == "!" { result.append("!") }
            result.append(character)
        }
        return result
    }
}
