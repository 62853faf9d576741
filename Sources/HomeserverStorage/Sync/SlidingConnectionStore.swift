public import MatrixModel
public import SQLDatabase

/// The connections of sliding sync, and what was sent over each. A client that asks with a position says that it has the
/// answer of that number; until then an answer counts as not received, and there may be several for the same question.
///
/// What is known of a room is bytes here, and so are the entries of the room of the empty name.
public struct SlidingConnectionStore {
    /// A device's connection by the name that the client gave it.
    public struct Name: Sendable, Hashable {
        public var user: UserID
        public var device: DeviceID?
        /// The client's `conn_id`; may be empty.
        public var id: String

        /// Names a connection.
        public init(user: UserID, device: DeviceID?, id: String) {
            self.user = user
            self.device = device
            self.id = id
        }
    }

    /// What an answer changed, by room; nil where nothing is remembered any more.
    public typealias Changes = [String: [UInt8]?]

    private let connection: any SQLConnection

    /// The connections as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// When a connection was last noted as used, in milliseconds since 1970; nil when it has no such number: it is another's,
    /// has expired, or the client has gone on since.
    /// - Throws: `DatabaseError`.
    public func lastUse(of nid: Int64, at number: Int64, _ name: Name) throws -> Int64? {
        try connection.query(
            """
            SELECT c.used_ts FROM sliding_connections c WHERE c.connection_nid = \(nid)
            AND c.user_id = \(name.user.text) AND c.device_id = \(name.device?.text ?? "") AND c.conn_id = \(name.id)
            AND (c.confirmed = \(number) OR EXISTS (SELECT 1 FROM sliding_changes s
            WHERE s.connection_nid = c.connection_nid AND s.number = \(number)))
            """
        ).first?.integer(0)
    }

    /// What was sent up to an answer, by room.
    /// - Throws: `DatabaseError`.
    public func sent(over nid: Int64, at number: Int64) throws -> [String: [UInt8]] {
        var rooms: [String: [UInt8]] = [:]
        for row in try connection.query("SELECT room_id, body FROM sliding_rooms WHERE connection_nid = \(nid)") {
            rooms[try row.text(0)] = try row.bytes(1)
        }
        for (room, body) in try changes(nid, number) ?? [:] { rooms[room] = body }
        return rooms
    }

    /// Begins a connection in the place of one of the same name. Of those a device has, the least recently used go so that
    /// at most `limit` are left.
    /// - Parameter now: milliseconds since 1970.
    /// - Returns: its number; the first answer's is 1.
    /// - Throws: `DatabaseError`.
    public func begin(_ name: Name, _ changes: Changes, limit: Int, now: Int64) throws -> Int64 {
        let device = name.device?.text ?? ""
        let old = try connection.query(
            """
            SELECT connection_nid FROM sliding_connections
            WHERE user_id = \(name.user.text) AND device_id = \(device)
            ORDER BY CASE WHEN conn_id = \(name.id) THEN 1 ELSE 0 END, used_ts DESC, connection_nid DESC
            """
        ).map { try $0.integer(0) }
        let same = try connection.query(
            """
            SELECT connection_nid FROM sliding_connections
            WHERE user_id = \(name.user.text) AND device_id = \(device) AND conn_id = \(name.id)
            """
        ).map { try $0.integer(0) }
        try end(Array(Set(same).union(old.dropFirst(max(0, limit - 1)))))
        let row = try connection.query(
            """
            INSERT INTO sliding_connections (user_id, device_id, conn_id, confirmed, newest, used_ts)
            VALUES (\(name.user.text), \(device), \(name.id), 0, 1, \(now))
            ON CONFLICT (user_id, device_id, conn_id) DO UPDATE SET confirmed = 0, newest = 1, used_ts = \(now)
            RETURNING connection_nid
            """
        ).first
        guard let nid = try row?.integer(0) else { throw DatabaseError(.misuse, "a connection was not made") }
        try add(Self.body(of: changes), to: nid, 1)
        return nid
    }

    /// Keeps what an answer changed of what was sent up to the answer `base`, which the client is now known to have.
    /// - Parameters:
    ///   - kept: how many answers are kept that are not known to have arrived.
    ///   - now: milliseconds since 1970.
    /// - Returns: the answer's number; nil when the connection has no answer `base`.
    /// - Throws: `DatabaseError`.
    public func advance(_ nid: Int64, from base: Int64, _ changes: Changes, kept: Int, now: Int64) throws -> Int64? {
        guard
            let row = try connection.query(
                """
                UPDATE sliding_connections SET newest = newest + 1, used_ts = \(now) WHERE connection_nid = \(nid)
                RETURNING newest, confirmed
                """
            ).first
        else { return nil }
        let number = try row.integer(0)
        if try row.integer(1) != base {
            guard let received = try self.changes(nid, base) else { return nil }
            try apply(received, to: nid)
            try connection.execute("DELETE FROM sliding_changes WHERE connection_nid = \(nid)")
            try connection.execute(
                "UPDATE sliding_connections SET confirmed = \(base) WHERE connection_nid = \(nid)")
        }
        let body = Self.body(of: changes)
        // A client that gives a request up and asks again may be answered twice.
        let same = try connection.query(
            "SELECT number FROM sliding_changes WHERE connection_nid = \(nid) AND body = \(body) LIMIT 1"
        ).first
        if let same { return try same.integer(0) }
        try add(body, to: nid, number)
        try connection.execute(
            """
            DELETE FROM sliding_changes WHERE connection_nid = \(nid) AND number <= COALESCE((
            SELECT number FROM sliding_changes WHERE connection_nid = \(nid) ORDER BY number DESC
            LIMIT 1 OFFSET \(kept)), 0)
            """)
        return number
    }

    /// Notes that a connection is in use.
    /// - Parameter now: milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func touch(_ nid: Int64, now: Int64) throws {
        try connection.execute("UPDATE sliding_connections SET used_ts = \(now) WHERE connection_nid = \(nid)")
    }

    /// Ends the connections of devices.
    /// - Throws: `DatabaseError`.
    public func end(of user: UserID, devices: [String]) throws {
        try end(
            connection.query(
                """
                SELECT connection_nid FROM sliding_connections
                WHERE user_id = \(user.text) AND device_id IN \(list: devices)
                """
            ).map { try $0.integer(0) })
    }

    /// Ends at most `limit` connections that were not used since a time.
    /// - Parameter time: milliseconds since 1970.
    /// - Returns: whether there may be more.
    /// - Throws: `DatabaseError`.
    @discardableResult
    public func end(unusedSince time: Int64, limit: Int) throws -> Bool {
        let old = try connection.query(
            "SELECT connection_nid FROM sliding_connections WHERE used_ts < \(time) ORDER BY used_ts LIMIT \(limit)"
        ).map { try $0.integer(0) }
        try end(old)
        return old.count == limit
    }

    private func end(_ nids: [Int64]) throws {
        for chunk in nids.chunks(of: Limits.bindsPerStatement) {
            for table: SQL in ["sliding_rooms", "sliding_changes", "sliding_connections"] {
                try connection.execute("DELETE FROM \(table) WHERE connection_nid IN \(list: chunk)")
            }
        }
    }

    // MARK: Changes

    private func changes(_ nid: Int64, _ number: Int64) throws -> Changes? {
        let row = try connection.query(
            "SELECT body FROM sliding_changes WHERE connection_nid = \(nid) AND number = \(number)"
        ).first
        guard let body = try row?.bytes(0) else { return nil }
        guard let document = try? JSONDocument(body) else {
            throw DatabaseError(.corrupt, "a connection's changes cannot be read")
        }
        var changes: Changes = [:]
        for (room, value) in document.root.members {
            changes.updateValue(value.isNull ? nil : Array(value.rawBytes), forKey: room)
        }
        return changes
    }

    private static func body(of changes: Changes) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        for (room, body) in changes.sorted(by: { $0.key < $1.key }) {
            writer.key(room)
            if let body { writer.raw(body) } else { writer.null() }
        }
        writer.endObject()
        return writer.bytes
    }

    private func add(_ body: [UInt8], to nid: Int64, _ number: Int64) throws {
        try connection.execute(
            """
            INSERT INTO sliding_changes (connection_nid, number, body) VALUES (\(nid), \(number), \(body))
            ON CONFLICT (connection_nid, number) DO UPDATE SET body = excluded.body
            """)
    }

    private func apply(_ changes: Changes, to nid: Int64) throws {
        let statements = changes.sorted { $0.key < $1.key }.map { room, body -> SQL in
            guard let body else {
                return "DELETE FROM sliding_rooms WHERE connection_nid = \(nid) AND room_id = \(room)"
            }
            return """
                INSERT INTO sliding_rooms (connection_nid, room_id, body) VALUES (\(nid), \(room), \(body))
                ON CONFLICT (connection_nid, room_id) DO UPDATE SET body = excluded.body
                """
        }
        for start in stride(from: 0, to: statements.count, by: Limits.statementsPerRoundTrip) {
            try connection.executeAll(
                Array(statements[start..<min(start + Limits.statementsPerRoundTrip, statements.count)]))
        }
    }
}
