public import MatrixModel
public import SQLDatabase

/// One-time keys, each given out once and in the order uploaded, and the fallback keys that stand in when none is left.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys>
public struct OneTimeKeyStore {
    /// A key as a device uploads it.
    public struct Key: Sendable {
        public var algorithm: String
        /// What stands behind the algorithm and the colon.
        public var id: String
        /// Canonical JSON.
        public var body: [UInt8]

        public init(algorithm: String, id: String, body: [UInt8]) {
            self.algorithm = algorithm
            self.id = id
            self.body = body
        }
    }

    /// A key that was given out.
    public struct Claimed: Sendable {
        /// `signed_curve25519:` and an id.
        public var name: String
        /// The key as it was uploaded.
        public var body: [UInt8]
    }

    /// What came of an upload.
    public enum Outcome: Sendable, Equatable {
        case added
        /// Another key of this name is there and was not given out.
        case conflict(String)
        /// There would be too many.
        case full
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// How many keys of each algorithm are left.
    public func counts(user: UserID, device: DeviceID) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for row in try connection.query(
            """
            SELECT algorithm, COUNT(*) FROM one_time_keys
            WHERE user_id = \(user.text) AND device_id = \(device.text) AND claimed = 0 GROUP BY algorithm
            """)
        {
            counts[try row.text(0)] = try row.int(1)
        }
        return counts
    }

    /// Adds the keys that are new. A key that comes again, even when it was given out meanwhile, is a repeated request and is
    /// not given out twice; another key under the name of one that was given out is new.
    /// - Parameter limit: keys of the device that may wait.
    public func add(_ keys: [Key], user: UserID, device: DeviceID, limit: Int) throws -> Outcome {
        guard !keys.isEmpty else { return .added }
        var known: [String: (body: [UInt8], isClaimed: Bool)] = [:]
        var waiting = 0
        for row in try connection.query(
            """
            SELECT algorithm, key_id, body, claimed FROM one_time_keys
            WHERE user_id = \(user.text) AND device_id = \(device.text)
            """)
        {
            let isClaimed = try row.integer(3) != 0
            known["\(try row.text(0)):\(try row.text(1))"] = (try row.bytes(2), isClaimed)
            if !isClaimed { waiting += 1 }
        }
        var statements: [SQL] = []
        for key in keys {
            let name = "\(key.algorithm):\(key.id)"
            if let before = known[name] {
                if before.body == key.body { continue }
                guard before.isClaimed else { return .conflict(name) }
                statements.append(
                    """
                    DELETE FROM one_time_keys WHERE user_id = \(user.text) AND device_id = \(device.text)
                        AND algorithm = \(key.algorithm) AND key_id = \(key.id)
                    """)
            }
            waiting += 1
            guard waiting <= limit else { return .full }
            known[name] = (key.body, false)
            statements.append(
                """
                INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, body, claimed)
                VALUES (\(user.text), \(device.text), \(key.algorithm), \(key.id), \(key.body), 0)
                """)
        }
        guard !statements.isEmpty else { return .added }
        statements.append(
            """
            DELETE FROM one_time_keys WHERE user_id = \(user.text) AND device_id = \(device.text) AND claimed = 1
            AND otk_nid <= COALESCE((
                SELECT otk_nid FROM one_time_keys
                WHERE user_id = \(user.text) AND device_id = \(device.text) AND claimed = 1
                ORDER BY otk_nid DESC LIMIT 1 OFFSET \(Limits.claimedKeysPerDevice)), 0)
            """)
        _ = try connection.executeAll(statements)
        return .added
    }

    /// Puts a fallback key in the place of the one of its algorithm. The same key again keeps being used, if it was.
    public func setFallback(_ key: Key, user: UserID, device: DeviceID) throws {
        _ = try connection.execute(
            """
            INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, body, used)
            VALUES (\(user.text), \(device.text), \(key.algorithm), \(key.id), \(key.body), 0)
            ON CONFLICT (user_id, device_id, algorithm) DO UPDATE SET
                used = CASE WHEN fallback_keys.key_id = excluded.key_id AND fallback_keys.body = excluded.body
                    THEN fallback_keys.used ELSE 0 END,
                key_id = excluded.key_id, body = excluded.body
            """)
    }

    /// The algorithms whose fallback key was not given out yet.
    public func unusedFallbackAlgorithms(user: UserID, device: DeviceID) throws -> [String] {
        try connection.query(
            """
            SELECT algorithm FROM fallback_keys
            WHERE user_id = \(user.text) AND device_id = \(device.text) AND used = 0 ORDER BY algorithm
            """
        ).map { try $0.text(0) }
    }

    /// Gives a key out: the oldest one-time key, never again after that; else the fallback key.
    public func claim(user: UserID, device: String, algorithm: String) throws -> Claimed? {
        let taken = try connection.query(
            """
            UPDATE one_time_keys SET claimed = 1 WHERE otk_nid = (
                SELECT otk_nid FROM one_time_keys
                WHERE user_id = \(user.text) AND device_id = \(device) AND algorithm = \(algorithm) AND claimed = 0
                ORDER BY otk_nid LIMIT 1 \(raw: connection.dialect.forUpdateSkipLocked))
            RETURNING key_id, body
            """)
        if let row = taken.first {
            return Claimed(name: "\(algorithm):\(try row.text(0))", body: try row.bytes(1))
        }
        let fallback = try connection.query(
            """
            UPDATE fallback_keys SET used = 1
            WHERE user_id = \(user.text) AND device_id = \(device) AND algorithm = \(algorithm)
            RETURNING key_id, body
            """)
        return try fallback.first.map { Claimed(name: "\(algorithm):\(try $0.text(0))", body: try $0.bytes(1)) }
    }
}
