public import SQLDatabase

/// The public halves of other servers' signing keys.
public struct ServerKeyStore {
    /// A key as it is kept.
    public struct Key: Sendable, Hashable {
        /// `ed25519:` and a version.
        public var keyID: String
        public var publicKey: [UInt8]
        /// Milliseconds since 1970.
        public var validUntil: Int64
        /// Milliseconds since 1970, for a key that signs no more.
        public var expired: Int64?

        public init(keyID: String, publicKey: [UInt8], validUntil: Int64, expired: Int64?) {
            self.keyID = keyID
            self.publicKey = publicKey
            self.validUntil = validUntil
            self.expired = expired
        }
    }

    /// What is told of a server's keys.
    public struct News: Sendable {
        public var keys: [Key]
        /// The answer, as the server signed it.
        public var body: [UInt8]
        /// Milliseconds since 1970.
        public var validUntil: Int64
        /// Whether the server told it itself, and no notary.
        public var isDirect: Bool

        public init(keys: [Key], body: [UInt8], validUntil: Int64, isDirect: Bool) {
            self.keys = keys
            self.body = body
            self.validUntil = validUntil
            self.isDirect = isDirect
        }
    }

    /// A server's own key answer.
    public struct Answer: Sendable {
        public var body: [UInt8]
        public var validUntil: Int64
        public var fetched: Int64
    }

    /// Spec: validity is never trusted further ahead than seven days, counted from when the key was fetched. Milliseconds.
    public static let longestValidity: Int64 = 7 * 86_400_000

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    public func keys(of server: String) throws -> [Key] {
        try connection.query(
            "SELECT key_id, public_key, valid_until, expired FROM server_keys WHERE server = \(server)"
        ).map {
            Key(
                keyID: try $0.text(0), publicKey: try $0.bytes(1), validUntil: try $0.integer(2),
                expired: try $0.optionalInteger(3))
        }
    }

    public func answer(of server: String) throws -> Answer? { try answer(of: server, ending: "") }

    private func answer(of server: String, ending: String) throws -> Answer? {
        try connection.query(
            "SELECT body, valid_until, fetched FROM server_key_answers WHERE server = \(server) \(raw: ending)"
        ).first.map { Answer(body: try $0.bytes(0), validUntil: try $0.integer(1), fetched: try $0.integer(2)) }
    }

    /// Takes in what is told of a server's keys. Returns all that are known of it now.
    ///
    /// An answer has no date but its `valid_until_ts`, and a notary may have kept one from before a key was retired. So that
    /// a key signs no more is taken back, or moved to later, by the server itself only, and only by an answer newer than
    /// the one that is kept; and an older answer does not take the place of a newer one. A key's validity only ever grows.
    /// - Throws: `DatabaseError`.
    public func take(_ news: News, of server: String, now: Int64) throws -> [Key] {
        // Held to the end, so that two who learn of the same server follow one another.
        let kept = try answer(of: server, ending: connection.dialect.forUpdate)
        let until = min(news.validUntil, now + Self.longestValidity)
        let keptUntil = kept.map { min($0.validUntil, $0.fetched + Self.longestValidity) }
        let isNewer = keptUntil.map { until > $0 } ?? true
        let known = Dictionary(try keys(of: server).map { ($0.keyID, $0) }, uniquingKeysWith: { $1 })
        var (revivesKey, retiresKey) = (false, false)
        for told in news.keys {
            let key = known[told.keyID].map { $0.changed(by: told, isNewer: isNewer, isDirect: news.isDirect) } ?? told
            if told.expired == nil, key.expired != nil { revivesKey = true }
            if told.expired != nil, let before = known[told.keyID], before.expired == nil { retiresKey = true }
            try save(key, of: server, now: now)
        }
        // Whatever is said of its validity, the server's own word that retires a key comes after that by which it was current.
        let follows = keptUntil.map { until >= $0 } ?? true
        if !revivesKey, follows || (retiresKey && news.isDirect) { try save(news, of: server, now: now) }
        return try keys(of: server)
    }

    private func save(_ key: Key, of server: String, now: Int64) throws {
        _ = try connection.execute(
            """
            INSERT INTO server_keys (server, key_id, public_key, valid_until, expired, fetched)
            VALUES (\(server), \(key.keyID), \(key.publicKey), \(key.validUntil), \(key.expired), \(now))
            ON CONFLICT (server, key_id) DO UPDATE SET public_key = excluded.public_key,
                valid_until = excluded.valid_until, expired = excluded.expired, fetched = excluded.fetched
            """)
    }

    private func save(_ news: News, of server: String, now: Int64) throws {
        _ = try connection.execute(
            """
            INSERT INTO server_key_answers (server, body, valid_until, fetched)
            VALUES (\(server), \(news.body), \(news.validUntil), \(now))
            ON CONFLICT (server) DO UPDATE SET body = excluded.body, valid_until = excluded.valid_until,
                fetched = excluded.fetched
            """)
    }
}

extension ServerKeyStore.Key {
    /// The key after an answer told it so.
    /// - Parameters:
    ///   - isNewer: whether the answer is newer than the one that is kept.
    ///   - isDirect: whether the server gave it itself.
    fileprivate func changed(by told: Self, isNewer: Bool, isDirect: Bool) -> Self {
        // Another key of the same name: the newer one, or the server's own word, unless this one is retired.
        if told.publicKey != publicKey {
            let isTaken = isNewer ? isDirect || expired == nil : isDirect && expired == nil
            return isTaken ? told : self
        }
        var key = told
        key.validUntil = max(validUntil, told.validUntil)
        if isNewer, isDirect { return key }
        key.expired = [expired, told.expired].compactMap(\.self).min()
        return key
    }
}
