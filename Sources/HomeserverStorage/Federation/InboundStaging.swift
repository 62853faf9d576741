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

    /// A room's staged events, of one kind: those that can be judged from what is here, and those for which something must
    /// be fetched first. So a server that is slow to tell what it refers to holds up nobody but itself.
    public struct Lane: Sendable, Hashable {
        public var roomID: String
        public var fetches: Bool

        public init(roomID: String, fetches: Bool) {
            self.roomID = roomID
            self.fetches = fetches
        }

        /// Names it. No room id has a blank before its first character.
        public var key: String { fetches ? "slow " + roomID : roomID }
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes a PDU in; one that waits already is left as it is.
    public func stage(
        origin: String, roomID: String, eventID: String, body: [UInt8], now: Int64, sealer: StorageSealer
    ) throws {
        let sealed = try sealer.seal(body, context: Self.context(eventID))
        _ = try connection.execute(
            """
            INSERT INTO inbound_staging (origin, room_id, event_id, body, received)
            VALUES (\(origin), \(roomID), \(eventID), \(sealed), \(now)) ON CONFLICT (room_id, event_id) DO NOTHING
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

    /// Whether something from a server waits in a room.
    /// - Throws: `DatabaseError`.
    public func waits(from origin: String, in room: String) throws -> Bool {
        try !connection.query(
            "SELECT 1 FROM inbound_staging WHERE room_id = \(room) AND origin = \(origin) LIMIT 1"
        ).isEmpty
    }

    /// How many wait in each of some rooms.
    public func counts(in rooms: [String]) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for chunk in rooms.chunks(of: Limits.bindsPerStatement) {
            for row in try connection.query(
                """
                SELECT room_id, COUNT(*) FROM inbound_staging WHERE room_id IN \(list: chunk) GROUP BY room_id
                """)
            {
                counts[try row.text(0)] = try row.int(1)
            }
        }
        return counts
    }

    /// Lanes in which something may be judged now, the oldest first, without those that another node works on.
    public func lanes(now: Int64, holder: String, limit: Int) throws -> [Lane] {
        try connection.query(
            """
            SELECT s.room_id, s.needs_fetch FROM inbound_staging s WHERE s.not_before <= \(now) AND NOT EXISTS (
                SELECT 1 FROM room_leases l WHERE l.until > \(now) AND l.holder <> \(holder)
                AND l.lane = CASE WHEN s.needs_fetch = 1 THEN 'slow ' ELSE '' END || s.room_id)
            GROUP BY s.room_id, s.needs_fetch ORDER BY MIN(s.staged_nid) LIMIT \(limit)
            """
        ).map { Lane(roomID: try $0.text(0), fetches: try $0.integer(1) == 1) }
    }

    /// A lane's events that may be judged now: the oldest of those tried least.
    public func staged(in lane: Lane, now: Int64, limit: Int, sealer: StorageSealer) throws -> [Staged] {
        try connection.query(
            """
            SELECT staged_nid, origin, room_id, event_id, body, tries FROM inbound_staging
            WHERE room_id = \(lane.roomID) AND needs_fetch = \(lane.fetches ? 1 : 0) AND not_before <= \(now)
            ORDER BY tries, staged_nid LIMIT \(limit)
            """
        ).map { row in
            let eventID = try row.text(3)
            return Staged(
                nid: try row.integer(0), origin: try row.text(1), roomID: try row.text(2), eventID: eventID,
                body: try sealer.open(row.bytes(4), context: Self.context(eventID)), tries: try row.int(5))
        }
    }

    /// What a sealed event that waits is bound to.
    static func context(_ eventID: String) -> String { "staged:" + eventID }

    public func remove(_ nids: [Int64]) throws {
        guard !nids.isEmpty else { return }
        _ = try connection.execute("DELETE FROM inbound_staging WHERE staged_nid IN \(list: nids)")
    }

    /// Puts an event in the lane of those for which something must be fetched.
    public func needsFetch(_ nid: Int64) throws {
        _ = try connection.execute("UPDATE inbound_staging SET needs_fetch = 1 WHERE staged_nid = \(nid)")
    }

    /// Notes that an event could not be judged, and when to try it again. What else the same server sent for the room, and
    /// would have to be fetched too, waits until `others`, so that one server does not hold up the rest.
    public func postpone(_ staged: Staged, until time: Int64, others: Int64) throws {
        _ = try connection.executeAll([
            """
            UPDATE inbound_staging SET not_before = \(others) WHERE room_id = \(staged.roomID)
            AND origin = \(staged.origin) AND needs_fetch = 1 AND not_before < \(others)
            """,
            """
            UPDATE inbound_staging SET tries = tries + 1, not_before = \(time) WHERE staged_nid = \(staged.nid)
            """,
        ])
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

    /// Keeps the answer to a transaction. Returns the one that counts: the first.
    public func save(answer: [UInt8], origin: String, transactionID: String, now: Int64) throws -> [UInt8] {
        let isFirst =
            try connection.execute(
                """
                INSERT INTO received_transactions (origin, transaction_id, response, received)
                VALUES (\(origin), \(transactionID), \(answer), \(now)) ON CONFLICT (origin, transaction_id) DO NOTHING
                """) == 1
        return isFirst ? answer : try self.answer(origin: origin, transactionID: transactionID) ?? answer
    }

    /// Forgets the answers to old transactions.
    public func forgetAnswers(before time: Int64) throws {
        _ = try connection.execute("DELETE FROM received_transactions WHERE received < \(time)")
    }

    /// Takes or keeps the right to work on a lane.
    public func lease(_ lane: Lane, holder: String, now: Int64, until: Int64) throws -> Bool {
        try connection.execute(
            """
            INSERT INTO room_leases (lane, holder, until) VALUES (\(lane.key), \(holder), \(until))
            ON CONFLICT (lane) DO UPDATE SET holder = excluded.holder, until = excluded.until
            WHERE room_leases.until <= \(now) OR room_leases.holder = \(holder)
            """) == 1
    }

    /// Keeps the right to work on lanes, by their keys.
    public func renew(_ lanes: [String], holder: String, until: Int64) throws {
        guard !lanes.isEmpty else { return }
        _ = try connection.execute(
            "UPDATE room_leases SET until = \(until) WHERE lane IN \(list: lanes) AND holder = \(holder)")
    }

    /// Takes every right to work on a lane away: for the only node, at its start.
    public func releaseAll() throws {
        _ = try connection.execute("DELETE FROM room_leases")
    }

    public func release(_ lane: Lane, holder: String) throws {
        _ = try connection.execute("DELETE FROM room_leases WHERE lane = \(lane.key) AND holder = \(holder)")
    }
}
