public import SQLDatabase

/// PDUs that other servers sent and that are not judged yet, so that a crash loses none; and the answers to their
/// transactions.
public struct InboundStaging {
    public struct Staged: Sendable {
        public var nid: Int64
        public var origin: String
        public var roomID: String
        public var eventID: String
        public var body: [UInt8]
        public var tries: Int
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes a PDU in; one that waits already is left as it is.
    public func stage(origin: String, roomID: String, eventID: String, body: [UInt8], now: Int64) throws {
        _ = try connection.execute(
            """
            INSERT INTO inbound_staging (origin, room_id, event_id, body, received)
            VALUES (\(origin), \(roomID), \(eventID), \(body), \(now)) ON CONFLICT (room_id, event_id) DO NOTHING
            """)
    }

    /// How many wait from one server, counted up to a limit.
    public func count(from origin: String, upTo limit: Int) throws -> Int {
        try connection.query(
            """
            SELECT COUNT(*) FROM (SELECT 1 FROM inbound_staging WHERE origin = \(origin) LIMIT \(limit)) AS waiting
            """
        ).first?.int(0) ?? 0
    }

    /// Rooms with staged events, oldest first.
    public func rooms(limit: Int) throws -> [String] {
        try connection.query(
            "SELECT room_id FROM inbound_staging GROUP BY room_id ORDER BY MIN(staged_nid) LIMIT \(limit)"
        ).map { try $0.text(0) }
    }

    /// A room's oldest staged events.
    public func staged(in roomID: String, limit: Int) throws -> [Staged] {
        try connection.query(
            """
            SELECT staged_nid, origin, room_id, event_id, body, tries FROM inbound_staging
            WHERE room_id = \(roomID) ORDER BY staged_nid LIMIT \(limit)
            """
        ).map {
            Staged(
                nid: try $0.integer(0), origin: try $0.text(1), roomID: try $0.text(2), eventID: try $0.text(3),
                body: try $0.bytes(4), tries: try $0.int(5))
        }
    }

    public func remove(_ nids: [Int64]) throws {
        guard !nids.isEmpty else { return }
        _ = try connection.execute("DELETE FROM inbound_staging WHERE staged_nid IN \(list: nids)")
    }

    public func noteTry(_ nid: Int64) throws {
        _ = try connection.execute("UPDATE inbound_staging SET tries = tries + 1 WHERE staged_nid = \(nid)")
    }

    /// The answer that a transaction got.
    public func answer(origin: String, transactionID: String) throws -> [UInt8]? {
        try connection.query(
            """
            SELECT response FROM received_transactions
            WHERE origin = \(origin) AND transaction_id = \(transactionID)
            """
        ).first?.bytes(0)
    }

    public func save(answer: [UInt8], origin: String, transactionID: String, now: Int64) throws {
        _ = try connection.execute(
            """
            INSERT INTO received_transactions (origin, transaction_id, response, received)
            VALUES (\(origin), \(transactionID), \(answer), \(now)) ON CONFLICT (origin, transaction_id) DO NOTHING
            """)
    }

    /// Forgets the answers to old transactions.
    public func forgetAnswers(before time: Int64) throws {
        _ = try connection.execute("DELETE FROM received_transactions WHERE received < \(time)")
    }

    /// Takes or keeps the right to judge a room's staged events.
    public func lease(_ roomID: String, holder: String, now: Int64, until: Int64) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO room_leases (room_id, holder, until) VALUES (\(roomID), \(holder), \(until))
            ON CONFLICT (room_id) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE room_leases.until <= \(now) OR room_leases.holder = \(holder)
            """) == 1
    }

    public func release(_ roomID: String, holder: String) throws {
        _ = try connection.execute("DELETE FROM room_leases WHERE room_id = \(roomID) AND holder = \(holder)")
    }
}
