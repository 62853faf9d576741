public import MatrixModel
public import SQLDatabase

/// Finds users by the beginnings of words: of this server all whose accounts are in use, of others those who share a room
/// with the asker or are in a room of the public directory.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#user-directory>
public struct UserDirectory {
    /// Somebody who was found.
    public struct Entry: Sendable, Hashable {
        public let user: UserID
        public let displayName: String?
        public let avatarURL: String?
    }

    /// Those who have one of the words, beyond which nobody is looked at.
    private static let candidates = 2_000
    /// Accounts of one step when the directory is built.
    private static let accountsPerStep = 500

    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    // MARK: Looking for users

    /// Users for whom every word of `term` begins a word of the localpart or the display name. The best come first: an equal
    /// name, then one that begins so, then the rest in order of ids.
    /// - Parameter server: this one's name.
    /// - Throws: `DatabaseError`.
    public func search(_ term: String, for asker: UserID, server: ServerName, limit: Int) throws -> [Entry] {
        let wanted = DirectoryWords.wanted(term)
        guard let rarest = wanted.max(by: { $0.utf8.count < $1.utf8.count }) else { return [] }
        let isWholeID = term.hasPrefix("@") && term.contains(":")
        var found = try local(rarest) + elsewhere(rarest, for: asker, server: server)
        found.removeAll { entry in
            let words = DirectoryWords.words(of: entry.user, displayName: entry.displayName)
            return entry.user == asker || isWholeID && !entry.user.text.lowercased().hasPrefix(term.lowercased())
                || !wanted.allSatisfy { word in words.contains { $0.hasPrefix(word) } }
        }
        let text = term.lowercased()
        func rank(_ entry: Entry) -> Int {
            let names = [entry.user.text, entry.user.localpart, entry.displayName ?? ""].map { $0.lowercased() }
            return names.contains(text) ? 0 : names.contains { $0.hasPrefix(text) } ? 1 : 2
        }
        let ranked = found.map { (rank($0), $0) }.sorted { ($0.0, $0.1.user) < ($1.0, $1.1.user) }
        return ranked.prefix(limit).map(\.1)
    }

    private func local(_ word: String) throws -> [Entry] {
        let range = DirectoryWords.range(of: word)
        let users = try connection.query(
            """
            SELECT w.user_id FROM user_directory_words w
            JOIN accounts a ON a.user_id = w.user_id AND a.is_deactivated = 0 AND a.is_guest = 0 AND a.is_locked = 0
                AND a.is_erased = 0
            WHERE w.word >= \(range.from) AND w.word < \(range.to) ORDER BY w.word, w.user_id LIMIT \(Self.candidates)
            """
        ).map { try UserID($0.text(0)) }
        let shown = try ProfileStore(connection).displayed(Set(users))
        return Set(users).map { user in
            Entry(user: user, displayName: shown[user]?.displayname, avatarURL: shown[user]?.avatarURL)
        }
    }

    /// Engines differ in which letters they call the same, so that a word is looked for as it is usually written.
    private func elsewhere(_ word: String, for asker: UserID, server: ServerName) throws -> [Entry] {
        let plain = word.hasPrefix("@") ? String(word.dropFirst()) : word
        var condition: SQL = "LOWER(m.user_id) LIKE \("%" + Self.escaped(plain) + "%") ESCAPE '!'"
        for written in Set([plain, plain.prefix(1).uppercased() + plain.dropFirst(), plain.uppercased()]).sorted() {
            condition += " OR m.displayname LIKE \("%" + Self.escaped(written) + "%") ESCAPE '!'"
        }
        let rows = try connection.query(
            """
            SELECT DISTINCT m.user_id, m.displayname, m.avatar_url FROM room_members m
            WHERE m.membership = 'join' AND m.server <> \(server.text)
                AND m.room_nid IN (
                    SELECT room_nid FROM room_members WHERE user_id = \(asker.text) AND membership = 'join'
                    UNION SELECT room_nid FROM rooms WHERE published = 1)
                AND (\(condition))
            LIMIT \(Self.candidates)
            """)
        var found: [UserID: Entry] = [:]
        for row in rows {
            guard let user = try? UserID(row.text(0)), found[user] == nil else { continue }
            found[user] = Entry(user: user, displayName: try row.optionalText(1), avatarURL: try row.optionalText(2))
        }
        return Array(found.values)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            if character == "%" || character == "_" || character == "!" { result.append("!") }
            result.append(character)
        }
        return result
    }

    // MARK: Keeping the words

    /// Puts the words of a user of this server in the place of those that were kept.
    /// - Throws: `DatabaseError`.
    func index(_ user: UserID) throws {
        let name = try ProfileStore(connection).displayed(user).displayname
        try remove(user)
        let words = DirectoryWords.words(of: user, displayName: name)
        try connection.executeAll(
            words.sorted().map { word in
                "INSERT INTO user_directory_words (word, user_id) VALUES (\(Array(word.utf8)), \(user.text))"
            })
    }

    /// Forgets a user's words.
    /// - Throws: `DatabaseError`.
    func remove(_ user: UserID) throws {
        try connection.execute("DELETE FROM user_directory_words WHERE user_id = \(user.text)")
    }

    /// Takes some of the accounts in that were there before there was a directory. Returns whether there may be more.
    /// - Throws: `DatabaseError`.
    public func buildStep() throws -> Bool {
        // The row is the lock that keeps two nodes apart.
        let row = try connection.query(
            "SELECT user_id FROM user_directory_building \(raw: connection.dialect.forUpdate)"
        ).first
        guard let row else { return false }
        let after = try row.text(0)
        let accounts = try AccountStore(connection).list(after: after, limit: Self.accountsPerStep)
        for account in accounts where !account.isDeactivated { try index(account.user) }
        try connection.execute("DELETE FROM user_directory_building")
        guard let last = accounts.last else { return false }
        try connection.execute("INSERT INTO user_directory_building (user_id) VALUES (\(last.user.text))")
        return true
    }
}
