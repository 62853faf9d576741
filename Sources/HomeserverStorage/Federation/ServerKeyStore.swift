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

    /// A server's own key answer.
    public struct Answer: Sendable {
        public var body: [UInt8]
        public var validUntil: Int64
        public var fetched: Int64
    }

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

    /// Keeps keys; a key's validity only ever grows.
    public func save(_ keys: [Key], of server: String, now: Int64) throws {
        for key in keys {
            _ = try connection.execute(
                """
                INSERT INTO server_keys (server, key_id, public_key, valid_until, expired, fetched)
                VALUES (\(server), \(key.keyID), \(key.publicKey), \(key.validUntil), \(key.expired), \(now))
                ON CONFLICT (server, key_id) DO UPDATE SET public_key = excluded.public_key,
                    valid_until = CASE WHEN server_keys.valid_until > excluded.valid_until
                        THEN server_keys.valid_until ELSE excluded.valid_until END,
                    expired = excluded.expired, fetched = excluded.fetched
                """)
        }
    }

    public func answer(of server: String) throws -> Answer? {
        try connection.query(
            "SELECT body, valid_until, fetched FROM server_key_answers WHERE server = \(server)"
        ).first.map { Answer(body: try $0.bytes(0), validUntil: try $0.integer(1), fetched: try $0.integer(2)) }
    }

    public func save(answer body: [UInt8], of server: String, validUntil: Int64, now: Int64) throws {
        _ = try connection.execute(
            """
            INSERT INTO server_key_answers (server, body, valid_until, fetched)
            VALUES (\(server), \(body), \(validUntil), \(now))
            ON CONFLICT (server) DO UPDATE SET body = excluded.body, valid_until = excluded.valid_until,
                fetched = excluded.fetched
            """)
    }
}
