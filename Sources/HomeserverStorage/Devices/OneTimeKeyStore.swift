public import MatrixModel
public import SQLDatabase

/// One-time keys, each given out once and in the order uploaded, and the fallback keys that stand in when none is left.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys>
public struct OneTimeKeyStore {
    /// A key that was given out.
    public struct Claimed: Sendable {
        /// `signed_curve25519:` and an id.
        public var name: String
        /// The key as it was uploaded.
        public var body: [UInt8]
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// How many keys of each algorithm are left.
    public func counts(user: UserID, device: DeviceID) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for row in try connection.query(
            """
            SELECT algorithm, COUNT(*) FROM one_time_keys
            WHERE user_id = \(user.text) AND device_id = \(device.text) GROUP BY algorithm
            """)
        {
            counts[try row.text(0)] = try row.int(1)
        }
        return counts
    }

    /// The key of that name that is there already.
    public func existing(user: UserID, device: DeviceID, algorithm: String, id: String) throws -> [UInt8]? {
        try connection.query(
            """
            SELECT body FROM one_time_keys WHERE user_id = \(user.text) AND device_id = \(device.text)
                AND algorithm = \(algorithm) AND key_id = \(id)
            """
        ).first?.bytes(0)
    }

    public func add(user: UserID, device: DeviceID, algorithm: String, id: String, body: [UInt8]) throws {
        _ = try connection.execute(
            """
            INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, body)
            VALUES (\(user.text), \(device.text), \(algorithm), \(id), \(body))
            ON CONFLICT (user_id, device_id, algorithm, key_id) DO NOTHING
            """)
    }

    /// Puts a fallback key in the place of the one of its algorithm.
    public func setFallback(user: UserID, device: DeviceID, algorithm: String, id: String, body: [UInt8]) throws {
        _ = try connection.execute(
            """
            INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, body, used)
            VALUES (\(user.text), \(device.text), \(algorithm), \(id), \(body), 0)
            ON CONFLICT (user_id, device_id, algorithm) DO UPDATE SET
                used = CASE WHEN fallback_keys.key_id = excluded.key_id THEN fallback_keys.used ELSE 0 END,
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

    /// Gives a key out: the oldest one-time key, which is gone then; else the fallback key.
    public func claim(user: UserID, device: String, algorithm: String) throws -> Claimed? {
        let taken = try connection.query(
            """
            DELETE FROM one_time_keys WHERE otk_nid = (
                SELECT otk_nid FROM one_time_keys
                WHERE user_id = \(user.text) AND device_id = \(device) AND algorithm = \(algorithm)
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
